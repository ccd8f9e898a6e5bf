"""Opens real encrypted stores for tests, with a clock that the test moves and entropy from a seed."""

import random
from dataclasses import dataclass, field
from pathlib import Path

from crdt.identifiers import DeviceId
from node.schemas import CORE_COMPONENTS
from node.store.authoring import Author
from node.store.opening import create_store, open_store
from node.store.store import Store
from sync.identifiers import RealmId

STARTED_AT_MILLISECONDS = 1_763_683_200_000  # 2025-11-21T00:00:00Z
REALM = RealmId(b"\x07" * 32)
KEY = bytes(range(32))


@dataclass(slots=True)
class ManualClock:
    """Time as the test sets it; each look moves it on by a millisecond."""

    milliseconds: int = STARTED_AT_MILLISECONDS

    def now_milliseconds(self) -> int:
        """Return the time, a millisecond later than the last."""
        self.milliseconds += 1
        return self.milliseconds

    def monotonic_seconds(self) -> float:
        """Return the time in seconds."""
        return self.milliseconds / 1000


@dataclass(slots=True)
class SeededEntropy:
    """Bytes that look random and are the same on every run."""

    seed: int
    _source: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._source = random.Random(self.seed)

    def take(self, count: int) -> bytes:
        """Return the next bytes."""
        return self._source.randbytes(count)


@dataclass(slots=True)
class Scratch:
    """A store and the clock it reads."""

    store: Store
    clock: ManualClock


def scratch_store(folder: Path, seed: int = 1) -> Scratch:
    """Create a store of all core components in `folder`, or open the one of this seed that stands there."""
    clock = ManualClock()
    author = Author(
        device_id=DeviceId(seed.to_bytes(32, "big")), realm_id=REALM, sign_seed=bytes(31) + bytes([seed % 251])
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"store-{seed}.db"
    start = open_store if path.exists() else create_store
    store = start(
        path,
        key=KEY,
        author=author,
        components=CORE_COMPONENTS,
        clock=clock,
        entropy=SeededEntropy(seed),
    )
    return Scratch(store=store, clock=clock)


def reopened(scratch: Scratch, folder: Path, seed: int = 1) -> None:
    """Open a closed scratch store again, on the same clock."""
    milliseconds = scratch.clock.milliseconds
    again = scratch_store(folder, seed)
    scratch.store, scratch.clock = again.store, again.clock
    scratch.clock.milliseconds = milliseconds

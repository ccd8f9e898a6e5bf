"""One real store whose clock and entropy depend on the step alone, so that a step repeats to the byte after a crash."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

from crdt.identifiers import DeviceId
from node.store.authoring import Author
from node.store.change_log import StoredBatch
from node.store.database import Database
from node.store.opening import StoreOptions, create_store, open_store
from node.store.schema import Component
from node.store.store import Store
from node.store.whereabouts import Whereabouts
from simulations.kernel.clock import SkewedClock, TrueTime
from simulations.kernel.streams import SeededStream
from simulations.world.realm import SimulatedRealm, found_realm
from sync.frontier import EMPTY_FRONTIER
from sync.streams import Stream

STARTED_AT_MILLISECONDS = 1_795_219_200_000
STORE_NAME = "store.db"
KEY = bytes(range(32))
ALL_BYTES = 2**26

#: What is asked of tables that hold more than the scenario determines: the machine's own time, which no port gives, and
#: under which incarnation the store writes, which is a question of its own.
_ASKED = {
    "_migration_history": "SELECT component, version, description FROM _migration_history",
    "_meta": "SELECT key, value FROM _meta WHERE key <> 'incarnation'",
    "_incarnation": "SELECT 0 WHERE 0",
}


@dataclass(slots=True)
class StepEntropy:
    """Bytes drawn from the seed, the device and the step under way."""

    seed: int
    name: str
    source: SeededStream = field(init=False)

    def __post_init__(self) -> None:
        self.turn_to(0)

    def turn_to(self, step: int) -> None:
        """Draw for `step` from now on."""
        self.source = SeededStream(self.seed, f"{self.name} at {step}")

    def take(self, count: int) -> bytes:
        """Return fresh bytes."""
        return self.source.take(count)


class Device:
    """Opens and closes its store; what is written is the scenario's."""

    def __init__(
        self,
        folder: Path,
        seed: int,
        index: int,
        components: Sequence[Component],
        *,
        pragmas: Sequence[str] = (),
        step_milliseconds: int = 1_000,
    ) -> None:
        self.folder = folder
        self._pragmas = pragmas
        self._step_milliseconds = step_milliseconds
        self.realm: SimulatedRealm = found_realm(seed, 2, STARTED_AT_MILLISECONDS)
        keys = self.realm.keys[index]
        self.author = Author(device_id=keys.device_id, realm_id=self.realm.realm_id, sign_seed=keys.sign_seed)
        self.components = components
        self._time = TrueTime(STARTED_AT_MILLISECONDS)
        self._entropy = StepEntropy(seed, f"device {index}")
        self._store: Store | None = None

    @property
    def path(self) -> Path:
        """The store's file."""
        return self.folder / STORE_NAME

    @property
    def device_id(self) -> DeviceId:
        """The device's id."""
        return DeviceId(self.author.device_id)

    @property
    def store(self) -> Store:
        """The open store."""
        assert self._store is not None, "the store is closed"
        return self._store

    @property
    def is_open(self) -> bool:
        """Whether the store is open."""
        return self._store is not None

    @property
    def database(self) -> Database:
        """The store's own connection."""
        return self.store._parts.database

    @property
    def now_milliseconds(self) -> int:
        """The time of the step under way."""
        return self._time.milliseconds

    def turn_to(self, step: int) -> None:
        """Set clock and entropy to a step's."""
        self._time.milliseconds = STARTED_AT_MILLISECONDS + step * self._step_milliseconds
        self._entropy.turn_to(step)

    def open(self) -> None:
        """Open the store, or create it where there is none."""
        start = open_store if self.path.exists() else create_store
        self._store = start(
            self.path,
            key=KEY,
            author=self.author,
            components=self.components,
            clock=SkewedClock(self._time),
            entropy=self._entropy,
            # An image lies in another file than the run it is of; to the device it is the same one.
            options=StoreOptions(locate=lambda _: Whereabouts(b"one machine", b"one file")),
        )
        for pragma in self._pragmas:
            self.database.query(pragma)

    def close(self) -> None:
        """Close the store, if it is open."""
        store, self._store = self._store, None
        if store is not None:
            store.close()

    def write(self, *statements: str) -> None:
        """Run statements in one transaction."""
        with self.store.transaction() as transaction:
            for statement in statements:
                transaction.execute(statement)

    def batches(self, stream: Stream) -> list[bytes]:
        """Return the batches of a stream."""
        return [batch.raw for batch in self.stored(stream)]

    def stored(self, stream: Stream) -> list[StoredBatch]:
        """Return the batches of a stream as the log names them."""
        return self.store.read_batches(stream, EMPTY_FRONTIER, ALL_BYTES)

    def receive(self, raws: Sequence[bytes]) -> None:
        """Apply batches of the peer; all must be good."""
        report = self.store.apply_batches(raws, self.realm.roster, self.now_milliseconds)
        assert not report.held, report.held
        assert not report.refused, report.refused

    def fingerprint(self) -> bytes:
        """Return a hash of everything the store holds: each table's rows, each word of the full-text tables."""
        virtual = {name for (name,) in self.database.query(_VIRTUAL)}
        whole = blake2b(digest_size=32)
        for (name,) in self.database.query("SELECT name FROM main.sqlite_master WHERE type = 'table' ORDER BY name"):
            if name in virtual:
                rows = self._words(name)
            elif any(name.startswith(f"{table}_") for table in virtual):
                continue
            else:
                rows = self.database.query(_ASKED.get(name, f"SELECT * FROM {name}"))
            whole.update(f"{name} {len(rows)}".encode())
            for line in sorted(map(repr, rows)):
                whole.update(line.encode())
        return whole.digest()

    def _words(self, table: str) -> list[tuple[object, ...]]:
        self.database.begin()
        try:
            self.database.change(f"CREATE VIRTUAL TABLE temp.words USING fts5vocab('main', '{table}', 'instance')")
            words = self.database.query("SELECT term, doc, col, offset FROM temp.words")
            self.database.change("DROP TABLE temp.words")
            return words
        finally:
            self.database.rollback()


_VIRTUAL = "SELECT name FROM main.sqlite_master WHERE type = 'table' AND sql LIKE 'CREATE VIRTUAL TABLE%'"

"""Real nodes over loopback: an encrypted store on disk and a runtime each, members of one realm."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from node.clock import Clock, SystemClock
from node.entropy import SystemEntropy
from node.requests import NodeEvent
from node.runtime import Runtime
from node.schemas import CORE_COMPONENTS
from node.store.authoring import Author
from node.store.opening import StoreOptions, create_store, open_store
from node.store.store import Store
from sync.identity import DeviceKeys
from tests.support.realm_factory import FoundedRealm, SeededEntropy, found_realm

# Loopback answers within milliseconds; only a broken program waits this long.
PATIENCE_SECONDS = 10.0


class SteppedClock(SystemClock):
    """The system's clock, moved on by a test."""

    def __init__(self) -> None:
        self.ahead_seconds = 0.0

    def monotonic_seconds(self) -> float:
        """Return real seconds and those that the test added."""
        return super().monotonic_seconds() + self.ahead_seconds


@dataclass(slots=True)
class Node:
    """One device."""

    keys: DeviceKeys
    store: Store
    runtime: Runtime
    events: list[NodeEvent] = field(default_factory=list)

    def remember(self, *texts: str) -> None:
        """Write memories in one transaction."""
        with self.store.transaction() as transaction:
            for text in texts:
                transaction.execute("INSERT INTO memories (id, content) VALUES (?, ?)", (self.store.new_row_id(), text))

    def texts(self) -> set[str]:
        """Return the texts of all memories."""
        return {row[0] for row in self.store.query("SELECT content FROM memories")}

    def in_sync_with(self, other: "Node") -> bool:
        """Tell whether another device is connected and agrees."""
        return any(
            peer.device_id == other.keys.device_id and peer.connected and peer.in_sync for peer in self.runtime.peers()
        )

    def why(self, other: "Node") -> str:
        """Return what is said of another device."""
        return next(peer.why for peer in self.runtime.peers() if peer.device_id == other.keys.device_id)

    def in_sync_with_all(self) -> bool:
        """Tell whether every other device is connected and agrees."""
        return all(peer.connected and peer.in_sync for peer in self.runtime.peers())


def now_milliseconds() -> int:
    """Return the wall clock, for realms whose nodes run on it."""
    return time.time_ns() // 1_000_000


def make_node(
    realm: FoundedRealm,
    device: int,
    directory: Path,
    *,
    peers: Sequence[str] = (),
    listen: str = "127.0.0.1:0",
    statements: Sequence[bytes] | None = None,
    older_discovery_secrets: Sequence[bytes] = (),
    clock: Clock | None = None,
) -> Node:
    """Return a node of the realm that holds all statements, or those given; start its runtime yourself."""
    keys = realm.devices[device]
    path = directory / f"device-{device}.db"
    start = open_store if path.exists() else create_store
    store = start(
        path,
        key=bytes([device + 1]) * 32,
        author=Author(device_id=keys.device_id, realm_id=realm.realm_id, sign_seed=keys.sign_seed),
        components=CORE_COMPONENTS,
        clock=SystemClock(),
        entropy=SystemEntropy(),
        options=StoreOptions(full_text=False),
    )
    store.add_statements(realm.statements if statements is None else statements)
    events: list[NodeEvent] = []
    runtime = Runtime(
        store=store,
        keys=keys,
        realm_id=realm.realm_id,
        clock=clock or SystemClock(),
        entropy=SystemEntropy(),
        listen=listen,
        peers=peers,
        older_discovery_secrets=older_discovery_secrets,
        on_event=events.append,
    )
    return Node(keys=keys, store=store, runtime=runtime, events=events)


@asynccontextmanager
async def running(*nodes: Node) -> AsyncIterator[None]:
    """Start the nodes, stop them and close their stores at the end."""
    try:
        for node in nodes:
            await node.runtime.start()
        yield
    finally:
        for node in nodes:
            await node.runtime.stop()
            node.store.close()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition; fail if it does not come true in PATIENCE_SECONDS."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110 -- what is waited for is often nobody's event
            await asyncio.sleep(0.002)


def live_realm(devices: int) -> FoundedRealm:
    """Return a realm founded in this run; founding costs 0.1 s, so tests share one and each gets a copy."""
    realm = _founded(devices)
    return replace(
        realm,
        devices=list(realm.devices),
        statements=list(realm.statements),
        entropy=SeededEntropy("what a test draws itself"),
    )


@cache
def _founded(devices: int) -> FoundedRealm:
    return found_realm(devices=devices, now_milliseconds=now_milliseconds())

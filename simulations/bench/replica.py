"""One measured device as a process of its own: a real encrypted store and the real runtime, driven by JSON lines.

It is told on its standard input, a line each, and answers with one line: `{"do": "insert", "rows": n}`,
`{"do": "fill", "kind": k, "rows": n}`, `{"do": "join", "peer": a, "kind": k}`, `{"do": "settle"}` or
`{"do": "state"}`. It ends with its input.
"""

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path

from node.clock import SystemClock
from node.collector import settle_collector
from node.entropy import SystemEntropy
from node.requests import NodeEvent, StreamReadable
from node.runtime import PUSH_SECONDS, Runtime
from node.schemas import CORE_COMPONENTS
from node.store.opening import StoreOptions, create_store
from simulations.bench.corpus import texts
from simulations.bench.messages import begin_conversation, insert_messages, transactions
from simulations.bench.processes import tell
from simulations.bench.realm import found_realm
from sync.streams import Stream

SETTLE_SECONDS_MAX = 120.0
_LOOK_SECONDS = 0.002
#: So few a transaction that there is a past of many batches, and a newcomer is sent rows.
MEMORIES_PER_TRANSACTION = 100


class Replica:
    """The store and the runtime of one device."""

    def __init__(self, directory: Path, *, device: int, founded_at: int, full_text: bool, peers: list[str]) -> None:
        realm, clock, entropy = found_realm(founded_at), SystemClock(), SystemEntropy()
        self.store = create_store(
            directory / f"device-{device}.db",
            key=entropy.take(32),
            author=realm.author(device),
            components=CORE_COMPONENTS,
            clock=clock,
            entropy=entropy,
            options=StoreOptions(full_text=full_text),
        )
        self.store.add_statements(realm.statements)
        self.runtime = Runtime(
            store=self.store,
            keys=realm.keys[device],
            realm_id=realm.realm_id,
            clock=clock,
            entropy=entropy,
            peers=peers,
            on_event=self._note,
        )
        self._written = 0
        self._readable: dict[str, float] = {}

    def _note(self, event: NodeEvent) -> None:
        if isinstance(event, StreamReadable):
            self._readable.setdefault(event.stream, time.perf_counter())

    def fill(self, kind: str, rows: int) -> dict[str, object]:
        """Write what a newcomer will fetch, before anybody is connected."""
        if kind == "messages":
            for batch in transactions(begin_conversation(self.store), rows):
                with self.store.transaction() as transaction:
                    insert_messages(transaction, batch)
            return {}
        contents = texts(rows, seed=1)
        for first in range(0, rows, MEMORIES_PER_TRANSACTION):
            with self.store.transaction() as transaction:
                transaction.insert_rows(
                    "memories",
                    ("id", "content", "created_at"),
                    [
                        (self.store.new_row_id(), content, "2026-01-01T00:00:00.000Z")
                        for content in contents[first : first + MEMORIES_PER_TRANSACTION]
                    ],
                )
        return {}

    async def join(self, peer: str, kind: str) -> dict[str, object]:
        """Fetch everything from a device; the times until the first rows could be read, and until all were here."""
        started_at = time.perf_counter()
        self.runtime.dial(peer)
        await self.settle()
        stream = "memories" if kind == "memories" else "conversations"
        readable_seconds = self._readable[stream] - started_at
        return {"seconds": time.perf_counter() - started_at, "readable_seconds": readable_seconds}

    async def insert(self, rows: int) -> dict[str, object]:
        """Insert messages, 1,000 a transaction, pushed while they are written; the time until the peer holds all.

        "Holds" is what the session calls in sync: equal frontier and equal digest, after the peer's durable commit.
        """
        prepared = list(transactions(begin_conversation(self.store), rows, after=self._written))
        self._written += rows
        await self.settle()
        started_at = time.perf_counter()
        for batch in prepared:
            with self.store.transaction() as transaction:
                insert_messages(transaction, batch)
            # The one thread of a node belongs to everybody: between transactions its links get their turn.
            await asyncio.sleep(0)
        written_seconds = time.perf_counter() - started_at
        # Until the last push has begun, what the session judged is older than what was written.
        await asyncio.sleep(2 * PUSH_SECONDS)
        await self.settle()
        return {"seconds": time.perf_counter() - started_at, "written_seconds": written_seconds}

    async def settle(self) -> dict[str, object]:
        """Wait until the peer is connected and in sync."""
        async with asyncio.timeout(SETTLE_SECONDS_MAX):
            # The runtime's own event waits until a state has lasted, too long for a measurement.
            while not all(peer.in_sync for peer in self.runtime.peers()):  # noqa: ASYNC110
                await asyncio.sleep(_LOOK_SECONDS)
        return {}

    def state(self) -> dict[str, object]:
        """Return what the conversations hold, and the memories beside them."""
        state = self.store.view().stream(Stream.CONVERSATIONS)
        memories = self.store.view().stream(Stream.MEMORIES)
        return {"rows": state.rows, "digest": state.digest.hex(), "memories": memories.digest.hex()}

    async def obey(self, command: dict[str, object]) -> dict[str, object]:
        """Do what a line says."""
        match command:
            case {"do": "insert", "rows": int(rows)}:
                return await self.insert(rows)
            case {"do": "fill", "kind": str(kind), "rows": int(rows)}:
                return self.fill(kind, rows)
            case {"do": "join", "peer": str(peer), "kind": str(kind)}:
                return await self.join(peer, kind)
            case {"do": "settle"}:
                return await self.settle()
            case {"do": "state"}:
                return self.state()
            case _:
                raise ValueError(f"No such command: {command}")


async def run(replica: Replica) -> None:
    """Obey every line of the standard input until it ends."""
    await replica.runtime.start()
    settle_collector()
    tell(listen=replica.runtime.listen_address)
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        tell(**await replica.obey(json.loads(line)))
    await replica.runtime.stop()
    replica.store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="One measured device.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--device", type=int, required=True)
    parser.add_argument("--founded-at", type=int, required=True)
    parser.add_argument("--full-text", action="store_true")
    parser.add_argument("--peer", action="append", default=[])
    arguments = parser.parse_args()
    replica = Replica(
        arguments.directory,
        device=arguments.device,
        founded_at=arguments.founded_at,
        full_text=arguments.full_text,
        peers=arguments.peer,
    )
    asyncio.run(run(replica))


if __name__ == "__main__":
    main()

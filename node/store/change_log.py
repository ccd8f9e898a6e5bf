"""The change log: signed batches as they travel, and for each stream its frontier, digest and clock.

`Progress` is what a transaction makes of them: it is filled while the transaction runs, written by `persist` as its
last act, and becomes the log's state only after the commit. So memory never runs ahead of the disk.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from crdt.digest import move_digest
from crdt.identifiers import HybridTime, Origin
from node.store.database import Database, Row
from node.store.origins import Origins
from sync.batch import NO_PREVIOUS
from sync.frontier import EMPTY_FRONTIER, NO_ENTRY, PREFIX_BYTES, Frontier, FrontierEntry, ReplicaView, StreamState
from sync.identifiers import BatchHash
from sync.streams import Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBatch:
    """A batch in the log, with the bytes that its author signed."""

    origin: Origin
    seq: int
    hash: BatchHash
    raw: bytes


class Head(NamedTuple):
    """The last batch of one chain: its number and full hash."""

    seq: int
    hash: BatchHash


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsMoved:
    """What a merge or a local write did to a stream's rows: sums of hashes come and gone, live rows gained."""

    added: int = 0
    removed: int = 0
    rows: int = 0

    def __add__(self, other: "RowsMoved") -> "RowsMoved":
        return RowsMoved(
            added=self.added + other.added, removed=self.removed + other.removed, rows=self.rows + other.rows
        )


class ProgressMark(NamedTuple):
    """How far a transaction was at a savepoint."""

    states: dict[Stream, StreamState]
    heads: dict[tuple[Stream, Origin], BatchHash]
    moved: dict[tuple[Stream, Origin], bytes]
    clock: HybridTime
    went_back: bool


class Progress:
    """The streams' states as the open transaction leaves them."""

    __slots__ = ("_database", "_heads", "_moved", "_origins", "clock", "states", "went_back")

    def __init__(
        self,
        database: Database,
        origins: Origins,
        states: dict[Stream, StreamState],
        heads: dict[tuple[Stream, Origin], BatchHash],
        clock: HybridTime,
    ) -> None:
        """Start from committed states."""
        self._database = database
        self._origins = origins
        self._heads = dict(heads)
        self._moved: dict[tuple[Stream, Origin], bytes] = {}
        self.states = dict(states)
        self.clock = clock
        self.went_back = False

    def mark(self) -> "ProgressMark":
        """Return what `take_back` returns to."""
        return ProgressMark(dict(self.states), dict(self._heads), dict(self._moved), self.clock, self.went_back)

    def take_back(self, mark: "ProgressMark") -> None:
        """Undo what was noted since `mark`, as rolling back to a savepoint undoes what was written."""
        self.states, self._heads, self._moved = dict(mark.states), dict(mark.heads), dict(mark.moved)
        self.clock, self.went_back = mark.clock, mark.went_back

    @property
    def heads(self) -> dict[tuple[Stream, Origin], BatchHash]:
        """The full hashes of the last batches appended, by stream and origin."""
        return self._heads

    def state(self, stream: Stream) -> StreamState:
        """Return a stream's state so far."""
        return self.states.get(stream, StreamState())

    def head(self, stream: Stream, origin: Origin) -> BatchHash:
        """Return the full hash of the last batch of `origin` that is in the log."""
        return self._heads.get((stream, origin), NO_PREVIOUS)

    def appended_of(self, origin: Origin) -> dict[Stream, Head]:
        """Return the last batch of `origin` that was appended to each stream."""
        return {
            stream: Head(self.state(stream).frontier.entry(origin).seq, self._heads[stream, origin])
            for stream, moved in self._moved
            if moved == origin and (stream, moved) in self._heads
        }

    def touch(self, stream: Stream, moved: RowsMoved) -> None:
        """Account for rows that changed."""
        state = self.state(stream)
        self.states[stream] = StreamState(
            frontier=state.frontier,
            digest=move_digest(state.digest, added=moved.added, removed=moved.removed),
            rows=state.rows + moved.rows,
        )

    def append(self, stream: Stream, origin: Origin, seq: int, batch_hash: BatchHash, raw: bytes, hlc: int) -> None:
        """Put a batch at the end of the log and advance the frontier to it."""
        self._database.change(
            "INSERT INTO _batch (stream, origin, seq, hash, raw) VALUES (?, ?, ?, ?, ?)",
            (int(stream), self._origins.number(origin), seq, batch_hash, raw),
        )
        self._heads[stream, origin] = batch_hash
        self.advance(stream, origin, FrontierEntry(seq, batch_hash[:PREFIX_BYTES]), batch_hash)
        self.observe(hlc)

    def observe(self, hlc: int) -> None:
        """Take note of an applied time: the next own stamp exceeds it."""
        self.clock = HybridTime(max(self.clock, hlc))

    def advance(self, stream: Stream, origin: Origin, entry: FrontierEntry, known_hash: bytes) -> None:
        """Move the frontier; `known_hash` is the batch's hash or, after a snapshot, its prefix."""
        state = self.state(stream)
        self.states[stream] = StreamState(
            frontier=state.frontier.advanced(origin, entry), digest=state.digest, rows=state.rows
        )
        self._moved[stream, origin] = known_hash

    def retreat(self, stream: Stream, origin: Origin, entry: FrontierEntry, known_hash: bytes) -> None:
        """Take the batches of `origin` behind `entry` (NO_ENTRY: all of them) out of log and frontier."""
        self.went_back = True
        self._database.change(
            "DELETE FROM _batch WHERE stream = ? AND origin = ? AND seq > ?",
            (int(stream), self._origins.number(origin), entry.seq),
        )
        self._heads.pop((stream, origin), None)
        if entry != NO_ENTRY:
            if len(known_hash) > PREFIX_BYTES:
                self._heads[stream, origin] = BatchHash(known_hash)
            self.advance(stream, origin, entry, known_hash)
            return
        state = self.state(stream)
        left = {other: held for other, held in state.frontier.entries.items() if other != origin}
        self.states[stream] = StreamState(frontier=Frontier(left), digest=state.digest, rows=state.rows)
        self._moved.pop((stream, origin), None)
        self._database.change(
            "DELETE FROM _frontier WHERE stream = ? AND origin = ?", (int(stream), self._origins.number(origin))
        )

    def persist(self) -> None:
        """Write frontiers, digests and clock, as the last act of the transaction."""
        for (stream, origin), known_hash in self._moved.items():
            self._database.change(
                "INSERT INTO _frontier VALUES (?, ?, ?, ?) ON CONFLICT(stream, origin)"
                " DO UPDATE SET seq = excluded.seq, hash = excluded.hash",
                (int(stream), self._origins.number(origin), self.state(stream).frontier.entry(origin).seq, known_hash),
            )
        for stream, state in self.states.items():
            self._database.change(
                "INSERT INTO _stream VALUES (?, ?, ?, ?) ON CONFLICT(stream) DO UPDATE SET"
                " digest = excluded.digest, rows = excluded.rows, clock = excluded.clock"
                " WHERE digest IS NOT excluded.digest OR clock IS NOT excluded.clock OR rows IS NOT excluded.rows",
                (int(stream), state.digest, state.rows, self.clock.to_bytes(8, "big")),
            )


class ChangeLog:
    """The committed log of one store."""

    __slots__ = ("_clock", "_database", "_heads", "_origins", "_states")

    def __init__(self, database: Database, origins: Origins) -> None:
        """Read frontiers, digests and clock."""
        self._database = database
        self._origins = origins
        self._states: dict[Stream, StreamState] = {}
        self._heads: dict[tuple[Stream, Origin], BatchHash] = {}
        self._clock = HybridTime(0)
        self._load()

    def _load(self) -> None:
        frontiers: dict[Stream, dict[Origin, FrontierEntry]] = {}
        for stream, number, seq, known_hash in self._database.query("SELECT stream, origin, seq, hash FROM _frontier"):
            origin = self._origins.origin(number)
            frontiers.setdefault(Stream(stream), {})[origin] = FrontierEntry(seq, known_hash[:PREFIX_BYTES])
            if len(known_hash) > PREFIX_BYTES:
                self._heads[Stream(stream), origin] = BatchHash(known_hash)
        for stream, digest, rows, clock in self._database.query("SELECT stream, digest, rows, clock FROM _stream"):
            self._clock = HybridTime(max(self._clock, int.from_bytes(clock, "big")))
            frontier = Frontier(frontiers.get(Stream(stream), {}))
            self._states[Stream(stream)] = StreamState(frontier=frontier, digest=digest, rows=rows)

    @property
    def clock(self) -> HybridTime:
        """The greatest hybrid time made or applied."""
        return self._clock

    def view(self) -> ReplicaView:
        """Return one consistent reading of all streams."""
        return ReplicaView(streams=dict(self._states))

    def progress(self) -> Progress:
        """Return a fresh Progress for a transaction."""
        return Progress(self._database, self._origins, self._states, self._heads, self._clock)

    def install(self, progress: Progress) -> None:
        """Take over what a committed transaction made."""
        self._states = progress.states
        self._heads = progress.heads
        self._clock = progress.clock

    def base(self, stream: Stream) -> Frontier:
        """Return what came by snapshot: batches covered by it are not in the log."""
        rows = self._database.query("SELECT origin, seq, prefix FROM _log_base WHERE stream = ?", (int(stream),))
        if not rows:
            return EMPTY_FRONTIER
        return Frontier({self._origins.origin(number): FrontierEntry(seq, prefix) for number, seq, prefix in rows})

    def hash_of(self, stream: Stream, origin: Origin, seq: int) -> BatchHash | None:
        """Return the full hash of one batch, None where it is not in the log."""
        rows = self._database.query(
            "SELECT hash FROM _batch WHERE stream = ? AND origin = ? AND seq = ?",
            (int(stream), self._origins.number_if_known(origin), seq),
        )
        return BatchHash(rows[0][0]) if rows else None

    def hashes_of(self, stream: Stream, origin: Origin, seqs: Sequence[int]) -> dict[int, BatchHash]:
        """Return the full hashes of those batches of one origin that are in the log."""
        marks = ", ".join("?" * len(seqs))
        rows = self._database.query(
            f"SELECT seq, hash FROM _batch WHERE stream = ? AND origin = ? AND seq IN ({marks})",
            (int(stream), self._origins.number_if_known(origin), *seqs),
        )
        return {seq: BatchHash(known) for seq, known in rows}

    def raw_of(self, stream: Stream, origin: Origin, seq: int) -> bytes | None:
        """Return one batch as its author signed it, None where it is not in the log."""
        rows = self._database.query(
            "SELECT raw FROM _batch WHERE stream = ? AND origin = ? AND seq = ?",
            (int(stream), self._origins.number_if_known(origin), seq),
        )
        return bytes(rows[0][0]) if rows else None

    def end_of_chain(self, stream: Stream, origin: Origin, after: int) -> list[StoredBatch]:
        """Return the batches of one origin behind number `after` that are in the log, in order."""
        rows = self._database.query(
            "SELECT seq, hash, raw FROM _batch WHERE stream = ? AND origin = ? AND seq > ? ORDER BY seq",
            (int(stream), self._origins.number_if_known(origin), after),
        )
        return [StoredBatch(origin=origin, seq=seq, hash=BatchHash(known), raw=raw) for seq, known, raw in rows]

    def raise_base(self, stream: Stream, frontier: Frontier) -> None:
        """Note that batches covered by `frontier` came by snapshot, within the open transaction."""
        for origin, entry in frontier.entries.items():
            self._database.change(
                "INSERT INTO _log_base VALUES (?, ?, ?, ?) ON CONFLICT(stream, origin) DO UPDATE SET"
                " seq = excluded.seq, prefix = excluded.prefix WHERE excluded.seq > seq",
                (int(stream), self._origins.number(origin), entry.seq, entry.prefix),
            )

    def read(self, stream: Stream, after: Frontier, bytes_max: int) -> list[StoredBatch]:
        """Return batches that `after` does not cover, in the order they were applied here, about `bytes_max` in all.

        At least one batch is returned where any is lacking, however large.
        """
        lacking = [
            (self._origins.number(origin), after.entry(origin).seq)
            for origin, entry in self._states.get(stream, StreamState()).frontier.entries.items()
            if entry.seq > after.entry(origin).seq
        ]
        if not lacking:
            return []
        where = " OR ".join("(origin = ? AND seq > ?)" for _ in lacking)
        parameters = [int(stream), *(value for pair in lacking for value in pair)]
        sizes = self._database.query(
            f"SELECT position, length(raw) FROM _batch WHERE stream = ? AND ({where}) ORDER BY position LIMIT 512",
            parameters,
        )
        return self._fetch(_within(sizes, bytes_max))

    def _fetch(self, positions: Sequence[int]) -> list[StoredBatch]:
        marks = ", ".join("?" * len(positions))
        rows = self._database.query(
            f"SELECT origin, seq, hash, raw FROM _batch WHERE position IN ({marks}) ORDER BY position", positions
        )
        return [
            StoredBatch(origin=self._origins.origin(number), seq=seq, hash=BatchHash(batch_hash), raw=raw)
            for number, seq, batch_hash, raw in rows
        ]


def _within(sizes: Sequence[Row], bytes_max: int) -> list[int]:
    chosen: list[int] = []
    total = 0
    for position, length in sizes:
        total += length
        if chosen and total > bytes_max:
            break
        chosen.append(position)
    return chosen

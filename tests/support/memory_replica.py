"""A replica to read at a glance: numbered payloads per origin, kept in memory, with a real frontier and digest."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import pairwise

import msgspec

from crdt.digest import EMPTY_DIGEST, move_digest, sum_hashes
from crdt.identifiers import DeviceId, Origin, make_origin
from sync.frontier import EMPTY_FRONTIER, Frontier, FrontierEntry, ReplicaView, StreamState
from sync.identifiers import BatchHash
from sync.row_ranges import FAN_OUT, RangeSum, RowRange
from sync.session_receiving import HeldBatch
from sync.snapshot import START, Manifest, RowKey
from sync.streams import Stream

SNAPSHOT_ID = b"a snapshot's id!"


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryBatch:
    """One payload of one origin, as it travels."""

    origin: Origin
    seq: int
    hash: bytes
    raw: bytes


@dataclass(slots=True)
class _Contents:
    frontier: Frontier = EMPTY_FRONTIER
    base: Frontier = EMPTY_FRONTIER
    log: list[MemoryBatch] = field(default_factory=list)
    payloads: set[bytes] = field(default_factory=set)
    partial: tuple[RowKey, Frontier] | None = None


def key_of(payload: bytes) -> RowKey:
    """Return the row key of a payload."""
    return RowKey("payloads", blake2b(payload, digest_size=16).digest())


def spell_batch(origin: Origin, stream: Stream, seq: int, payload: bytes) -> bytes:
    """Return the bytes of a batch."""
    return msgspec.msgpack.encode((origin, int(stream), seq, payload))


class MemoryReplica:
    """Applies what follows its author's last batch, holds what comes too early, refuses payloads that say so."""

    def __init__(self, device_id: DeviceId) -> None:
        self.origin = make_origin(device_id, bytes(8))
        self._contents: dict[Stream, _Contents] = {stream: _Contents() for stream in Stream}
        self.applied_count = 0
        self.rows_received = 0
        self.placed_count = 0
        self.busy = False
        self.ranges_read = 0
        self.silent = False
        self.adopts = True

    def write(self, stream: Stream, payload: bytes) -> None:
        """Append one batch of this device."""
        seq = self._contents[stream].frontier.entry(self.origin).seq + 1
        self._append(spell_batch(self.origin, stream, seq, payload))

    def _append(self, raw: bytes) -> None:
        origin, stream, seq, payload = self._read(raw)
        contents = self._contents[stream]
        batch = MemoryBatch(origin=origin, seq=seq, hash=blake2b(raw, digest_size=32).digest(), raw=raw)
        contents.log.append(batch)
        contents.frontier = contents.frontier.advanced(origin, FrontierEntry(seq, batch.hash[:8]))
        contents.payloads.add(payload)

    @staticmethod
    def _read(raw: bytes) -> tuple[Origin, Stream, int, bytes]:
        origin, stream, seq, payload = msgspec.msgpack.decode(raw, type=tuple[bytes, int, int, bytes])
        return Origin(origin), Stream(stream), seq, payload

    def payloads(self, stream: Stream) -> set[bytes]:
        """Return all that is held of a stream."""
        return set(self._contents[stream].payloads)

    def view(self) -> ReplicaView:
        """Return frontier, digest and count of every stream that holds anything."""
        return ReplicaView(
            streams={
                stream: StreamState(
                    frontier=contents.frontier,
                    digest=blake2b(b"".join(sorted(contents.payloads)), digest_size=32).digest(),
                    rows=len(contents.payloads),
                )
                for stream, contents in self._contents.items()
                if contents.payloads
            }
        )

    def apply(self, raws: tuple[bytes, ...]) -> tuple[bool, list[HeldBatch], list[str]]:
        """Return whether anything advanced, what came too early and why others are refused."""
        advanced, held, refused = False, list[HeldBatch](), list[str]()
        for raw in raws:
            origin, stream, seq, payload = self._read(raw)
            at = self._contents[stream].frontier.entry(origin).seq
            if payload == b"refuse me":
                refused.append("it asked for it")
            elif seq > at + 1:
                held.append(HeldBatch(raw=raw, reason="an earlier batch is missing"))
            elif seq == at + 1:
                self._append(raw)
                self.applied_count += 1
                advanced = True
        return advanced, held, refused

    def log_base(self, stream: Stream) -> Frontier:
        """Return what the log does not reach back to."""
        return self._contents[stream].base

    def read(self, stream: Stream, after: Frontier, bytes_max: int) -> list[MemoryBatch]:
        """Return batches that `after` does not cover, in log order, at least one if there are any."""
        batches: list[MemoryBatch] = []
        size = 0
        for batch in self._contents[stream].log:
            if after.covers(batch.origin, batch.seq):
                continue
            if batches and size + len(batch.raw) > bytes_max:
                break
            batches.append(batch)
            size += len(batch.raw)
        return batches

    def chain(
        self, stream: Stream, origin: Origin, seqs: Sequence[int], wanted: int
    ) -> tuple[dict[int, BatchHash], bytes | None]:
        """Return the hashes of those batches that the log holds, and the batch `wanted`."""
        held = {batch.seq: batch for batch in self._contents[stream].log if batch.origin == origin}
        hashes = {seq: BatchHash(held[seq].hash) for seq in seqs if seq in held}
        return hashes, held[wanted].raw if wanted in held else None

    def drop_log(self, stream: Stream) -> None:
        """Forget the batches of a stream and keep what they said."""
        contents = self._contents[stream]
        contents.base, contents.log = contents.frontier, []

    def lose_first_batch(self, stream: Stream) -> None:
        """Lose a batch from the log, which a sound log never does: the next one then arrives too early."""
        self._contents[stream].log.pop(0)

    def corrupt(self, stream: Stream, payload: bytes = b"rotten bit") -> None:
        """Change a row behind the log's back."""
        self._contents[stream].payloads.add(payload)

    def manifest(self, stream: Stream) -> Manifest:
        """Return the manifest of a snapshot taken now."""
        contents = self._contents[stream]
        return Manifest(
            stream=stream,
            snapshot_id=SNAPSHOT_ID,
            frontier=contents.frontier,
            rows=len(contents.payloads),
            log_base=contents.base,
        )

    def place(self, manifest: Manifest) -> RowKey | None:
        """Return up to which row a snapshot has come; None while another session is said to receive it."""
        contents = self._contents[manifest.stream]
        self.placed_count += 1
        if self.busy:
            return None
        if contents.partial is not None and not manifest.can_finish(contents.partial[1], contents.frontier):
            contents.partial = None
        return contents.partial[0] if contents.partial is not None else START

    def read_page(self, stream: Stream, cursor: RowKey, bytes_max: int) -> tuple[bytes, RowKey | None]:
        """Return one page of the payloads that stand behind `cursor` and its last row, None on the last page."""
        payloads = [payload for payload in self._contents[stream].payloads if key_of(payload).stands_after(cursor)]
        rest = sorted(payloads, key=lambda payload: key_of(payload).row_id, reverse=True)
        page: list[bytes] = []
        while rest and (not page or sum(map(len, page)) + len(rest[0]) <= bytes_max):
            page.append(rest.pop(0))
        return msgspec.msgpack.encode(page), key_of(page[-1]) if rest else None

    def apply_page(self, manifest: Manifest, page: bytes) -> None:
        """Join a page."""
        contents = self._contents[manifest.stream]
        rows = msgspec.msgpack.decode(page, type=list[bytes])
        contents.payloads.update(rows)
        self.rows_received += len(rows)
        frontier = contents.partial[1].meet(manifest.frontier) if contents.partial else manifest.frontier
        contents.partial = (key_of(rows[-1]) if rows else START, frontier)

    def adopt(self, manifest: Manifest) -> None:
        """Adopt the frontier of a snapshot whose pages were all joined."""
        contents = self._contents[manifest.stream]
        assert contents.partial is not None
        frontier, contents.partial = contents.partial[1], None
        if not self.adopts:
            return
        contents.frontier = contents.frontier.join(frontier)
        contents.base = contents.base.join(frontier)

    def _in_range(self, stream: Stream, whole: RowRange) -> list[bytes]:
        keys = {key_of(payload): payload for payload in self._contents[stream].payloads}
        return [keys[key] for key in sorted(keys) if whole.first <= key and (whole.end == START or key < whole.end)]

    def sum(self, stream: Stream, whole: RowRange) -> RangeSum:
        """Return what is held in a range."""
        payloads = self._in_range(stream, whole)
        hashes = (blake2b(payload, digest_size=32).digest() for payload in payloads)
        return RangeSum(move_digest(EMPTY_DIGEST, added=sum_hashes(hashes), removed=0), len(payloads))

    def split(self, stream: Stream, ranges: Sequence[RowRange]) -> list[tuple[RowRange, RangeSum]]:
        """Cut ranges into sixteen."""
        parts: list[RowRange] = []
        for whole in ranges:
            keys = [key_of(payload) for payload in self._in_range(stream, whole)]
            bounds = [whole.first, *keys[-(-len(keys) // FAN_OUT) or 1 :: -(-len(keys) // FAN_OUT) or 1], whole.end]
            parts += [RowRange(first, end) for first, end in pairwise(bounds)]
        return [(part, self.sum(stream, part)) for part in parts]

    def read_ranges(self, stream: Stream, ranges: Sequence[RowRange]) -> tuple[Manifest, bytes, tuple[RowRange, ...]]:
        """Return the payloads of the first range, and the other ranges."""
        page = msgspec.msgpack.encode([] if self.silent else self._in_range(stream, ranges[0]))
        self.ranges_read += 1
        return self.manifest(stream), page, tuple(ranges[1:])

    def join_rows(self, stream: Stream, page: bytes) -> None:
        """Join payloads."""
        self._contents[stream].payloads.update(msgspec.msgpack.decode(page, type=list[bytes]))

"""A replica to read at a glance: numbered payloads per origin, kept in memory, with a real frontier and digest."""

from dataclasses import dataclass, field
from hashlib import blake2b

import msgspec

from crdt.identifiers import DeviceId, Origin, make_origin
from sync.frontier import EMPTY_FRONTIER, Frontier, FrontierEntry, ReplicaView, StreamState
from sync.session_receiving import HeldBatch
from sync.snapshot import Manifest
from sync.streams import Stream


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


def spell_batch(origin: Origin, stream: Stream, seq: int, payload: bytes) -> bytes:
    """Return the bytes of a batch."""
    return msgspec.msgpack.encode((origin, int(stream), seq, payload))


class MemoryReplica:
    """Applies what follows its author's last batch, holds what comes too early, refuses payloads that say so."""

    def __init__(self, device_id: DeviceId) -> None:
        self.origin = make_origin(device_id, bytes(8))
        self._contents: dict[Stream, _Contents] = {stream: _Contents() for stream in Stream}
        self.applied_count = 0

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

    def drop_log(self, stream: Stream) -> None:
        """Forget the batches of a stream and keep what they said."""
        contents = self._contents[stream]
        contents.base, contents.log = contents.frontier, []

    def lose_first_batch(self, stream: Stream) -> None:
        """Lose a batch from the log, which a sound log never does: the next one then arrives too early."""
        self._contents[stream].log.pop(0)

    def corrupt(self, stream: Stream) -> None:
        """Change a row behind the log's back."""
        self._contents[stream].payloads.add(b"rotten bit")

    def manifest(self, stream: Stream) -> Manifest:
        """Return the manifest of a snapshot taken now."""
        contents = self._contents[stream]
        return Manifest(stream=stream, snapshot_id=bytes(16), frontier=contents.frontier, rows=len(contents.payloads))

    def read_page(self, stream: Stream, cursor: bytes | None, bytes_max: int) -> tuple[bytes, bytes | None]:
        """Return one page of payloads above `cursor` and the cursor behind it, None after the last."""
        rest = sorted(payload for payload in self._contents[stream].payloads if payload > (cursor or b""))
        page: list[bytes] = []
        while rest and (not page or sum(map(len, page)) + len(rest[0]) <= bytes_max):
            page.append(rest.pop(0))
        return msgspec.msgpack.encode(page), page[-1] if rest else None

    def apply_page(self, stream: Stream, page: bytes) -> None:
        """Join a page."""
        self._contents[stream].payloads.update(msgspec.msgpack.decode(page, type=list[bytes]))

    def adopt(self, manifest: Manifest) -> None:
        """Adopt the frontier of a snapshot whose pages were all joined."""
        contents = self._contents[manifest.stream]
        contents.frontier = contents.frontier.join(manifest.frontier)
        contents.base = contents.base.join(manifest.frontier)

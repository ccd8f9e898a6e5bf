"""The typed messages of a session and their bytes.

Every message is one msgpack array that begins with its kind. Decoding is strict: an unknown kind, a missing or extra
field, a wrong length or a number out of range raises RemoteProtocolError. PROTOCOL.md section 7 lists them.
"""

from typing import Annotated

import msgspec

from crdt.identifiers import ORIGIN_BYTES, SEQUENCE_MAX
from sync.errors import UNDECODABLE, LocalProtocolError, RemoteProtocolError
from sync.frontier import Frontier, StreamState
from sync.identifiers import HASH_BYTES
from sync.limits import CHAIN_PROBES_MAX, ENVELOPE_BYTES_MAX, RANGES_MAX
from sync.row_ranges import RangeSum, RowRange
from sync.snapshot import REPAIR_ID, SNAPSHOT_ID_BYTES, Manifest, RowKey
from sync.streams import Stream

PROTOCOL_VERSION = 1

#: The largest message is a bundle; what stands around its envelope takes a few bytes.
MESSAGE_BYTES_MAX = ENVELOPE_BYTES_MAX + 64

Hash = Annotated[bytes, msgspec.Meta(min_length=HASH_BYTES, max_length=HASH_BYTES)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
EnvelopeNumber = Annotated[int, msgspec.Meta(ge=1, le=2**53)]
Envelope = Annotated[bytes, msgspec.Meta(min_length=1, max_length=ENVELOPE_BYTES_MAX)]
SnapshotId = Annotated[bytes, msgspec.Meta(min_length=SNAPSHOT_ID_BYTES, max_length=SNAPSHOT_ID_BYTES)]
OriginBytes = Annotated[bytes, msgspec.Meta(min_length=ORIGIN_BYTES, max_length=ORIGIN_BYTES)]
SequenceNumber = Annotated[int, msgspec.Meta(ge=1, le=SEQUENCE_MAX)]
Ranges = Annotated[list[RowRange], msgspec.Meta(min_length=1, max_length=RANGES_MAX)]
#: A frontier as it travels; Frontier.from_wire checks lengths and order.
WireFrontier = list[tuple[bytes, int, bytes]]


class Position(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where the sender stands in one stream: frontier entries (all, or those that changed), digest and live rows."""

    stream: Stream
    entries: WireFrontier
    digest: Hash
    rows: Count

    def frontier(self) -> Frontier:
        """Return the entries as a frontier, else raise RemoteProtocolError."""
        return Frontier.from_wire([list(entry) for entry in self.entries])

    def after(self, before: StreamState) -> StreamState:
        """Return the state that this position turns `before` into, else raise RemoteProtocolError."""
        return StreamState(frontier=before.frontier.join(self.frontier()), digest=self.digest, rows=self.rows)


class Hello(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=1):
    """Opens a session: protocol version, the sender's wall clock (ms since 1970) and the summary of what it holds."""

    version: Count
    now_milliseconds: Count
    summary: Hash


class State(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=2):
    """Sent where the summaries differ: the roster's digest and the sender's whole position in every stream it has."""

    roster_digest: Hash
    positions: list[Position]


class StatementHashes(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=3):
    """Sent where the rosters differ: the hash of every roster statement that the sender holds."""

    hashes: list[Hash]


class Statements(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=4):
    """Roster statements that the receiver lacks, as signed; `last` ends the answer to StatementHashes."""

    statements: list[bytes]
    last: bool


class Bundle(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=5):
    """An envelope of delta batches; envelopes are numbered 1, 2, 3 … in each direction."""

    number: EnvelopeNumber
    envelope: Envelope


class Ack(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=6):
    """The envelopes up to `number` were committed or are held back; 0 = nothing new, only the positions changed."""

    number: Count
    positions: list[Position]


class Resend(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=7):
    """Asks for everything behind the sender's frontiers again: it could not hold all that came early."""


class SnapshotBegin(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=8):
    """Pages of `stream` follow, read from a replica at `frontier`, in place of batches that its log no longer has."""

    stream: Stream
    snapshot_id: SnapshotId
    frontier: WireFrontier
    rows: Count
    log_base: WireFrontier

    def manifest(self) -> Manifest:
        """Return the manifest, else raise RemoteProtocolError."""
        frontier, log_base = (
            Frontier.from_wire([list(entry) for entry in entries]) for entries in (self.frontier, self.log_base)
        )
        if self.snapshot_id == REPAIR_ID:
            raise RemoteProtocolError("the peer announced rows of a repair as a snapshot")
        if not frontier.covers_all(log_base):
            raise RemoteProtocolError("the peer's log begins behind what the peer holds")
        return Manifest(
            stream=self.stream, snapshot_id=self.snapshot_id, frontier=frontier, rows=self.rows, log_base=log_base
        )


class SnapshotPage(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=9):
    """An envelope that holds one page of the snapshot under way; numbered together with the bundles."""

    number: EnvelopeNumber
    envelope: Envelope


class SnapshotEnd(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=10):
    """All pages were sent; acknowledged like an envelope, once the receiver has adopted the snapshot's frontier."""

    number: EnvelopeNumber
    snapshot_id: SnapshotId
    pages: Count


class ChainAsk(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=20):
    """Asks for the hashes of some batches of one origin, and for the batch `batch` itself (0: for none)."""

    stream: Stream
    origin: OriginBytes
    seqs: Annotated[list[SequenceNumber], msgspec.Meta(min_length=1, max_length=CHAIN_PROBES_MAX)]
    batch: Annotated[int, msgspec.Meta(ge=0, le=SEQUENCE_MAX)]


class ChainAnswer(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=21):
    """The hashes of those batches that the sender's log holds, and the batch asked for in an envelope, or nothing."""

    stream: Stream
    origin: OriginBytes
    hashes: Annotated[list[tuple[SequenceNumber, Hash]], msgspec.Meta(max_length=CHAIN_PROBES_MAX)]
    envelope: Annotated[bytes, msgspec.Meta(max_length=ENVELOPE_BYTES_MAX)]


class SnapshotFrom(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=11):
    """Answers SnapshotBegin: the receiver holds the rows up to `after` already and asks for those that follow."""

    snapshot_id: SnapshotId
    after: RowKey


class SnapshotDecline(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=12):
    """Answers SnapshotBegin: another device is sending this stream at the moment; begin again later, if need be."""

    snapshot_id: SnapshotId


class RangesAsk(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=13):
    """Asks what the receiver holds in some ranges of a stream; `fresh` where they are the first, of all its rows."""

    stream: Stream
    ranges: Ranges
    fresh: bool


class RangesAnswer(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=14):
    """Answers RangesAsk, range by range."""

    stream: Stream
    sums: Annotated[list[RangeSum], msgspec.Meta(max_length=RANGES_MAX)]


class RowsAsk(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=15):
    """Asks for all rows of some ranges, as pages."""

    stream: Stream
    ranges: Ranges


class RepairPage(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=16):
    """An envelope of one page of rows, read at this frontier; numbered together with the bundles."""

    number: EnvelopeNumber
    stream: Stream
    frontier: WireFrontier
    envelope: Envelope

    def manifest(self) -> Manifest:
        """Return what the page is of, else raise RemoteProtocolError."""
        frontier = Frontier.from_wire([list(entry) for entry in self.frontier])
        return Manifest(stream=self.stream, snapshot_id=REPAIR_ID, frontier=frontier, rows=0)


Message = (
    Hello
    | State
    | StatementHashes
    | Statements
    | Bundle
    | Ack
    | Resend
    | SnapshotBegin
    | SnapshotPage
    | SnapshotEnd
    | SnapshotFrom
    | SnapshotDecline
    | RangesAsk
    | RangesAnswer
    | RowsAsk
    | RepairPage
    | ChainAsk
    | ChainAnswer
)

_encode = msgspec.msgpack.Encoder().encode
_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)


def encode_message(message: Message) -> bytes:
    """Return the bytes of a message. Raises LocalProtocolError if it is over MESSAGE_BYTES_MAX."""
    raw = _encode(message)
    if len(raw) > MESSAGE_BYTES_MAX:
        raise LocalProtocolError(f"a message of {len(raw)} bytes is over the limit of {MESSAGE_BYTES_MAX}")
    return raw


def decode_message(raw: bytes) -> Message:
    """Return the message that `raw` spells, else raise RemoteProtocolError."""
    try:
        return _decoder.decode(raw)
    except UNDECODABLE as error:
        raise RemoteProtocolError("a message is malformed") from error


def position_of(stream: Stream, state: StreamState, known: StreamState) -> Position:
    """Return the position that turns `known`, what the peer was told last, into `state`."""
    changed = Frontier(
        {origin: entry for origin, entry in state.frontier.entries.items() if known.frontier.entry(origin) != entry}
    )
    entries = [(bytes(origin), entry.seq, entry.prefix) for origin, entry in sorted(changed.entries.items())]
    return Position(stream=stream, entries=entries, digest=state.digest, rows=state.rows)


def repair_page(number: int, manifest: Manifest, envelope: bytes) -> RepairPage:
    """Return the message that carries a page of rows for a repair."""
    return RepairPage(number=number, stream=manifest.stream, frontier=_entries(manifest.frontier), envelope=envelope)


def _entries(frontier: Frontier) -> WireFrontier:
    return [(bytes(origin), entry.seq, entry.prefix) for origin, entry in sorted(frontier.entries.items())]


def snapshot_begin(manifest: Manifest) -> SnapshotBegin:
    """Return the message that announces a snapshot."""
    return SnapshotBegin(
        stream=manifest.stream,
        snapshot_id=manifest.snapshot_id,
        frontier=_entries(manifest.frontier),
        rows=manifest.rows,
        log_base=_entries(manifest.log_base),
    )

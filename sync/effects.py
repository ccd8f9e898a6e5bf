"""What a session asks its runtime to do: frozen values, performed in order, whose results come back as inputs.

A runtime performs an effect completely before the next one of the same session, and before it hands the session its
next frame. That order is what lets a session send a key epoch and then a batch sealed under it.
"""

from dataclasses import dataclass, field

from crdt.identifiers import DeviceId, Origin
from sync.frontier import Frontier
from sync.identifiers import BatchHash
from sync.row_ranges import RowRange
from sync.snapshot import Manifest, RowKey
from sync.streams import Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class SendFrame:
    """Send these bytes as one WebSocket frame."""

    frame: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerIdentified:
    """The handshake is done and the peer is this device; before this nothing of the replica was used."""

    device_id: DeviceId


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadBatches:
    """Read batches that `after` does not cover, seal them, and answer with Session.batches_read."""

    stream: Stream
    after: Frontier = field(repr=False)
    bytes_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSnapshot:
    """Take the manifest of a snapshot of this stream and answer with Session.snapshot_opened."""

    stream: Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadPage:
    """Read page `index` of a snapshot, of the rows behind `cursor`, seal it, answer with Session.page_read."""

    manifest: Manifest = field(repr=False)
    index: int
    cursor: RowKey
    bytes_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceSnapshot:
    """Answer with Session.snapshot_placed: up to which row it is here already, None if another session is at it."""

    manifest: Manifest = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyBatches:
    """Commit these raw batches durably and answer with Session.batches_applied; number 0 retries held batches."""

    number: int
    batches: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyPage:
    """Join this raw page, signed by the peer, durably and answer with Session.page_applied."""

    number: int
    manifest: Manifest = field(repr=False)
    page: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptSnapshot:
    """Every page was committed: adopt their common frontier durably and answer with Session.snapshot_adopted."""

    number: int
    manifest: Manifest = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitRanges:
    """Cut ranges of rows and answer with Session.ranges_split; `fresh`: first see that the digest is the rows' sum."""

    stream: Stream
    ranges: tuple[RowRange, ...] = field(repr=False)
    fresh: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SumRanges:
    """Sum up ranges of rows and answer with Session.ranges_summed; `fresh`: first see that the digest is their sum."""

    stream: Stream
    ranges: tuple[RowRange, ...] = field(repr=False)
    fresh: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRepair:
    """Read rows of these ranges, but none that fails its own hash, seal them and answer with Session.repair_read."""

    stream: Stream
    ranges: tuple[RowRange, ...] = field(repr=False)
    bytes_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyRepair:
    """Join this raw page, put it in the place of rows that fail their own hash, answer with Session.page_applied."""

    number: int
    manifest: Manifest = field(repr=False)
    page: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyStatements:
    """Store these roster statements durably, evaluate the roster, and answer with Session.statements_applied."""

    statements: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadChain:
    """Read the hashes of these batches of one origin, as far as the log holds them, and answer with Session.chain_read.

    With `batch` (not 0) that batch is wanted too, sealed in an envelope; `answering` says that the peer asked.
    """

    stream: Stream
    origin: Origin
    seqs: tuple[int, ...]
    batch: int
    answering: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkFound:
    """The first number at which a chain differs at both ends, with the peer's signed batch as evidence.

    Where the origin is of this device, its own batches from there on are to be written again; else both are kept.
    """

    stream: Stream
    origin: Origin
    seq: int
    ours: BatchHash
    theirs: BatchHash
    evidence: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerStatus:
    """The status of the peer changed: whether both replicas provably agree and, if not, why in one plain line."""

    in_sync: bool
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockDiffers:
    """The peer's clock is this far ahead of ours (negative: behind), more than batches are accepted with."""

    ahead_milliseconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Diverged:
    """Both replicas hold the same batches of a stream but different rows, and comparing the rows did not help."""

    stream: Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Repaired:
    """Rows of a stream differed although both replicas held the same batches; they were exchanged and are equal."""

    stream: Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamReadable:
    """The first rows of a stream that the peer had ahead of us are here, newest first: a person can begin to read."""

    stream: Stream
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamComplete:
    """All that the peer held of a stream when it greeted us is here; `rows` live rows are held now."""

    stream: Stream
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Close:
    """Close the connection: the session is over, for this reason."""

    reason: str


Effect = (
    SendFrame
    | PeerIdentified
    | ReadBatches
    | OpenSnapshot
    | ReadPage
    | PlaceSnapshot
    | ApplyBatches
    | ApplyPage
    | AdoptSnapshot
    | SplitRanges
    | SumRanges
    | ReadRepair
    | ApplyRepair
    | ApplyStatements
    | ReadChain
    | ForkFound
    | PeerStatus
    | ClockDiffers
    | Diverged
    | Repaired
    | StreamReadable
    | StreamComplete
    | Close
)

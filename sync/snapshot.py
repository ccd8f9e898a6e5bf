"""Snapshot pages: row states of one stream, signed by the device that sends them, joined by the one that receives.

Format (msgpack arrays)
    page    = [header bytes, signature 64, codec, packed body]     codec 0 = plain, 1 = zstd
    header  = [sender, stream, snapshot id 16, index, after, layouts, count, body length, H(packed body)]
    after   = [table, row id]                                      the row before the first one of the page
    body    = [section…]                                           one for each layout, in their order
    section = [[[count, born 56]…], [[position, [[column index, stamp 56]…]]…], rows]
    rows    = the spelled rows end to end, in descending order of their ids

Most rows have no stamps of their own, and many were born together: what a section says of both is said in runs, so that
its rows are decoded, checked and spelled again as one array. The hash is taken over the packed bytes: nothing is
inflated that its sender did not sign.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Annotated, NamedTuple

import msgspec

from crdt.identifiers import DEVICE_ID_BYTES, ROW_ID_BYTES, SEQUENCE_MAX, STAMP_BYTES, DeviceId, Stamp, stamp_seq
from crdt.row import Layout
from sync import crypto
from sync.batch import check_layout
from sync.errors import UNDECODABLE, RemoteProtocolError
from sync.frontier import EMPTY_FRONTIER, Frontier
from sync.identifiers import HASH_BYTES, RealmId
from sync.limits import BATCH_BYTES_MAX, BATCH_RAW_BYTES_MAX, CHANGES_PER_BATCH_MAX, LAYOUTS_PER_BATCH_MAX
from sync.packing import pack, unpack
from sync.streams import Stream

SNAPSHOT_ID_BYTES = 16
#: Stands in pages that belong to no snapshot but repair rows; a snapshot's own id is random.
REPAIR_ID = bytes(SNAPSHOT_ID_BYTES)
TABLE_NAME_CHARACTERS_MAX = 128


class RowKey(NamedTuple):
    """Where a row stands in a stream: its table and its id."""

    table: Annotated[str, msgspec.Meta(max_length=TABLE_NAME_CHARACTERS_MAX)]
    row_id: Annotated[bytes, msgspec.Meta(max_length=ROW_ID_BYTES)]

    def is_sound(self) -> bool:
        """Tell whether it names a row, or the place before all rows."""
        return len(self.row_id) == (ROW_ID_BYTES if self.table else 0)

    def stands_after(self, other: "RowKey") -> bool:
        """Tell whether a snapshot comes to this row after `other`: tables by name, the newest row of each first."""
        return self.row_id < other.row_id if self.table == other.table else self.table > other.table


#: Before the first row of every stream.
START = RowKey("", b"")


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a snapshot is of: the frontier was read before its first page and is adopted after its last.

    `log_base` is what the sender's log begins behind: only to who holds that can the sender give the rest as batches.
    """

    stream: Stream
    snapshot_id: bytes
    frontier: Frontier
    rows: int
    log_base: Frontier = EMPTY_FRONTIER

    def can_finish(self, claim: Frontier, held: Frontier) -> bool:
        """Tell whether it is of use to go on where a snapshot broke off that would have claimed `claim`.

        Both together claim what both frontiers cover. Unless that is more than `held`, the receiver's frontier, and
        with it reaches the sender's log, the end of all pages would find the receiver where it was: a whole snapshot
        of this sender is needed then, and it had better begin at once.
        """
        both = claim.meet(self.frontier)
        return not held.covers_all(both) and held.join(both).covers_all(self.log_base)


class PageHeader(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Everything about a page but its rows."""

    sender: bytes
    stream: Stream
    snapshot_id: bytes
    index: int
    after: RowKey
    layouts: tuple[tuple[str, tuple[tuple[str, int], ...]], ...]
    count: int
    body_bytes: int
    packed_hash: bytes


class PageSection(NamedTuple):
    """The rows of one layout: how many in a row were `born` together, the stamps of cells that have their own, rows."""

    births: list[tuple[int, bytes]]
    stamps: list[tuple[int, list[tuple[int, bytes]]]]
    rows: bytes

    def row_count(self) -> int:
        """Return how many rows there are."""
        return sum(count for count, _ in self.births)

    def all_stamps(self) -> set[bytes]:
        """Return every stamp that the section names."""
        return {born for _, born in self.births} | {stamp for _, own in self.stamps for _, stamp in own}

    def as_array(self) -> bytes:
        """Return the rows as one msgpack array, for a decoder to take as a whole."""
        return b"\xdd" + self.row_count().to_bytes(4, "big") + self.rows


class SectionDraft:
    """The rows of one layout that are gathered for a page."""

    __slots__ = ("_births", "_bodies", "_stamps")

    def __init__(self) -> None:
        self._births: list[bytes] = []
        self._bodies: list[bytes] = []
        self._stamps: list[tuple[int, list[tuple[int, bytes]]]] = []

    def add(self, births: Sequence[bytes], bodies: Sequence[bytes], stamps: Sequence[tuple[int, bytes]] = ()) -> None:
        """Add rows, each born under its stamp; `stamps` are those of the first one's cells, in order of column."""
        if stamps:
            self._stamps.append((len(self._bodies), list(stamps)))
        self._births.extend(births)
        self._bodies.extend(bodies)

    def finish(self) -> PageSection:
        """Return the section."""
        births = [(len(list(run)), born) for born, run in groupby(self._births)]
        return PageSection(births, self._stamps, b"".join(self._bodies))


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A verified page."""

    header: PageHeader
    sections: Sequence[PageSection]


_encode = msgspec.msgpack.Encoder().encode
_decode_page = msgspec.msgpack.Decoder(tuple[bytes, bytes, int, bytes]).decode
_decode_header = msgspec.msgpack.Decoder(PageHeader).decode
_decode_sections = msgspec.msgpack.Decoder(list[PageSection]).decode


def make_page(
    *,
    sender: DeviceId,
    manifest: Manifest,
    index: int,
    section_by_layout: Mapping[tuple[str, Layout], PageSection],
    realm_id: RealmId,
    sign_seed: bytes,
    after: RowKey = START,
) -> bytes:
    """Return the raw, signed page of the rows that follow `after`."""
    sections = list(section_by_layout.values())
    body = _encode(sections)
    codec, packed = pack(body)
    header = _encode(
        PageHeader(
            sender=sender,
            stream=manifest.stream,
            snapshot_id=manifest.snapshot_id,
            index=index,
            after=after,
            layouts=tuple(section_by_layout),
            count=sum(section.row_count() for section in sections),
            body_bytes=len(body),
            packed_hash=crypto.hash256(packed, person=b"nuthatch-page"),
        )
    )
    signature = crypto.sign(sign_seed, crypto.signed_message("page", realm_id, header))
    return _encode((header, signature, codec, packed))


def open_page(raw: bytes, realm_id: RealmId, sender: DeviceId, sign_public: bytes) -> Page:
    """Return the verified page that `sender` made, else raise RemoteProtocolError."""
    if len(raw) > BATCH_BYTES_MAX:
        raise RemoteProtocolError("a snapshot page is larger than any may be")
    try:
        header_bytes, signature, codec, packed = _decode_page(raw)
        header = _decode_header(header_bytes)
    except UNDECODABLE as error:
        raise RemoteProtocolError("a snapshot page is malformed") from error
    if _encode((header_bytes, signature, codec, packed)) != raw:
        raise RemoteProtocolError("a snapshot page is not spelled canonically")
    if header.sender != sender or len(header.sender) != DEVICE_ID_BYTES:
        raise RemoteProtocolError("a snapshot page is not from the device that sends it")
    crypto.verify(sign_public, signature, crypto.signed_message("page", realm_id, header_bytes))
    if (
        len(header.snapshot_id) != SNAPSHOT_ID_BYTES
        or not 0 <= header.index < 2**31
        or not header.after.is_sound()
        or not 0 <= header.count <= CHANGES_PER_BATCH_MAX
        or not 0 < header.body_bytes <= BATCH_RAW_BYTES_MAX
        or not len(set(header.layouts)) == len(header.layouts) <= LAYOUTS_PER_BATCH_MAX
        or len(header.packed_hash) != HASH_BYTES
    ):
        raise RemoteProtocolError("a snapshot page's header is out of bounds")
    for _, layout in header.layouts:
        check_layout(layout)
    return Page(header=header, sections=_open_sections(header, codec, packed))


def _open_sections(header: PageHeader, codec: int, packed: bytes) -> list[PageSection]:
    if crypto.hash256(packed, person=b"nuthatch-page") != header.packed_hash:
        raise RemoteProtocolError("a snapshot page's rows are not what its header says")
    body = unpack(codec, packed, header.body_bytes)
    try:
        sections = _decode_sections(body)
    except UNDECODABLE as error:
        raise RemoteProtocolError("a snapshot page's rows are malformed") from error
    if len(body) != header.body_bytes or _encode(sections) != body:
        raise RemoteProtocolError("a snapshot page's rows are not spelled canonically")
    if len(sections) != len(header.layouts):
        raise RemoteProtocolError("a snapshot page has not one section for each layout")
    for section, (_, layout) in zip(sections, header.layouts, strict=True):
        _check_section(section, len(layout))
    if sum(section.row_count() for section in sections) != header.count:
        raise RemoteProtocolError("a snapshot page holds another number of rows than it says")
    return sections


def _check_section(section: PageSection, columns: int) -> None:
    """Raise RemoteProtocolError for runs or stamps that no honest sender writes."""
    births, positions = section.births, [position for position, _ in section.stamps]
    sound = (
        bool(births)
        and all(count > 0 for count, _ in births)
        and all(_is_stamp(born) for _, born in births)
        and all(one != next_one for (_, one), (_, next_one) in pairwise(births))
        and _ascending(positions, section.row_count())
        and all(
            own and all(_is_stamp(stamp) for _, stamp in own) and _ascending([index for index, _ in own], columns)
            for _, own in section.stamps
        )
    )
    if not sound:
        raise RemoteProtocolError("a snapshot row is out of bounds")


def _is_stamp(stamp: bytes) -> bool:
    return len(stamp) == STAMP_BYTES and stamp_seq(Stamp(stamp)) <= SEQUENCE_MAX


def _ascending(indexes: Sequence[int], count: int) -> bool:
    return indexes == sorted(set(indexes)) and all(0 <= index < count for index in indexes)

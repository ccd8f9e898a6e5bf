"""Snapshot pages: row states of one stream, signed by the device that sends them, joined by the one that receives.

Format (msgpack arrays)
    page   = [header bytes, signature 64, codec, body bytes]      codec 0 = plain, 1 = zstd
    header = [sender, stream, snapshot id 16, index, after, layouts, count, body length, H(body)]
    after  = [table, row id]                                      the row before the first one of the page
    body   = [[layout index, born 56, row, [[column index, stamp]…]]…]

Rows stand in order of their table's name and, within a table, newest first: in descending order of their ids.
"""

from collections.abc import Sequence
from dataclasses import dataclass
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

#: (layout index, born, spelled row, ((column index, stamp), …))
PageRow = tuple[int, bytes, bytes, tuple[tuple[int, bytes], ...]]


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
    body_hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A verified page."""

    header: PageHeader
    rows: Sequence[PageRow]

    def row_keys(self) -> list[RowKey]:
        """Return the key of every row; its spelling must have been found canonical before."""
        names = [name for name, _ in self.header.layouts]
        # What stands before the id: an array's head of one or three bytes, and the head of 16 bytes.
        starts = [3 if len(layout) + 2 < 16 else 5 for _, layout in self.header.layouts]
        return [
            RowKey(names[index], body[starts[index] : starts[index] + ROW_ID_BYTES]) for index, _, body, _ in self.rows
        ]


_encode = msgspec.msgpack.Encoder().encode
_decode_page = msgspec.msgpack.Decoder(tuple[bytes, bytes, int, bytes]).decode
_decode_header = msgspec.msgpack.Decoder(PageHeader).decode
_decode_rows = msgspec.msgpack.Decoder(list[tuple[int, bytes, bytes, tuple[tuple[int, bytes], ...]]]).decode


def make_page(
    *,
    sender: DeviceId,
    manifest: Manifest,
    index: int,
    layouts: tuple[tuple[str, Layout], ...],
    rows: Sequence[PageRow],
    realm_id: RealmId,
    sign_seed: bytes,
    after: RowKey = START,
) -> bytes:
    """Return the raw, signed page of the rows that follow `after`."""
    body = _encode(rows)
    header = _encode(
        PageHeader(
            sender=sender,
            stream=manifest.stream,
            snapshot_id=manifest.snapshot_id,
            index=index,
            after=after,
            layouts=layouts,
            count=len(rows),
            body_bytes=len(body),
            body_hash=crypto.hash256(body, person=b"nuthatch-page"),
        )
    )
    signature = crypto.sign(sign_seed, crypto.signed_message("page", realm_id, header))
    return _encode((header, signature, *pack(body)))


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
        or len(header.layouts) > LAYOUTS_PER_BATCH_MAX
        or len(header.body_hash) != HASH_BYTES
    ):
        raise RemoteProtocolError("a snapshot page's header is out of bounds")
    for _, layout in header.layouts:
        check_layout(layout)
    return Page(header=header, rows=_open_rows(header, codec, packed))


def _open_rows(header: PageHeader, codec: int, packed: bytes) -> list[PageRow]:
    body = unpack(codec, packed, header.body_bytes)
    if crypto.hash256(body, person=b"nuthatch-page") != header.body_hash:
        raise RemoteProtocolError("a snapshot page's rows are not what its header says")
    try:
        rows = _decode_rows(body)
    except UNDECODABLE as error:
        raise RemoteProtocolError("a snapshot page's rows are malformed") from error
    if len(rows) != header.count:
        raise RemoteProtocolError("a snapshot page holds another number of rows than it says")
    # Most rows were born together and have no stamps of their own: what they share is looked at once.
    layouts_known = all(0 <= layout_index < len(header.layouts) for layout_index in {row[0] for row in rows})
    if not layouts_known or not all(_is_stamp(born) for born in {row[1] for row in rows}):
        raise RemoteProtocolError("a snapshot row is out of bounds")
    for layout_index, _, _, stamps in rows:
        if stamps and (
            not all(_is_stamp(stamp) for _, stamp in stamps)
            or not _ascending([index for index, _ in stamps], len(header.layouts[layout_index][1]))
        ):
            raise RemoteProtocolError("a snapshot row is out of bounds")
    return rows


def _is_stamp(stamp: bytes) -> bool:
    return len(stamp) == STAMP_BYTES and stamp_seq(Stamp(stamp)) <= SEQUENCE_MAX


def _ascending(indexes: Sequence[int], count: int) -> bool:
    return indexes == sorted(set(indexes)) and all(0 <= index < count for index in indexes)

"""Delta batches: what one author's transaction changed in one stream, signed once, verified before anything is read.

Format (msgpack arrays; PROTOCOL.md section 8)
    batch  = [header bytes, signature 64, codec, body bytes]      codec 0 = plain, 1 = zstd
    header = [origin, stream, seq, prev, deps, hlc, [[component, version]…], group, layouts, count,
              body length,                                      of the body as first written: forgetting shortens it
              [[origin, seq, hash]…]]                           batches of the same device that this one stands for
    deps   = [[origin, seq, hash prefix 8]…]                      the author's whole frontier, in order of origin
    layout = [table, [[column, strategy code]…]]                  columns in order of name
    body   = [change…]; change = [layout index, salt 16, row] or, once forgotten, the 32 bytes of its hash
    row    = [row id, generation, payload…] as crdt.row spells it; its stamps are (hlc, origin, seq) of the header

The signature covers header and change hashes H(salt, row hash): a forgotten change is replaced by its hash and the
batch still verifies. The salt keeps a short forgotten text from being guessed from that hash.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import msgspec

from crdt.identifiers import (
    ORIGIN_BYTES,
    SEQUENCE_MAX,
    DeviceId,
    HybridTime,
    Origin,
    Stamp,
    make_stamp,
    origin_device,
)
from crdt.identifiers import Sequence as SequenceNumber
from crdt.row import Layout, hash_bodies, hash_body, hash_prefix
from crdt.version_vector import VersionVector
from sync import crypto
from sync.errors import UNDECODABLE, LocalProtocolError, RemoteProtocolError
from sync.frontier import NO_ENTRY, PREFIX_BYTES, Dependency, FrontierEntry
from sync.identifiers import HASH_BYTES, BatchHash, RealmId
from sync.limits import (
    BATCH_BYTES_MAX,
    BATCH_RAW_BYTES_MAX,
    CHANGES_PER_BATCH_MAX,
    LAYOUTS_PER_BATCH_MAX,
    STANDS_FOR_MAX,
)
from sync.packing import pack, unpack
from sync.streams import Stream

SALT_BYTES = 16
STRATEGY_CODE_MAX = 255
NO_PREVIOUS = BatchHash(bytes(HASH_BYTES))

#: One change as its author makes it: (layout index, spelled row, its row hash).
OwnChange = tuple[int, bytes, bytes]
#: One change as it travels: (layout index, salt, spelled row), or its bare hash.
Change = tuple[int, bytes, bytes] | bytes


class UnknownAuthor(Exception):
    """The roster held here does not know the batch's author; not an offence, the roster may follow."""


class BatchHeader(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Everything about a batch but its changes; times are hybrid, `group` joins the batches of one transaction."""

    origin: Origin
    stream: Stream
    seq: int
    prev: BatchHash
    deps: tuple[Dependency, ...]
    hlc: int
    schemas: tuple[tuple[str, int], ...]
    group: bytes
    layouts: tuple[tuple[str, tuple[tuple[str, int], ...]], ...]
    count: int
    body_bytes: int
    stands_for: tuple[tuple[Origin, int, BatchHash], ...]

    @property
    def stamp(self) -> Stamp:
        """The stamp of every cell that this batch writes."""
        return make_stamp(self.hlc, self.origin, self.seq)

    @property
    def vector(self) -> VersionVector:
        """What its author had seen of the stream."""
        return VersionVector({origin: SequenceNumber(seq) for origin, seq, _ in self.deps})


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A verified batch; `row_hashes` holds the row hash of each change, nothing for a forgotten one."""

    header: BatchHeader
    hash: BatchHash
    changes: Sequence[Change]
    row_hashes: Sequence[bytes]
    raw: bytes

    @property
    def author(self) -> DeviceId:
        """The device that signed it."""
        return origin_device(self.header.origin)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchDraft:
    """What the author knows of a batch before it is signed.

    `forgotten` (hashes of forgotten changes) and `stands_for` are of batches that are written again.
    """

    origin: Origin
    stream: Stream
    seq: int
    prev: BatchHash
    deps: tuple[Dependency, ...]
    hlc: HybridTime
    schemas: tuple[tuple[str, int], ...]
    group: bytes
    layouts: tuple[tuple[str, Layout], ...]
    changes: Sequence[OwnChange]
    forgotten: tuple[bytes, ...] = ()
    stands_for: tuple[tuple[Origin, int, BatchHash], ...] = ()


_encode = msgspec.msgpack.Encoder().encode
_decode_batch = msgspec.msgpack.Decoder(tuple[bytes, bytes, int, bytes]).decode
_decode_header = msgspec.msgpack.Decoder(BatchHeader).decode
_decode_cells = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode
_decode_cell = msgspec.msgpack.Decoder().decode
_decode_changes = msgspec.msgpack.Decoder(list[tuple[int, bytes, bytes] | bytes]).decode


# Going on from a copy costs half of beginning anew, for every change of every batch.
_CHANGE = blake2b(person=b"nuthatch-change", digest_size=HASH_BYTES)


def hash_change(row_hash: bytes, salt: bytes) -> bytes:
    """Return the salted 32-byte hash under which a change is signed; the row hash binds table, layout and stamp."""
    begun = _CHANGE.copy()
    begun.update(salt + row_hash)
    return begun.digest()


def _root(header: bytes, hashes: Sequence[bytes]) -> BatchHash:
    body = crypto.hash256(b"".join(hashes), person=b"nuthatch-body")
    return BatchHash(crypto.hash256(crypto.hash256(header, person=b"nuthatch-header") + body, person=b"nuthatch-batch"))


def make_batch(draft: BatchDraft, *, salts: bytes, realm_id: RealmId, sign_seed: bytes) -> tuple[bytes, BatchHash]:
    """Return (raw batch, its hash); `salts` is 16 fresh random bytes for each change.

    Raises LocalProtocolError where the transaction is larger than a batch may be.
    """
    each_salt = [salts[start : start + SALT_BYTES] for start in range(0, len(draft.changes) * SALT_BYTES, SALT_BYTES)]
    changes = [(index, salt, row) for (index, row, _), salt in zip(draft.changes, each_salt, strict=True)]
    hashes = [hash_change(row_hash, salt) for (_, _, row_hash), salt in zip(draft.changes, each_salt, strict=True)]
    body = _encode([*changes, *draft.forgotten] if draft.forgotten else changes)
    hashes += draft.forgotten
    if len(body) > BATCH_RAW_BYTES_MAX or len(changes) > CHANGES_PER_BATCH_MAX:
        raise LocalProtocolError(
            f"This transaction changes {len(changes):,} rows ({len(body) / 2**20:.1f} MiB) of one stream; "
            f"the most is {CHANGES_PER_BATCH_MAX:,} rows and {BATCH_RAW_BYTES_MAX // 2**20} MiB. "
            "Write in several transactions."
        )
    header = _encode(
        BatchHeader(
            origin=draft.origin,
            stream=draft.stream,
            seq=draft.seq,
            prev=draft.prev,
            deps=draft.deps,
            hlc=draft.hlc,
            schemas=draft.schemas,
            group=draft.group,
            layouts=draft.layouts,
            count=len(hashes),
            body_bytes=len(body),
            stands_for=draft.stands_for,
        )
    )
    batch_hash = _root(header, hashes)
    signature = crypto.sign(sign_seed, crypto.signed_message("batch", realm_id, batch_hash))
    codec, packed = pack(body)
    raw = _encode((header, signature, codec, packed))
    if len(raw) > BATCH_BYTES_MAX:
        # A body just within its limit that does not compress: with its header it would fit no envelope.
        raise LocalProtocolError(
            f"This transaction takes {len(raw) / 2**20:.2f} MiB in one stream; "
            f"the most is {BATCH_BYTES_MAX // 2**20} MiB. Write in several transactions."
        )
    return raw, batch_hash


def read_header(raw: bytes) -> BatchHeader:
    """Return the header of a batch of one's own log, which was verified when it came."""
    return _decode_header(_decode_batch(raw)[0])


def open_batch(raw: bytes, realm_id: RealmId, sign_public: Callable[[DeviceId], bytes | None]) -> Batch:
    """Return the verified batch that `raw` holds.

    Raises RemoteProtocolError for anything malformed or wrongly signed, UnknownAuthor where `sign_public` gives no key.
    """
    if len(raw) > BATCH_BYTES_MAX:
        raise RemoteProtocolError("a batch is larger than any may be")
    try:
        header_bytes, signature, codec, packed = _decode_batch(raw)
        header = _decode_header(header_bytes)
    except UNDECODABLE as error:
        raise RemoteProtocolError("a batch is malformed") from error
    if _encode((header_bytes, signature, codec, packed)) != raw:
        raise RemoteProtocolError("a batch is not spelled canonically")
    _check_header(header)
    public = sign_public(origin_device(header.origin))
    if public is None:
        raise UnknownAuthor
    body = unpack(codec, packed, header.body_bytes)
    try:
        changes = _decode_changes(body)
    except UNDECODABLE as error:
        raise RemoteProtocolError("a batch's changes are malformed") from error
    row_hashes, change_hashes = _hashes(header, changes)
    batch_hash = _root(header_bytes, change_hashes)
    crypto.verify(public, signature, crypto.signed_message("batch", realm_id, batch_hash))
    return Batch(header=header, hash=batch_hash, changes=changes, row_hashes=row_hashes, raw=raw)


def forget_changes(raw: bytes, generation_by_row: Mapping[bytes, int]) -> bytes:
    """Return a batch of one's own log without the content of changes that gave rows life before a generation.

    Each such change is replaced by the hash that was signed, so the batch keeps its hash and still verifies. Deletes,
    which hold no content, stay. Raises RemoteProtocolError where `raw` is no batch.
    """
    try:
        header_bytes, signature, codec, packed = _decode_batch(raw)
        header = _decode_header(header_bytes)
        changes = _decode_changes(unpack(codec, packed, header.body_bytes))
        prefixes = [hash_prefix(table, layout, header.stamp) for table, layout in header.layouts]
        kept: list[Change] = []
        for change in changes:
            if not isinstance(change, bytes):
                layout_index, salt, row = change
                row_id, generation = map(_decode_cell, _decode_cells(row)[:2])
                if generation % 2 == 1 and generation < generation_by_row.get(row_id, 0):
                    change = hash_change(hash_body(prefixes[layout_index], row), salt)
            kept.append(change)
    except UNDECODABLE as error:
        raise RemoteProtocolError("a batch is malformed") from error
    codec, packed = pack(_encode(kept))
    return _encode((header_bytes, signature, codec, packed))


def _hashes(header: BatchHeader, changes: Sequence[Change]) -> tuple[list[bytes], list[bytes]]:
    """Return the row hashes and the salted change hashes of a batch."""
    if len(changes) != header.count:
        raise RemoteProtocolError("a batch holds another number of changes than it says")
    stamp = header.stamp
    prefixes = [hash_prefix(table, layout, stamp) for table, layout in header.layouts]
    if {tuple}.issuperset(map(type, changes)) and len(prefixes) == 1:
        # Nothing was forgotten and one table was written: most batches, and all the large ones.
        indexes, salts, rows = zip(*changes, strict=True)
        if {0}.issuperset(indexes) and {SALT_BYTES}.issuperset(map(len, salts)):
            hashes = hash_bodies(prefixes[0], rows)
            return hashes, list(map(hash_change, hashes, salts))
    row_hashes: list[bytes] = []
    change_hashes: list[bytes] = []
    for change in changes:
        if isinstance(change, bytes):
            if len(change) != HASH_BYTES:
                raise RemoteProtocolError("a forgotten change stands as its 32-byte hash")
            row_hash, change_hash = b"", change
        else:
            layout_index, salt, row = change
            if not 0 <= layout_index < len(prefixes) or len(salt) != SALT_BYTES:
                raise RemoteProtocolError("a change names no layout or has no salt")
            row_hash = hash_body(prefixes[layout_index], row)
            change_hash = hash_change(row_hash, salt)
        row_hashes.append(row_hash)
        change_hashes.append(change_hash)
    return row_hashes, change_hashes


def _check_header(header: BatchHeader) -> None:
    deps = [origin for origin, _, _ in header.deps]
    if (
        len(header.origin) != ORIGIN_BYTES
        or not 1 <= header.seq <= SEQUENCE_MAX
        or len(header.prev) != HASH_BYTES
        or (header.seq == 1) != (header.prev == NO_PREVIOUS)
        or not 0 < header.hlc < 2**64
        or len(header.group) not in (0, 16)
        or not 1 <= header.count <= CHANGES_PER_BATCH_MAX
        or not 0 < header.body_bytes <= BATCH_RAW_BYTES_MAX
        or not 1 <= len(header.layouts) <= LAYOUTS_PER_BATCH_MAX
        or deps != sorted(set(deps))
        or any(
            len(origin) != ORIGIN_BYTES or not 1 <= seq <= SEQUENCE_MAX or len(prefix) != PREFIX_BYTES
            for origin, seq, prefix in header.deps
        )
    ):
        raise RemoteProtocolError("a batch's header is out of bounds")
    own = next((FrontierEntry(seq, prefix) for origin, seq, prefix in header.deps if origin == header.origin), NO_ENTRY)
    if own != (header.seq - 1, header.prev[:PREFIX_BYTES]):
        raise RemoteProtocolError("a batch does not build on its author's last one")
    _check_stands_for(header)
    for _, layout in header.layouts:
        check_layout(layout)


def _check_stands_for(header: BatchHeader) -> None:
    if len(header.stands_for) > STANDS_FOR_MAX or any(
        len(origin) != ORIGIN_BYTES
        or origin == header.origin
        or origin_device(origin) != origin_device(header.origin)
        or not 1 <= seq <= SEQUENCE_MAX
        or len(batch_hash) != HASH_BYTES
        for origin, seq, batch_hash in header.stands_for
    ):
        raise RemoteProtocolError("a batch stands for what its author cannot have written")


def check_layout(layout: Layout) -> None:
    """Raise RemoteProtocolError unless columns stand in order, each once, with codes that a strategy could have.

    Whether the strategy exists here is not asked: a newer version may know more, and its batches wait, unharmed.
    """
    names = [column for column, _ in layout]
    if names != sorted(set(names)):
        raise RemoteProtocolError("a layout's columns stand in order, each once")
    if not all(1 <= code <= STRATEGY_CODE_MAX for _, code in layout):
        raise RemoteProtocolError("a layout's strategy code is out of bounds")

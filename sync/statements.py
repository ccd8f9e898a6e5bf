"""The signed statements that a roster is made of: their shapes, their exact bytes, their signatures.

A statement travels and is kept as `[body, [signature, …]]` in MessagePack, where `body` is itself an encoded array:
signatures are made and checked over the very bytes received, never over bytes encoded anew. Whether a statement
counts is decided in `sync.roster`; here is only what can be said of one statement alone. PROTOCOL.md, section 4.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import pairwise
from typing import Annotated, Generic, TypeVar, cast

from msgspec import DecodeError, Meta, Struct
from msgspec.msgpack import Decoder, Encoder

from crdt.identifiers import DEVICE_ID_BYTES, ORIGIN_BYTES, SEQUENCE_MAX, DeviceId, Origin, origin_device
from sync.crypto import (
    SALT_BYTES,
    SEALED_OVERHEAD_BYTES,
    SIGNATURE_BYTES,
    hash256,
    sign,
    signed_message,
    verify,
)
from sync.errors import LocalProtocolError, RemoteProtocolError
from sync.frontier import EMPTY_FRONTIER, PREFIX_BYTES, Frontier, FrontierEntry
from sync.identifiers import HASH_BYTES, RealmId, StatementHash
from sync.identity import Certificate, PublicKey, UnusableName, check_certificate
from sync.limits import STATEMENT_BYTES_MAX
from sync.streams import Stream

HEADS_MAX = 32
# An Epoch for this many devices, with all heads, is the largest statement and fits STATEMENT_BYTES_MAX.
ACTIVE_DEVICES_MAX = 64
# LP("nuthatch/wrap/v1"), then realm id, key id, recipient and secret of 32 bytes each, sealed.
WRAP_BYTES = SEALED_OVERHEAD_BYTES + 20 + 4 * 32

Hash = Annotated[StatementHash, Meta(min_length=HASH_BYTES, max_length=HASH_BYTES)]
DeviceIdField = Annotated[DeviceId, Meta(min_length=DEVICE_ID_BYTES, max_length=DEVICE_ID_BYTES)]
Heads = Annotated[tuple[Hash, ...], Meta(max_length=HEADS_MAX)]
Milliseconds = Annotated[int, Meta(ge=0, lt=2**48)]


class RevokeReason(IntEnum):
    """Why a device was revoked, for the person to read; it changes nothing else."""

    UNSTATED = 0
    LOST = 1
    STOLEN = 2
    RETIRED = 3


class StatedEntry(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A frontier entry as a statement carries it."""

    origin: Annotated[Origin, Meta(min_length=ORIGIN_BYTES, max_length=ORIGIN_BYTES)]
    seq: Annotated[int, Meta(ge=1, le=SEQUENCE_MAX)]
    prefix: Annotated[bytes, Meta(min_length=PREFIX_BYTES, max_length=PREFIX_BYTES)]


class StreamFrontier(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The frontier of one stream as a statement carries it. A stream this version has no name for is kept, unread."""

    stream: Annotated[int, Meta(ge=0, le=255)]
    entries: Annotated[tuple[StatedEntry, ...], Meta(min_length=1, max_length=256)]


Frontiers = Annotated[tuple[StreamFrontier, ...], Meta(max_length=64)]


class Genesis(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True, tag=0):
    """Founds a realm; the hash of its body is the realm's id. Signed by the root key, which only it names."""

    root_public: PublicKey
    root_seal_public: PublicKey
    owner_public: PublicKey
    recovery_salt: Annotated[bytes, Meta(min_length=SALT_BYTES, max_length=SALT_BYTES)]


class Add(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True, tag=1):
    """Admits a device. Signed by the owner key that it names, and by the device itself: neither can do it alone."""

    owner_public: PublicKey
    certificate: Certificate
    sponsor: DeviceIdField
    added_at_milliseconds: Milliseconds
    heads: Heads


class Revoke(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True, tag=2):
    """Removes a device for ever and says up to where its batches count. Signed by `signer`: an owner key, or itself."""

    signer: PublicKey
    device_id: DeviceIdField
    reason: RevokeReason
    cut: Frontiers
    heads: Heads


class Seen(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True, tag=3):
    """A device's answer to a Revoke: what it had merged of the revoked device. Signed by `author`."""

    author: DeviceIdField
    revoke: Hash
    frontiers: Frontiers
    heads: Heads


class Wrap(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A key epoch's secret, sealed for one device."""

    device_id: DeviceIdField
    sealed: Annotated[bytes, Meta(min_length=WRAP_BYTES, max_length=WRAP_BYTES)]


class Epoch(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True, tag=4):
    """Begins a key epoch. Signed by `author`; `key_id` commits to the secret, so every wrap holds the same one."""

    author: DeviceIdField
    number: Annotated[int, Meta(ge=1, le=2**63 - 1)]
    key_id: Annotated[bytes, Meta(min_length=HASH_BYTES, max_length=HASH_BYTES)]
    minted_at_milliseconds: Milliseconds
    wraps: Annotated[tuple[Wrap, ...], Meta(min_length=1, max_length=ACTIVE_DEVICES_MAX)]
    heads: Heads


class Beat(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True, tag=5):
    """A sign of life: what a device knows, and when. Signed by `author`; only its latest is kept."""

    author: DeviceIdField
    at_milliseconds: Milliseconds
    frontiers: Frontiers
    heads: Heads


class OwnerRotate(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True, tag=6):
    """Replaces owner and root key. Signed by the root key that `previous` (the realm id or an OwnerRotate) named.

    What older owner keys signed counts on only if it is among `cut` or their ancestors; their Revokes count on unless
    `disown` lists them.
    """

    previous: Hash
    owner_public: PublicKey
    root_public: PublicKey
    root_seal_public: PublicKey
    recovery_salt: Annotated[bytes, Meta(min_length=SALT_BYTES, max_length=SALT_BYTES)]
    cut: Heads
    disown: Heads
    heads: Heads


Body = Genesis | Add | Revoke | Seen | Epoch | Beat | OwnerRotate

#: The labels of a statement's signatures, in the order in which they stand: one kind is never taken for another.
SIGNATURE_LABELS: Mapping[type, tuple[str, ...]] = {
    Genesis: ("genesis",),
    Add: ("add", "add-device"),
    Revoke: ("revoke",),
    Seen: ("seen",),
    Epoch: ("epoch",),
    Beat: ("beat",),
    OwnerRotate: ("owner-rotate",),
}


_Item = TypeVar("_Item", bytes, int)
_Kind = TypeVar("_Kind", bound=Body, covariant=True)


class _Framed(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    body: bytes
    signatures: Annotated[
        tuple[Annotated[bytes, Meta(min_length=SIGNATURE_BYTES, max_length=SIGNATURE_BYTES)], ...],
        Meta(min_length=1, max_length=2),
    ]


_encoder = Encoder()
_framed_decoder = Decoder(_Framed)
_body_decoder: Decoder[Body] = Decoder(Body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement(Generic[_Kind]):
    """A well-formed statement: its bytes, what they say, and signatures that nobody has checked yet."""

    raw: bytes = field(repr=False)
    hash: StatementHash
    body_raw: bytes = field(repr=False)
    body: _Kind
    signatures: tuple[bytes, ...] = field(repr=False)

    @property
    def heads(self) -> tuple[StatementHash, ...]:
        """The statements that this one names as known to its author. A Genesis knows none."""
        return () if isinstance(self.body, Genesis) else self.body.heads

    def verify(self, realm_id: RealmId, *publics: bytes) -> None:
        """Return if every signature is right, made by `publics` in their order; else raise Rejected."""
        labels = SIGNATURE_LABELS[type(self.body)]
        if len(publics) != len(labels):
            raise LocalProtocolError(f"A {type(self.body).__name__} has {len(labels)} signatures.")
        for label, public, signature in zip(labels, publics, self.signatures, strict=True):
            verify(public, signature, signed_message(label, realm_id, self.body_raw))


def statement_hash(raw: bytes) -> StatementHash:
    """Return the hash that names a statement: BLAKE2b-256 of all its bytes, person "nuthatch-stmt"."""
    return StatementHash(hash256(raw, person=b"nuthatch-stmt"))


def realm_id_of(genesis_body: bytes) -> RealmId:
    """Return the id of the realm that a Genesis founds: BLAKE2b-256 of its body, person "nuthatch-realm"."""
    return RealmId(hash256(genesis_body, person=b"nuthatch-realm"))


def encode_body(body: Body) -> bytes:
    """Return the bytes of a body that signatures cover. Raises LocalProtocolError if no reader would accept them."""
    raw = _encoder.encode(body)
    try:
        decode_body(raw)
    except RemoteProtocolError as error:
        raise LocalProtocolError(f"This statement must not be signed: {error}") from error
    return raw


def decode_body(raw: bytes) -> Body:
    """Return what `raw` says. Raises RemoteProtocolError unless it is the one encoding of an allowed body."""
    if len(raw) > STATEMENT_BYTES_MAX:
        raise RemoteProtocolError(f"A statement has at most {STATEMENT_BYTES_MAX} bytes.")
    try:
        body = _body_decoder.decode(raw)
    except (DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RemoteProtocolError("A statement's body is malformed.") from error
    if _encoder.encode(body) != raw:
        raise RemoteProtocolError("A statement's body is not in its one canonical encoding.")
    _check_body(body)
    return body


def sign_body(seed: bytes, label: str, realm_id: RealmId, body_raw: bytes) -> bytes:
    """Return the 64-byte signature of an encoded body under one of its kind's labels."""
    return sign(seed, signed_message(label, realm_id, body_raw))


def assemble(body_raw: bytes, signatures: Sequence[bytes]) -> bytes:
    """Return the bytes of a statement. Raises LocalProtocolError if no reader would accept them."""
    raw = _encoder.encode(_Framed(body_raw, tuple(signatures)))
    try:
        decode_statement(raw)
    except RemoteProtocolError as error:
        raise LocalProtocolError(f"This statement must not be sent: {error}") from error
    return raw


def sign_statement(body: Body, realm_id: RealmId, *seeds: bytes) -> bytes:
    """Return a statement's bytes, signed by `seeds` (32 bytes each) in the order of its labels."""
    labels = SIGNATURE_LABELS[type(body)]
    if len(seeds) != len(labels):
        raise LocalProtocolError(f"A {type(body).__name__} takes {len(labels)} signatures.")
    body_raw = encode_body(body)
    pairs = zip(seeds, labels, strict=True)
    return assemble(body_raw, [sign_body(seed, label, realm_id, body_raw) for seed, label in pairs])


def statements_of(kind: type[_Kind], statements: Iterable["Statement[Body]"]) -> list["Statement[_Kind]"]:
    """Return those of `statements` whose body is a `kind`, in their order."""
    return [cast(Statement[_Kind], statement) for statement in statements if type(statement.body) is kind]


def decode_statement(raw: bytes) -> Statement[Body]:
    """Return a statement with unchecked signatures. Raises RemoteProtocolError unless `raw` is well-formed."""
    if len(raw) > STATEMENT_BYTES_MAX:
        raise RemoteProtocolError(f"A statement has at most {STATEMENT_BYTES_MAX} bytes.")
    try:
        framed = _framed_decoder.decode(raw)
    except (DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RemoteProtocolError("A statement is malformed.") from error
    if _encoder.encode(framed) != raw:
        raise RemoteProtocolError("A statement is not in its one canonical encoding.")
    body = decode_body(framed.body)
    if len(framed.signatures) != len(SIGNATURE_LABELS[type(body)]):
        raise RemoteProtocolError("A statement has a wrong number of signatures.")
    return Statement(raw=raw, hash=statement_hash(raw), body_raw=framed.body, body=body, signatures=framed.signatures)


def _check_body(body: Body) -> None:
    """Raise RemoteProtocolError for what types alone cannot refuse."""
    if not isinstance(body, Genesis):
        _check_ascending(body.heads, "heads")
    match body:
        case Add():
            try:
                check_certificate(body.certificate)
            except UnusableName as error:
                raise RemoteProtocolError(str(error)) from error
        case Revoke():
            _check_frontiers(body.cut)
            if any(origin_device(entry.origin) != body.device_id for part in body.cut for entry in part.entries):
                raise RemoteProtocolError("A Revoke's cut names batches of the revoked device only.")
        case Seen() | Beat():
            _check_frontiers(body.frontiers)
        case Epoch():
            _check_ascending([wrap.device_id for wrap in body.wraps], "wraps")
        case OwnerRotate():
            _check_ascending(body.cut, "cut")
            _check_ascending(body.disown, "disown")
        case Genesis():
            pass


def _check_ascending(items: Sequence[_Item], name: str) -> None:
    if any(left >= right for left, right in pairwise(items)):
        raise RemoteProtocolError(f"The {name} of a statement stand in ascending order, each once.")


def _check_frontiers(frontiers: Sequence[StreamFrontier]) -> None:
    _check_ascending([part.stream for part in frontiers], "streams")
    for part in frontiers:
        _check_ascending([entry.origin for entry in part.entries], "origins")


def state_frontiers(frontier_by_stream: Mapping[Stream, Frontier]) -> tuple[StreamFrontier, ...]:
    """Return frontiers in the form that a statement carries; empty ones are left out."""
    return tuple(
        StreamFrontier(
            int(stream),
            tuple(StatedEntry(origin, entry.seq, entry.prefix) for origin, entry in sorted(frontier.entries.items())),
        )
        for stream, frontier in sorted(frontier_by_stream.items())
        if frontier.entries
    )


def read_frontiers(frontiers: Sequence[StreamFrontier]) -> dict[Stream, Frontier]:
    """Return the frontiers that a statement carries, without streams that this version has no name for."""
    known = {int(stream): stream for stream in Stream}
    return {
        known[part.stream]: Frontier({entry.origin: FrontierEntry(entry.seq, entry.prefix) for entry in part.entries})
        for part in frontiers
        if part.stream in known
    }


def join_frontiers(left: Mapping[Stream, Frontier], right: Mapping[Stream, Frontier]) -> dict[Stream, Frontier]:
    """Return, per stream, the least frontier that covers both."""
    streams = left.keys() | right.keys()
    return {
        stream: left.get(stream, EMPTY_FRONTIER).join(right.get(stream, EMPTY_FRONTIER)) for stream in sorted(streams)
    }

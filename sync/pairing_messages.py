"""What the two sides of a pairing say to each other inside their Noise channel, and what they compute alike.

Messages are tagged MessagePack arrays, one in each Noise message. PROTOCOL.md, section 6.
"""

from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import Annotated

from msgspec import DecodeError, Meta, Struct
from msgspec.msgpack import Decoder, Encoder

from sync.crypto import HASH_BYTES, KEY_BYTES, SIGNATURE_BYTES, domain, hash256, signed_message
from sync.errors import LocalProtocolError, RemoteProtocolError
from sync.identifiers import RealmId
from sync.identity import Certificate, UnusableName, check_certificate
from sync.limits import DISCOVERY_SECRETS_MAX, KIBIBYTE, MEBIBYTE, STATEMENT_BYTES_MAX
from sync.wire import length_prefixed

PROLOGUE = b"nuthatch-pair/1"
DIGITS = 6
#: All statements of a realm together; some 50,000 of them.
ROSTER_BYTES_MAX = 16 * MEBIBYTE
_PART_BYTES_TARGET = 32 * KIBIBYTE

Bytes32 = Annotated[bytes, Meta(min_length=32, max_length=32)]
Signature = Annotated[bytes, Meta(min_length=SIGNATURE_BYTES, max_length=SIGNATURE_BYTES)]
StatementBytes = Annotated[bytes, Meta(min_length=1, max_length=STATEMENT_BYTES_MAX)]


class CancelReason(IntEnum):
    """Why a side ends a pairing that had begun."""

    PERSON_REFUSED = 1
    WINDOW_CLOSED = 2


class Introduce(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=1):
    """The newcomer's certificate, and its proof that it holds the signature key and is in this very channel."""

    certificate: Certificate
    signature: Signature


class Commit(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=2):
    """The sponsor's commitment to the nonce that it will reveal."""

    commitment: Bytes32


class Contribute(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=3):
    """The newcomer's nonce, chosen without knowing the sponsor's."""

    nonce: Bytes32


class Reveal(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=4):
    """The sponsor's nonce; both sides can show the digits now."""

    nonce: Bytes32


class RosterPart(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=5):
    """Some of the realm's statements."""

    statements: Annotated[tuple[StatementBytes, ...], Meta(min_length=1)]


class Propose(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=6):
    """The newcomer's Add, signed by the owner; the roster is complete."""

    add_body: StatementBytes
    owner_signature: Signature


class Countersign(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=7):
    """The newcomer's own signature, without which the Add is none."""

    signature: Signature


class Admit(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=8):
    """The key epoch for all devices including the newcomer, and older discovery secrets, newest first.

    With those it can greet devices that have not heard of this epoch yet; older epoch keys it does not get.
    """

    epoch: StatementBytes
    discovery_secrets: Annotated[tuple[Bytes32, ...], Meta(max_length=DISCOVERY_SECRETS_MAX)]


class Done(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=9):
    """The newcomer has stored everything."""


class Cancel(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=10):
    """The pairing is over."""

    reason: CancelReason


Message = Introduce | Commit | Contribute | Reveal | RosterPart | Propose | Countersign | Admit | Done | Cancel

_encoder = Encoder()
_decoder: Decoder[Message] = Decoder(Message)


def encode_message(message: Message) -> bytes:
    """Return a message's bytes."""
    return _encoder.encode(message)


def decode_message(raw: bytes) -> Message:
    """Return the message that `raw` is the one encoding of, else raise RemoteProtocolError."""
    try:
        message = _decoder.decode(raw)
    except (DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RemoteProtocolError("A pairing message is malformed.") from error
    if _encoder.encode(message) != raw:
        raise RemoteProtocolError("A pairing message is not in its one canonical encoding.")
    if isinstance(message, Introduce):
        try:
            check_certificate(message.certificate)
        except UnusableName as error:
            raise RemoteProtocolError(str(error)) from error
    return message


def roster_parts(statements: Iterable[bytes]) -> Iterator[RosterPart]:
    """Yield `statements` in messages that each fit a Noise message."""
    part: list[bytes] = []
    part_bytes = 0
    for raw in statements:
        part.append(raw)
        part_bytes += len(raw)
        if part_bytes >= _PART_BYTES_TARGET:
            yield RosterPart(tuple(part))
            part, part_bytes = [], 0
    if part:
        yield RosterPart(tuple(part))


def introduction_message(realm_id: RealmId, handshake_hash: bytes, certificate: Certificate) -> bytes:
    """Return what the newcomer signs to introduce itself: the channel and its whole certificate."""
    return signed_message("devself", realm_id, handshake_hash + _encoder.encode(certificate))


def commitment(handshake_hash: bytes, nonce: bytes) -> bytes:
    """Return the 32 bytes that fix the sponsor's nonce (32 bytes) in this channel without showing it."""
    return hash256(length_prefixed(handshake_hash, nonce), person=b"nuthatch-commit")


def comparison_digits(
    handshake_hash: bytes, *, sponsor_nonce: bytes, newcomer_nonce: bytes, certificate: Certificate
) -> str:
    """Return the six digits that both screens show.

    Somebody in the middle has two channels with different hashes. The sponsor's nonce is fixed before the newcomer's
    is known and shown after, so nobody can choose either to make both screens agree: a try succeeds once in 10^6.
    """
    if len(sponsor_nonce) != KEY_BYTES or len(newcomer_nonce) != KEY_BYTES:
        raise LocalProtocolError("The digits are made from two nonces of 32 bytes.")
    parts = length_prefixed(handshake_hash, sponsor_nonce, newcomer_nonce, _encoder.encode(certificate))
    digest = hash256(domain("pair-digits") + parts, person=b"nuthatch-digits")
    return f"{int.from_bytes(digest[: HASH_BYTES // 2], 'big') % 10**DIGITS:0{DIGITS}d}"

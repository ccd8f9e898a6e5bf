"""The code that a trusted device shows and a new device reads: one secret, in a form to scan and a form to type.

The secret has 128 bits, so it can be the pre-shared key of the handshake: the first message carries a tag made with
it, against which a short code could be guessed offline. Only a device that already belongs shows a code, and no
function here, or anywhere, lets such a device consume one. PROTOCOL.md, section 6.
"""

from base64 import b32decode, b32encode
from binascii import Error as Base32Error
from collections.abc import Sequence
from dataclasses import dataclass, field
from re import compile as compile_pattern

from sync.crockford import MalformedCode, read_spelled, spell
from sync.crypto import KEY_BYTES, derive_key, hash256
from sync.errors import LocalProtocolError, RemoteProtocolError
from sync.wire import WireReader

CODE_SECRET_BYTES = 16
SPONSOR_CHECK_BYTES = 16
HINTS_MAX = 8
HINT_BYTES_MAX = 128
SCANNED_PREFIX = "NUT1:"
_VERSION = 1
_CHECKSUM_BYTES = 4
_SCANNED_CHARACTERS_MAX = 2400
_HINT = compile_pattern(r"(?:[A-Za-z0-9.-]{1,100}|\[[0-9A-Fa-f:.]{2,45}(?:%[A-Za-z0-9._-]{1,32})?\]):[0-9]{1,5}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PairingCode:
    """What a code says. A typed one holds the secret alone; a scanned one also whom to meet, and where.

    `sponsor_check` is the start of a hash of the sponsor's noise key; `hints` are "host:port" to try, best first.
    """

    secret: bytes = field(repr=False)
    sponsor_check: bytes | None = None
    hints: tuple[str, ...] = ()

    @property
    def psk(self) -> bytes:
        """The pre-shared key (32 bytes) of the pairing handshake."""
        return derive_key(self._key, "pair-psk")

    @property
    def rendezvous(self) -> str:
        """The name (16 hex characters) under which the sponsor can be found on the local network."""
        return derive_key(self._key, "pair-id")[:8].hex()

    @property
    def typed(self) -> str:
        """The form to type: 7 groups of 4 characters and a check character."""
        return spell(self.secret)

    @property
    def scanned(self) -> str:
        """The form for a QR code, or to paste. Raises LocalProtocolError if this code was itself read from typing."""
        if self.sponsor_check is None:
            raise LocalProtocolError("Only the device that shows a code knows its scanned form.")
        hints = b"".join(bytes([len(hint)]) + hint.encode("ascii") for hint in self.hints)
        content = bytes([_VERSION]) + self.secret + self.sponsor_check + bytes([len(self.hints)]) + hints
        return SCANNED_PREFIX + b32encode(content + _checksum(content)).decode("ascii").rstrip("=")

    @property
    def _key(self) -> bytes:
        return hash256(self.secret, person=b"nuthatch-pair")


def make_code(*, secret: bytes, sponsor_noise_public: bytes, hints: Sequence[str] = ()) -> PairingCode:
    """Return a code to show: `secret` is 16 random bytes, used once; `hints` are "host:port", IPv6 in brackets.

    Raises LocalProtocolError for a secret of another length, more than 8 hints, or a hint that is no address.
    """
    if len(secret) != CODE_SECRET_BYTES or len(sponsor_noise_public) != KEY_BYTES:
        raise LocalProtocolError(f"A code is made of {CODE_SECRET_BYTES} random bytes and a 32-byte key.")
    if len(hints) > HINTS_MAX or not all(_is_hint(hint) for hint in hints):
        raise LocalProtocolError(f"A code carries at most {HINTS_MAX} hints of the form host:port.")
    return PairingCode(secret=secret, sponsor_check=sponsor_check(sponsor_noise_public), hints=tuple(hints))


def read_code(text: str) -> PairingCode:
    """Return the code that a person scanned, pasted or typed. Raises MalformedCode, saying what is wrong with it."""
    stripped = text.strip()
    if stripped[: len(SCANNED_PREFIX)].upper() == SCANNED_PREFIX:
        return _read_scanned(stripped[len(SCANNED_PREFIX) :].upper())
    return PairingCode(secret=read_spelled(stripped, secret_bytes=CODE_SECRET_BYTES))


def sponsor_check(noise_public: bytes) -> bytes:
    """Return the 16 bytes by which a scanned code names the sponsor's noise key."""
    return hash256(noise_public, person=b"nuthatch-sponsor")[:SPONSOR_CHECK_BYTES]


def _read_scanned(encoded: str) -> PairingCode:
    content = _from_base32(encoded)
    if _checksum(content[:-_CHECKSUM_BYTES]) != content[-_CHECKSUM_BYTES:]:
        raise MalformedCode("This code is incomplete or has a mistake in it; please copy all of it again.")
    if content[0] != _VERSION:
        raise MalformedCode("This code was made by a newer version; please update Nuthatch on this device.")
    reader = WireReader(content[:-_CHECKSUM_BYTES], offset=1)
    try:
        secret, check = reader.take(CODE_SECRET_BYTES), reader.take(SPONSOR_CHECK_BYTES)
        hints = tuple(reader.take(reader.uint8()).decode("ascii") for _ in range(reader.uint8()))
        reader.finish()
    except (RemoteProtocolError, UnicodeDecodeError) as error:
        raise MalformedCode("This code does not have the parts that it should have.") from error
    if len(hints) > HINTS_MAX or not all(_is_hint(hint) for hint in hints):
        raise MalformedCode("This code names an address that cannot be one.")
    return PairingCode(secret=secret, sponsor_check=check, hints=hints)


def _from_base32(encoded: str) -> bytes:
    """Return the bytes, at least version and checksum, of which `encoded` is the one spelling."""
    malformed = MalformedCode("This is not a whole pairing code; please copy all of it again.")
    if len(encoded) > _SCANNED_CHARACTERS_MAX:
        raise malformed
    try:
        content = b32decode(encoded + "=" * (-len(encoded) % 8))
    except (Base32Error, ValueError) as error:
        raise malformed from error
    if len(content) <= _CHECKSUM_BYTES or b32encode(content).decode("ascii").rstrip("=") != encoded:
        raise malformed
    return content


def _is_hint(hint: str) -> bool:
    return (
        len(hint) <= HINT_BYTES_MAX and _HINT.fullmatch(hint) is not None and 0 < int(hint.rpartition(":")[2]) <= 65_535
    )


def _checksum(content: bytes) -> bytes:
    return hash256(content, person=b"nuthatch-code")[:_CHECKSUM_BYTES]

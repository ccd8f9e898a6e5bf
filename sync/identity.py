"""Who a device is: three key pairs, the id made from them, and the certificate that shows them with a name.

A key serves one purpose: `sign` (Ed25519) signs batches and statements, `noise` (X25519) opens sessions, `seal`
(X25519) receives key epochs. The id is the hash of all three, so no key can be exchanged under an id that is known.
PROTOCOL.md, section 4.
"""

from dataclasses import dataclass, field
from re import compile as compile_pattern
from typing import Annotated

from msgspec import Meta, Struct

from crdt.identifiers import DeviceId
from sync.crypto import KEY_BYTES, hash256, sign_keypair, x25519_keypair
from sync.errors import ProtocolError

NAME_CHARACTERS_MAX = 64
PLATFORM_CHARACTERS_MAX = 32

PublicKey = Annotated[bytes, Meta(min_length=KEY_BYTES, max_length=KEY_BYTES)]

# Fixed code points, not Unicode categories: Python's tables grow with every version, and a certificate must be valid
# on all devices or on none, else their rosters would differ for ever.
_WHITESPACE = "\u0020\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
_INVISIBLE = (
    "\u0000-\u001f\u007f-\u009f"  # control characters
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\uffa0"  # shown as nothing
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f"  # joiners, separators, and marks that turn the writing direction
    "\ud800-\udfff\ufdd0-\ufdef\ufeff\ufff9-\uffff"  # surrogates, noncharacters, annotations
    "\U000e0000-\U000e0fff"  # tags
)
_NAME = compile_pattern(
    f"[^{_INVISIBLE}{_WHITESPACE}]([^{_INVISIBLE}]{{0,{NAME_CHARACTERS_MAX - 2}}}[^{_INVISIBLE}{_WHITESPACE}])?"
)
_PLATFORM = compile_pattern(rf"[A-Za-z0-9][A-Za-z0-9 ._+-]{{0,{PLATFORM_CHARACTERS_MAX - 1}}}")


class UnusableName(ProtocolError):
    """A name or platform that a person chose cannot stand in a certificate; the message says what is allowed."""


def check_device_name(name: str) -> None:
    """Raise UnusableName unless `name` is 1 to 64 visible characters that cannot disguise how they read."""
    if _NAME.fullmatch(name) is None:
        raise UnusableName(
            f"A device's name has 1 to {NAME_CHARACTERS_MAX} visible characters, no space at either end, "
            "no line break, and no character that hides or turns the direction of writing."
        )


def check_platform(platform: str) -> None:
    """Raise UnusableName unless `platform` is 1 to 32 plain ASCII characters."""
    if _PLATFORM.fullmatch(platform) is None:
        raise UnusableName(
            f"A platform is 1 to {PLATFORM_CHARACTERS_MAX} ASCII letters, digits, spaces or . _ + -, "
            "and starts with a letter or digit."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DevicePublic:
    """The three public keys of a device, 32 bytes each."""

    sign: bytes
    noise: bytes
    seal: bytes

    @property
    def device_id(self) -> DeviceId:
        """The id that these keys make."""
        return device_id_of(self.sign, self.noise, self.seal)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceKeys:
    """The secret halves of a device's keys, 32 random bytes each. They never leave the device."""

    sign_seed: bytes = field(repr=False)
    noise_secret: bytes = field(repr=False)
    seal_secret: bytes = field(repr=False)

    @property
    def public(self) -> DevicePublic:
        """The public keys. Raises sync.errors.Rejected if a secret is not 32 bytes."""
        return DevicePublic(
            sign=sign_keypair(self.sign_seed).public,
            noise=x25519_keypair(self.noise_secret).public,
            seal=x25519_keypair(self.seal_secret).public,
        )

    @property
    def device_id(self) -> DeviceId:
        """The id of the device."""
        return self.public.device_id


class Certificate(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True):
    """What a device shows of itself; it counts only inside an `Add` signed by the owner and by the device."""

    sign: PublicKey
    noise: PublicKey
    seal: PublicKey
    name: Annotated[str, Meta(min_length=1, max_length=NAME_CHARACTERS_MAX)]
    platform: Annotated[str, Meta(min_length=1, max_length=PLATFORM_CHARACTERS_MAX)]

    @property
    def public(self) -> DevicePublic:
        """The three keys."""
        return DevicePublic(sign=self.sign, noise=self.noise, seal=self.seal)

    @property
    def device_id(self) -> DeviceId:
        """The id that the keys make; it is never sent, so it cannot lie."""
        return device_id_of(self.sign, self.noise, self.seal)


def device_id_of(sign: bytes, noise: bytes, seal: bytes) -> DeviceId:
    """Return BLAKE2b-256(sign ‖ noise ‖ seal), person "nuthatch-dev"."""
    return DeviceId(hash256(sign + noise + seal, person=b"nuthatch-dev"))


def make_certificate(public: DevicePublic, *, name: str, platform: str) -> Certificate:
    """Return the certificate of a device. Raises UnusableName for a name or platform that nobody would accept."""
    certificate = Certificate(sign=public.sign, noise=public.noise, seal=public.seal, name=name, platform=platform)
    check_certificate(certificate)
    return certificate


def check_certificate(certificate: Certificate) -> None:
    """Raise UnusableName if name or platform is not acceptable. Decoding alone bounds only the lengths."""
    check_device_name(certificate.name)
    check_platform(certificate.platform)

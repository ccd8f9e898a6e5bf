"""A passphrase slot: 32 secret bytes under a key that Argon2id makes from a passphrase.

The layout follows LUKS: the file states what the derivation costs and the salt, so that one slot can be rewritten
when a passphrase changes without touching what the secret itself protects. Everything stated is authenticated, with
the kind of slot and the device it belongs to, so a slot cannot be moved to another place or device. Both a floor and
a ceiling hold for the stated cost: below the floor a thief who edits the file could make later guesses cheap, above
the ceiling he could make the node take all memory.
"""

import unicodedata

import msgspec

from node.config import PassphraseCost
from node.entropy import Entropy
from node.errors import ConfigError, StorageError, UsageError, WrongPassphraseError
from sync.crypto import (
    AEAD_NONCE_BYTES,
    KEY_BYTES,
    SALT_BYTES,
    TAG_BYTES,
    aead_decrypt,
    aead_encrypt,
    argon2id,
    derive_key,
)
from sync.errors import Rejected
from sync.limits import PASSPHRASE_BYTES_MAX
from sync.wire import encode_uint32, encode_uint64, length_prefixed

COST_FLOOR = PassphraseCost.INTERACTIVE
COST_CEILING = PassphraseCost.SENSITIVE


class PassphraseSlot(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A wrapped secret with what is needed, besides the passphrase, to unwrap it."""

    operations: int
    memory_bytes: int
    salt: bytes
    nonce: bytes
    wrapped: bytes


def passphrase_bytes(passphrase: str) -> bytes:
    """Return the bytes that are hashed: Unicode NFC, so that all keyboards compose accents alike (RFC 8265).

    Raises `UsageError` for an empty or overlong passphrase.
    """
    encoded = unicodedata.normalize("NFC", passphrase).encode("utf-8", errors="surrogatepass")
    if not encoded:
        raise UsageError("An empty passphrase protects nothing; choose one of several words.")
    if len(encoded) > PASSPHRASE_BYTES_MAX:
        raise UsageError(f"The passphrase is longer than {PASSPHRASE_BYTES_MAX} bytes; was the wrong file given?")
    return encoded


def wrap_secret(
    secret: bytes,
    *,
    passphrase: str,
    kind: str,
    device_id: bytes,
    device_key: bytes = b"",
    cost: PassphraseCost,
    entropy: Entropy,
) -> PassphraseSlot:
    """Return a slot that holds `secret` (32 bytes); a `device_key` is needed beside the passphrase to open it."""
    salt, nonce = entropy.take(SALT_BYTES), entropy.take(AEAD_NONCE_BYTES)
    key = _slot_key(passphrase, salt, cost.operations, cost.memory_bytes, device_key)
    stated = _associated_data(kind, cost.operations, cost.memory_bytes, salt, device_id)
    return PassphraseSlot(
        operations=cost.operations,
        memory_bytes=cost.memory_bytes,
        salt=salt,
        nonce=nonce,
        wrapped=aead_encrypt(key, nonce, secret, stated),
    )


def unwrap_secret(
    slot: PassphraseSlot, *, passphrase: str, kind: str, device_id: bytes, device_key: bytes = b""
) -> bytes:
    """Return the 32 bytes in a slot.

    Raises `WrongPassphraseError` if the passphrase is wrong or anything of the slot was altered (the two look the
    same on purpose), `ConfigError` for a stated cost or length that no version of this program writes.
    """
    _check_stated(slot)
    key = _slot_key(passphrase, slot.salt, slot.operations, slot.memory_bytes, device_key)
    stated = _associated_data(kind, slot.operations, slot.memory_bytes, slot.salt, device_id)
    try:
        return aead_decrypt(key, slot.nonce, slot.wrapped, stated)
    except Rejected:
        raise WrongPassphraseError(f"The {kind} passphrase is wrong, or the key file was altered. Try again.") from None


def _check_stated(slot: PassphraseSlot) -> None:
    if not (
        COST_FLOOR.operations <= slot.operations <= COST_CEILING.operations
        and COST_FLOOR.memory_bytes <= slot.memory_bytes <= COST_CEILING.memory_bytes
    ):
        raise ConfigError(
            "The key file states a cost of the passphrase outside what Nuthatch writes; "
            "it was altered or damaged. Restore it from a backup."
        )
    lengths = (len(slot.salt), len(slot.nonce), len(slot.wrapped))
    if lengths != (SALT_BYTES, AEAD_NONCE_BYTES, KEY_BYTES + TAG_BYTES):
        raise ConfigError("The key file is damaged: a field has a wrong length. Restore it from a backup.")


def _slot_key(passphrase: str, salt: bytes, operations: int, memory_bytes: int, device_key: bytes) -> bytes:
    secret = passphrase_bytes(passphrase)
    try:
        stretched = argon2id(secret, salt, operations, memory_bytes)
    except Rejected:
        needed = memory_bytes // 2**20
        raise StorageError(
            f"Checking the passphrase needs {needed} MiB of free memory, which is not to be had."
        ) from None
    return derive_key(stretched, "passphrase-slot", device_key)


def _associated_data(kind: str, operations: int, memory_bytes: int, salt: bytes, device_id: bytes) -> bytes:
    return length_prefixed(
        b"nuthatch/key-slot/v1",
        kind.encode(),
        encode_uint32(operations),
        encode_uint64(memory_bytes),
        salt,
        device_id,
    )

"""Wraps libsodium and BLAKE2b behind functions that check every argument's type and exact length first.

Several PyNaCl 1.6.2 bindings hand keys of any length to C, which then reads past the buffer, and their exceptions are
not of one family (a ciphertext shorter than its tag raises the built-in ValueError). So this is the only module that
imports ``nacl``, no value reaches it unchecked, and every failure raises ``Rejected``. Only a label that is not one of
this program's constants raises LocalProtocolError. Primitives and their sources are listed in PROTOCOL.md, section 1.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b

from nacl.bindings import (
    crypto_aead_chacha20poly1305_ietf_decrypt,
    crypto_aead_chacha20poly1305_ietf_encrypt,
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
    crypto_box,
    crypto_box_seal_open,
    crypto_pwhash_alg,
    crypto_pwhash_ALG_ARGON2ID13,
    crypto_scalarmult,
    crypto_scalarmult_base,
    crypto_sign,
    crypto_sign_open,
    crypto_sign_seed_keypair,
)
from nacl.exceptions import CryptoError

from sync.errors import LocalProtocolError, Rejected
from sync.limits import ARGON2ID_MEMORY_BYTES_MAX, ARGON2ID_OPERATIONS_MAX, PASSPHRASE_BYTES_MAX
from sync.wire import length_prefixed

KEY_BYTES = 32
HASH_BYTES = 32
SIGNATURE_BYTES = 64
REALM_ID_BYTES = 32
TAG_BYTES = 16
AEAD_NONCE_BYTES = 24
NOISE_NONCE_BYTES = 12
SALT_BYTES = 16
SEALED_OVERHEAD_BYTES = KEY_BYTES + TAG_BYTES
_PERSON_BYTES_MAX = 16
# libsodium's own floors (crypto_pwhash_OPSLIMIT_MIN, _MEMLIMIT_MIN) for Argon2id.
_ARGON2ID_OPERATIONS_MIN = 1
_ARGON2ID_MEMORY_BYTES_MIN = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """A public key and its secret, 32 bytes each; for Ed25519 the secret is the seed."""

    public: bytes
    secret: bytes = field(repr=False)


def require_length(value: object, exact_bytes: int) -> None:
    """Raise Rejected unless ``value`` is ``bytes`` of exactly this length."""
    if not isinstance(value, bytes) or len(value) != exact_bytes:
        raise Rejected


def _require_bytes(*values: object) -> None:
    for value in values:
        if not isinstance(value, bytes):
            raise Rejected


@contextmanager
def _rejecting() -> Iterator[None]:
    """Turn every failure of the native layer into one. ``from None``: the cause may show arguments."""
    try:
        yield
    except (CryptoError, ValueError, TypeError, RuntimeError, OverflowError):
        raise Rejected from None


def _person(label: str) -> bytes:
    person = label.encode("ascii", errors="replace")
    if not 0 < len(person) <= _PERSON_BYTES_MAX or b"?" in person:
        raise LocalProtocolError(f"The label {label!r} is not 1 to 16 ASCII characters.")
    return person


# --- Hashes and key derivation (RFC 7693) ---


def hash256(data: bytes, *, person: bytes, key: bytes = b"", salt: bytes = b"") -> bytes:
    """Return the 32-byte BLAKE2b of ``data`` for the purpose named by ``person`` (1 to 16 bytes).

    ``key`` is 0 to 64 bytes, ``salt`` 0 to 16. Raises LocalProtocolError without a purpose, Rejected for wrong lengths.
    """
    _require_bytes(data, key, salt, person)
    if not 0 < len(person) <= _PERSON_BYTES_MAX:
        raise LocalProtocolError("A hash needs a purpose of 1 to 16 bytes.")
    with _rejecting():
        return blake2b(data, digest_size=HASH_BYTES, person=person, key=key, salt=salt).digest()


def derive_key(key: bytes, label: str, context: bytes = b"") -> bytes:
    """Return 32 bytes for one purpose: keyed BLAKE2b-256 of LP(context) with ``label`` (1 to 16 ASCII) as person."""
    require_length(key, KEY_BYTES)
    _require_bytes(context)
    return blake2b(length_prefixed(context), digest_size=HASH_BYTES, key=key, person=_person(label)).digest()


def argon2id(passphrase: bytes, salt: bytes, operations: int, memory_bytes: int) -> bytes:
    """Return the 32-byte Argon2id (version 1.3, one lane, RFC 9106) of a passphrase under a 16-byte salt.

    ``operations`` are passes, 1 to 16; ``memory_bytes`` 8 KiB to 2 GiB. What a stored key must at least have cost is
    the key file's rule, not this function's. Raises Rejected outside these bounds or if the memory is not to be had.
    """
    require_length(salt, SALT_BYTES)
    _require_bytes(passphrase)
    if type(operations) is not int or type(memory_bytes) is not int or len(passphrase) > PASSPHRASE_BYTES_MAX:
        raise Rejected
    if not _ARGON2ID_OPERATIONS_MIN <= operations <= ARGON2ID_OPERATIONS_MAX:
        raise Rejected
    if not _ARGON2ID_MEMORY_BYTES_MIN <= memory_bytes <= ARGON2ID_MEMORY_BYTES_MAX:
        raise Rejected
    with _rejecting():
        return crypto_pwhash_alg(KEY_BYTES, passphrase, salt, operations, memory_bytes, crypto_pwhash_ALG_ARGON2ID13)


# --- Signatures (Ed25519, RFC 8032) ---


def sign_keypair(seed: bytes) -> KeyPair:
    """Return the Ed25519 key pair of a 32-byte seed."""
    require_length(seed, KEY_BYTES)
    with _rejecting():
        public, _ = crypto_sign_seed_keypair(seed)
    return KeyPair(public=public, secret=seed)


def sign(seed: bytes, message: bytes) -> bytes:
    """Return the 64-byte signature of ``message``, which should come from ``signed_message``."""
    require_length(seed, KEY_BYTES)
    _require_bytes(message)
    with _rejecting():
        _, secret = crypto_sign_seed_keypair(seed)
        return crypto_sign(message, secret)[:SIGNATURE_BYTES]


def verify(public: bytes, signature: bytes, message: bytes) -> None:
    """Return if ``signature`` is the holder's of ``public`` over ``message``; raise Rejected otherwise.

    libsodium refuses small-order keys and signatures whose scalar is not reduced.
    """
    require_length(public, KEY_BYTES)
    require_length(signature, SIGNATURE_BYTES)
    _require_bytes(message)
    with _rejecting():
        crypto_sign_open(signature + message, public)


def signed_message(label: str, realm_id: bytes, body: bytes) -> bytes:
    """Return what a signature covers: LP("nuthatch/<label>/v1") ‖ realm_id (32) ‖ body.

    The label keeps a signature of one kind from being offered as another, the realm one person's from another's.
    """
    require_length(realm_id, REALM_ID_BYTES)
    _require_bytes(body)
    return domain(label) + realm_id + body


def domain(label: str) -> bytes:
    """Return LP("nuthatch/<label>/v1"), the prefix that names what the following bytes are."""
    if not label or not label.isascii() or "/" in label:
        raise LocalProtocolError(f"The label {label!r} must be non-empty ASCII without a slash.")
    return length_prefixed(b"nuthatch/" + label.encode("ascii") + b"/v1")


# --- Key agreement (X25519, RFC 7748) ---


def x25519_keypair(secret: bytes) -> KeyPair:
    """Return the X25519 key pair of a 32-byte secret."""
    require_length(secret, KEY_BYTES)
    with _rejecting():
        return KeyPair(public=crypto_scalarmult_base(secret), secret=secret)


def x25519(secret: bytes, public: bytes) -> bytes:
    """Return the 32-byte shared secret. Raises Rejected for a low-order point, whose result would be all zeros."""
    require_length(secret, KEY_BYTES)
    require_length(public, KEY_BYTES)
    with _rejecting():
        return crypto_scalarmult(secret, public)


# --- Authenticated encryption ---


def aead_encrypt(key: bytes, nonce: bytes, plaintext: bytes, associated_data: bytes) -> bytes:
    """Return the XChaCha20-Poly1305-IETF ciphertext, 16 bytes longer. ``nonce`` is 24 random bytes, used once."""
    require_length(key, KEY_BYTES)
    require_length(nonce, AEAD_NONCE_BYTES)
    _require_bytes(plaintext, associated_data)
    with _rejecting():
        return crypto_aead_xchacha20poly1305_ietf_encrypt(plaintext, associated_data, nonce, key)


def aead_decrypt(key: bytes, nonce: bytes, ciphertext: bytes, associated_data: bytes) -> bytes:
    """Return the plaintext, or raise Rejected if key, nonce, ciphertext or associated data is not as encrypted."""
    require_length(key, KEY_BYTES)
    require_length(nonce, AEAD_NONCE_BYTES)
    _require_bytes(ciphertext, associated_data)
    if len(ciphertext) < TAG_BYTES:
        raise Rejected
    with _rejecting():
        return crypto_aead_xchacha20poly1305_ietf_decrypt(ciphertext, associated_data, nonce, key)


def chacha20poly1305_encrypt(key: bytes, nonce: bytes, plaintext: bytes, associated_data: bytes) -> bytes:
    """Return the ChaCha20-Poly1305 ciphertext (RFC 8439), 16 bytes longer. ``nonce`` is Noise's 12-byte counter."""
    require_length(key, KEY_BYTES)
    require_length(nonce, NOISE_NONCE_BYTES)
    _require_bytes(plaintext, associated_data)
    with _rejecting():
        return crypto_aead_chacha20poly1305_ietf_encrypt(plaintext, associated_data, nonce, key)


def chacha20poly1305_decrypt(key: bytes, nonce: bytes, ciphertext: bytes, associated_data: bytes) -> bytes:
    """Return the plaintext, or raise Rejected if key, nonce, ciphertext or associated data is not as encrypted."""
    require_length(key, KEY_BYTES)
    require_length(nonce, NOISE_NONCE_BYTES)
    _require_bytes(ciphertext, associated_data)
    if len(ciphertext) < TAG_BYTES:
        raise Rejected
    with _rejecting():
        return crypto_aead_chacha20poly1305_ietf_decrypt(ciphertext, associated_data, nonce, key)


# --- Sealed boxes ---


def seal(recipient_public: bytes, ephemeral_secret: bytes, plaintext: bytes) -> bytes:
    """Return a sealed box, 48 bytes longer than ``plaintext``, that libsodium's crypto_box_seal_open opens.

    crypto_box_seal draws its ephemeral key itself; here it is an argument, so that the caller stays deterministic. The
    format is libsodium's: ephemeral_public ‖ crypto_box with nonce BLAKE2b-192(ephemeral_public ‖ recipient_public).
    ``ephemeral_secret`` is 32 random bytes, used for this one box.
    """
    require_length(recipient_public, KEY_BYTES)
    _require_bytes(plaintext)
    ephemeral = x25519_keypair(ephemeral_secret)
    nonce = blake2b(ephemeral.public + recipient_public, digest_size=AEAD_NONCE_BYTES).digest()
    with _rejecting():
        return ephemeral.public + crypto_box(plaintext, nonce, recipient_public, ephemeral.secret)


def unseal(recipient_secret: bytes, sealed: bytes) -> bytes:
    """Return what ``seal`` sealed for the holder of ``recipient_secret``, or raise Rejected."""
    recipient = x25519_keypair(recipient_secret)
    _require_bytes(sealed)
    if len(sealed) < SEALED_OVERHEAD_BYTES:
        raise Rejected
    with _rejecting():
        return crypto_box_seal_open(sealed, recipient.public, recipient.secret)

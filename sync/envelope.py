"""Seals a bundle of byte items under a key epoch, padded, and opens what another member sealed.

The items are what a session sends: signed batches, or pages of state. Nothing is compressed here: batches are already,
each by itself, and compressing several together would let the size of one tell about another. PROTOCOL.md, section 3,
gives the format byte for byte. Nonces are arguments.
"""

from collections.abc import Mapping, Sequence
from hmac import compare_digest
from typing import Final

from sync.crypto import (
    AEAD_NONCE_BYTES,
    KEY_BYTES,
    TAG_BYTES,
    aead_decrypt,
    aead_encrypt,
    derive_key,
    domain,
    require_length,
)
from sync.errors import LocalProtocolError, RemoteProtocolError, UnknownKeyEpoch
from sync.identifiers import REALM_ID_BYTES
from sync.limits import BATCH_BYTES_MAX, ENVELOPE_BYTES_MAX, ENVELOPE_ITEMS_MAX, PADDING_FLOOR_BYTES
from sync.wire import LENGTH_BYTES, WireReader, encode_uint32, join_length_prefixed, read_length_prefixed_list

MAGIC: Final = b"NUB1"
SUITE: Final = 1
# suite, flags, and two reserved bytes: one value each, so that no bit can be spent without a new suite.
_FIXED_HEADER: Final = MAGIC + bytes([SUITE, 0, 0, 0])
_KEY_ID_END: Final = len(_FIXED_HEADER) + KEY_BYTES
HEADER_BYTES: Final = _KEY_ID_END + AEAD_NONCE_BYTES
ENVELOPE_BYTES_MIN: Final = HEADER_BYTES + PADDING_FLOOR_BYTES + TAG_BYTES
# What one item costs in the plaintext beside itself.
ITEM_OVERHEAD_BYTES: Final = LENGTH_BYTES
_DOMAIN: Final = domain("batch")


def epoch_key_id(epoch_key: bytes) -> bytes:
    """Return the 32 bytes that name an epoch key to those who hold it and say nothing to others.

    As a hash of the key it also commits to it, which XChaCha20-Poly1305 by itself does not: a ciphertext made to open
    under two keys still names one.
    """
    return derive_key(epoch_key, "key-id")


def padded_bytes(content_bytes: int) -> int:
    """Return the size that content is padded to: Padmé, at least 1 KiB.

    Padmé (Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and Communication with PURBs", PoPETs 2019,
    algorithm 1) keeps as many leading bits of a length as its exponent has bits: at most 12 % larger, above 1 KiB at
    most 6.2 %, and only O(log log n) bits of the length remain visible.
    """
    if content_bytes <= PADDING_FLOOR_BYTES:
        return PADDING_FLOOR_BYTES
    exponent = content_bytes.bit_length() - 1
    low_bits_mask = (1 << (exponent - exponent.bit_length())) - 1
    return (content_bytes + low_bits_mask) & ~low_bits_mask


def seal_envelope(*, realm_id: bytes, epoch_key: bytes, nonce: bytes, items: Sequence[bytes]) -> bytes:
    """Return one envelope of 1 to 16,384 items, each of 1 byte to 8 MiB.

    ``epoch_key`` is 32 bytes, ``nonce`` 24 random bytes used for this envelope alone. Raises LocalProtocolError if the
    items do not fit one envelope, Rejected if a key, nonce or realm has a wrong length.
    """
    require_length(realm_id, REALM_ID_BYTES)
    if not 1 <= len(items) <= ENVELOPE_ITEMS_MAX:
        raise LocalProtocolError(f"An envelope holds 1 to {ENVELOPE_ITEMS_MAX} items, not {len(items)}.")
    if any(not 1 <= len(item) <= BATCH_BYTES_MAX for item in items):
        raise LocalProtocolError(f"An item of an envelope has 1 to {BATCH_BYTES_MAX} bytes.")
    content_bytes = LENGTH_BYTES + sum(map(len, items)) + ITEM_OVERHEAD_BYTES * len(items)
    padded = padded_bytes(content_bytes)
    if HEADER_BYTES + padded + TAG_BYTES > ENVELOPE_BYTES_MAX:
        raise LocalProtocolError(f"{content_bytes} bytes of items exceed an envelope of {ENVELOPE_BYTES_MAX}.")
    plaintext = b"".join((encode_uint32(len(items)), join_length_prefixed(items), bytes(padded - content_bytes)))
    header = _FIXED_HEADER + epoch_key_id(epoch_key) + nonce
    return header + aead_encrypt(derive_key(epoch_key, "batch-key"), nonce, plaintext, _DOMAIN + realm_id + header)


def open_envelope(*, realm_id: bytes, epoch_key_by_key_id: Mapping[bytes, bytes], raw: bytes) -> list[bytes]:
    """Return the items of an envelope of this realm.

    ``epoch_key_by_key_id`` maps ``epoch_key_id`` of each held key to the key. The one key named in the header is used;
    none is tried. Raises UnknownKeyEpoch if it is not held, Rejected if the envelope was not sealed so by a holder,
    RemoteProtocolError if a holder sealed something that is not a list of items, padded as it must be.
    """
    require_length(realm_id, REALM_ID_BYTES)
    if not ENVELOPE_BYTES_MIN <= len(raw) <= ENVELOPE_BYTES_MAX:
        raise RemoteProtocolError(f"An envelope has {ENVELOPE_BYTES_MIN} to {ENVELOPE_BYTES_MAX} bytes.")
    if not raw.startswith(_FIXED_HEADER):
        raise RemoteProtocolError("This is not an envelope of the one suite that exists.")
    key_id = raw[len(_FIXED_HEADER) : _KEY_ID_END]
    epoch_key = epoch_key_by_key_id.get(key_id)
    if epoch_key is None:
        raise UnknownKeyEpoch
    if not compare_digest(epoch_key_id(epoch_key), key_id):
        raise LocalProtocolError("A held epoch key is filed under the id of another.")
    header = raw[:HEADER_BYTES]
    associated_data = _DOMAIN + realm_id + header
    plaintext = aead_decrypt(
        derive_key(epoch_key, "batch-key"), raw[_KEY_ID_END:HEADER_BYTES], raw[HEADER_BYTES:], associated_data
    )
    return _parse_items(plaintext)


def _parse_items(plaintext: bytes) -> list[bytes]:
    count = WireReader(plaintext).uint32()
    if not 1 <= count <= ENVELOPE_ITEMS_MAX:
        raise RemoteProtocolError(f"An envelope holds 1 to {ENVELOPE_ITEMS_MAX} items, not {count}.")
    items, content_bytes = read_length_prefixed_list(
        plaintext, offset=LENGTH_BYTES, count=count, item_bytes_min=1, item_bytes_max=BATCH_BYTES_MAX
    )
    # Exactly the one padding the sealer makes: a free length or free bytes would be a channel nobody looks at.
    if len(plaintext) != padded_bytes(content_bytes) or not plaintext.endswith(bytes(len(plaintext) - content_bytes)):
        raise RemoteProtocolError("An envelope is not padded as its content demands.")
    return items

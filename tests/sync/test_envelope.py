"""Checks that an envelope opens for holders of its key, unchanged, and for nobody else in any way."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync.crypto import aead_encrypt, derive_key
from sync.envelope import (
    ENVELOPE_BYTES_MIN,
    HEADER_BYTES,
    epoch_key_id,
    open_envelope,
    padded_bytes,
    seal_envelope,
)
from sync.errors import LocalProtocolError, Rejected, RemoteProtocolError, UnknownKeyEpoch
from sync.limits import BATCH_BYTES_MAX, ENVELOPE_BYTES_MAX, ENVELOPE_ITEMS_MAX, MEBIBYTE
from sync.wire import encode_uint32, length_prefixed

REALM = b"R" * 32
KEY = b"K" * 32
NONCE = b"N" * 24
HELD = {epoch_key_id(KEY): KEY}


def seal(items: list[bytes], *, realm_id: bytes = REALM, key: bytes = KEY, nonce: bytes = NONCE) -> bytes:
    return seal_envelope(realm_id=realm_id, epoch_key=key, nonce=nonce, items=items)


def unseal(raw: bytes) -> list[bytes]:
    return open_envelope(realm_id=REALM, epoch_key_by_key_id=HELD, raw=raw)


def sealed_plaintext(plaintext: bytes, *, fixed_header: bytes = b"NUB1\x01\0\0\0") -> bytes:
    """Seal what a member with the key, but not with our code, could."""
    header = fixed_header + epoch_key_id(KEY) + NONCE
    associated_data = length_prefixed(b"nuthatch/batch/v1") + REALM + header
    return header + aead_encrypt(derive_key(KEY, "batch-key"), NONCE, plaintext, associated_data)


@given(st.lists(st.binary(min_size=1, max_size=3000), min_size=1, max_size=20))
@settings(derandomize=True, max_examples=100)
def test_what_was_sealed_is_opened(items: list[bytes]) -> None:
    raw = seal(items)
    assert unseal(raw) == items
    content_bytes = 4 + sum(4 + len(item) for item in items)
    assert len(raw) == HEADER_BYTES + padded_bytes(content_bytes) + 16


def test_the_format_is_the_specified_bytes() -> None:
    plaintext = encode_uint32(2) + length_prefixed(b"first", b"second")
    assert seal([b"first", b"second"]) == sealed_plaintext(plaintext.ljust(1024, b"\0"))


def test_an_envelope_with_any_byte_changed_is_refused() -> None:
    raw = seal([b"memory"])
    for position in range(len(raw)):
        changed = bytearray(raw)
        changed[position] ^= 1 << position % 8
        with pytest.raises(RemoteProtocolError):
            unseal(bytes(changed))


def test_every_single_bit_of_the_header_is_authenticated() -> None:
    raw = seal([b"memory"])
    for position in range(8 * HEADER_BYTES):
        changed = bytearray(raw)
        changed[position // 8] ^= 1 << position % 8
        with pytest.raises(RemoteProtocolError):
            unseal(bytes(changed))


def test_an_envelope_cut_or_extended_is_refused() -> None:
    raw = seal([b"memory"])
    for changed in (b"", raw[:HEADER_BYTES], raw[:-1], raw + b"\0", raw + bytes(16), raw * 2):
        with pytest.raises(RemoteProtocolError):
            unseal(changed)


def test_an_envelope_of_another_realm_is_rejected() -> None:
    with pytest.raises(Rejected):
        unseal(seal([b"memory"], realm_id=b"Q" * 32))


def test_an_envelope_under_a_key_that_is_not_held_is_named_as_such() -> None:
    with pytest.raises(UnknownKeyEpoch):
        unseal(seal([b"memory"], key=b"L" * 32))


def test_a_key_id_swapped_for_another_held_one_is_rejected() -> None:
    other = b"L" * 32
    raw = seal([b"memory"])
    swapped = raw[:8] + epoch_key_id(other) + raw[40:]
    with pytest.raises(Rejected):
        open_envelope(realm_id=REALM, epoch_key_by_key_id={**HELD, epoch_key_id(other): other}, raw=swapped)


def test_a_key_filed_under_a_wrong_id_is_our_own_error_and_opens_nothing() -> None:
    # The id is the commitment to the key: believing the mapping instead of the hash would give that up.
    other = b"L" * 32
    raw = seal([b"memory"])
    with pytest.raises(LocalProtocolError):
        open_envelope(realm_id=REALM, epoch_key_by_key_id={epoch_key_id(KEY): other}, raw=raw)


@pytest.mark.parametrize(
    "plaintext",
    [
        b"".ljust(1024, b"\0"),
        encode_uint32(ENVELOPE_ITEMS_MAX + 1).ljust(1024, b"\0"),
        encode_uint32(2**32 - 1).ljust(1024, b"\xff"),
        (encode_uint32(2) + length_prefixed(b"one")).ljust(1024, b"\0"),
        (encode_uint32(1) + encode_uint32(0)).ljust(1024, b"\0"),
        (encode_uint32(1) + encode_uint32(2000)).ljust(1024, b"\0"),
        (encode_uint32(1) + encode_uint32(2**31)).ljust(1024, b"\0"),
        (encode_uint32(1) + encode_uint32(BATCH_BYTES_MAX + 1)).ljust(1024, b"\0"),
        (encode_uint32(1) + length_prefixed(b"one", b"two")).ljust(1024, b"\0"),
        (encode_uint32(1) + length_prefixed(b"one")).ljust(1023, b"\0") + b"\x01",
        (encode_uint32(1) + length_prefixed(b"one")).ljust(1025, b"\0"),
        (encode_uint32(1) + length_prefixed(b"one")).ljust(2048, b"\0"),
        encode_uint32(1) + length_prefixed(bytes(1025)),
        encode_uint32(1) + encode_uint32(1020) + bytes(1016),
    ],
    ids=[
        "no items",
        "too many items",
        "more items than bytes",
        "fewer items than said",
        "empty item",
        "item longer than the envelope",
        "length that is negative as a signed integer",
        "item over the limit",
        "an item behind the last",
        "a byte in the padding",
        "padded by one too many",
        "padded to another size",
        "not padded",
        "an item that ends behind the plaintext",
    ],
)
def test_a_list_that_a_member_sealed_wrongly_is_refused(plaintext: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        unseal(sealed_plaintext(plaintext))


@pytest.mark.parametrize("position", range(8))
def test_a_member_cannot_bring_in_another_suite_flag_or_reserved_bit(position: int) -> None:
    fixed_header = bytearray(b"NUB1\x01\0\0\0")
    plaintext = (encode_uint32(1) + length_prefixed(b"one")).ljust(1024, b"\0")
    assert unseal(sealed_plaintext(plaintext, fixed_header=bytes(fixed_header))) == [b"one"]
    fixed_header[position] ^= 1
    with pytest.raises(RemoteProtocolError):
        unseal(sealed_plaintext(plaintext, fixed_header=bytes(fixed_header)))


@given(st.binary(max_size=1200))
@settings(derandomize=True, max_examples=300)
def test_any_sealed_bytes_are_opened_to_exactly_what_gives_them_or_refused(plaintext: bytes) -> None:
    raw = sealed_plaintext(plaintext)
    try:
        items = unseal(raw)
    except RemoteProtocolError:
        return
    assert seal(items) == raw


@given(st.binary(max_size=1200))
@settings(derandomize=True, max_examples=200)
def test_any_bytes_at_all_are_refused(junk: bytes) -> None:
    for raw in (junk, b"NUB1\x01\0\0\0" + junk, seal([b"m"])[:HEADER_BYTES] + junk):
        with pytest.raises(RemoteProtocolError):
            unseal(raw)


def test_the_largest_batch_fits_one_envelope_and_nothing_larger_is_made() -> None:
    raw = seal([bytes(BATCH_BYTES_MAX)])
    assert len(raw) <= ENVELOPE_BYTES_MAX
    assert unseal(raw) == [bytes(BATCH_BYTES_MAX)]
    for items in (
        [],
        [b""],
        [bytes(BATCH_BYTES_MAX + 1)],
        [bytes(5 * MEBIBYTE)] * 2,
        [b"m"] * (ENVELOPE_ITEMS_MAX + 1),
    ):
        with pytest.raises(LocalProtocolError):
            seal(items)


def test_an_envelope_over_the_limit_is_refused_by_its_size_alone() -> None:
    with pytest.raises(RemoteProtocolError, match="bytes"):
        unseal(seal([b"m"])[:HEADER_BYTES] + bytes(ENVELOPE_BYTES_MAX))


def test_small_bundles_all_have_one_size_and_others_one_of_few() -> None:
    assert {len(seal([bytes(length)])) for length in (1, 100, 1016)} == {ENVELOPE_BYTES_MIN}
    sizes = {padded_bytes(length) for length in range(MEBIBYTE + 1)}
    assert len(sizes) <= 225
    for length in range(1, MEBIBYTE, 997):
        padded = padded_bytes(length)
        assert length <= padded
        assert padded == padded_bytes(padded)
        if length > 1024:
            assert padded - length <= 0.0625 * length


def test_arguments_of_a_wrong_length_are_rejected() -> None:
    for length in (0, 31, 33):
        with pytest.raises(Rejected):
            seal([b"m"], realm_id=bytes(length))
        with pytest.raises(Rejected):
            seal([b"m"], key=bytes(length))
        with pytest.raises(Rejected):
            open_envelope(realm_id=bytes(length), epoch_key_by_key_id=HELD, raw=seal([b"m"]))
    for length in (0, 23, 25):
        with pytest.raises(Rejected):
            seal([b"m"], nonce=bytes(length))

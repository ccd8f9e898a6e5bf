"""Checks that the readers accept exactly what the writers produce."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync.errors import LocalProtocolError, RemoteProtocolError
from sync.wire import (
    UINT32_MAX,
    UINT64_MAX,
    WireReader,
    encode_uint32,
    encode_uint64,
    length_prefixed,
    read_length_prefixed_list,
)


def test_integers_are_big_endian_and_of_fixed_width() -> None:
    assert encode_uint32(0x01020304) == b"\x01\x02\x03\x04"
    assert encode_uint64(1) == bytes(7) + b"\x01"
    reader = WireReader(b"\x09" + encode_uint32(UINT32_MAX) + encode_uint64(UINT64_MAX))
    assert (reader.uint8(), reader.uint32(), reader.uint64()) == (9, UINT32_MAX, UINT64_MAX)
    reader.finish()


@pytest.mark.parametrize("value", [-1, UINT32_MAX + 1])
def test_an_integer_that_does_not_fit_32_bits_is_our_own_error(value: int) -> None:
    with pytest.raises(LocalProtocolError):
        encode_uint32(value)


@pytest.mark.parametrize("value", [-1, UINT64_MAX + 1])
def test_an_integer_that_does_not_fit_64_bits_is_our_own_error(value: int) -> None:
    with pytest.raises(LocalProtocolError):
        encode_uint64(value)


@given(st.lists(st.binary(max_size=40), max_size=8), st.lists(st.binary(max_size=40), max_size=8))
@settings(derandomize=True, max_examples=200)
def test_length_prefixing_is_injective_and_reads_back(parts: list[bytes], others: list[bytes]) -> None:
    encoded = length_prefixed(*parts)
    assert (encoded == length_prefixed(*others)) == (parts == others)
    items, offset = read_length_prefixed_list(encoded, offset=0, count=len(parts), item_bytes_max=40)
    assert items == parts
    assert offset == len(encoded)
    reader = WireReader(encoded)
    assert [reader.length_prefixed(40) for _ in parts] == parts
    reader.finish()


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=5), st.data())
@settings(derandomize=True, max_examples=200)
def test_a_list_cut_anywhere_is_refused(parts: list[bytes], data: st.DataObject) -> None:
    encoded = length_prefixed(*parts)
    cut = encoded[: data.draw(st.integers(0, len(encoded) - 1))]
    with pytest.raises(RemoteProtocolError):
        read_length_prefixed_list(cut, offset=0, count=len(parts), item_bytes_max=20)


def test_a_length_outside_its_limits_is_refused_before_the_field_is_looked_for() -> None:
    for declared in (0, 11, 2**31, UINT32_MAX):
        data = encode_uint32(declared) + bytes(10)
        with pytest.raises(RemoteProtocolError, match=str(declared)):
            WireReader(data).length_prefixed(10, bytes_min=1)
        with pytest.raises(RemoteProtocolError, match=str(declared)):
            read_length_prefixed_list(data, offset=0, count=1, item_bytes_min=1, item_bytes_max=10)


def test_a_field_that_ends_too_early_is_refused_and_nothing_is_consumed() -> None:
    reader = WireReader(b"abc")
    for count in (4, -1):
        with pytest.raises(RemoteProtocolError):
            reader.take(count)
    assert (reader.offset, reader.remaining) == (0, 3)


def test_bytes_left_over_are_refused() -> None:
    reader = WireReader(b"abc")
    assert reader.take(2) == b"ab"
    with pytest.raises(RemoteProtocolError, match="1 bytes"):
        reader.finish()

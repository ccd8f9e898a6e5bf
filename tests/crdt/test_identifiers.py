"""Identifiers have exact lengths, and their bytes compare as the numbers inside them."""

from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdt.errors import MergeError
from crdt.identifiers import (
    DOT_BYTES,
    ORIGIN_BYTES,
    STAMP_BYTES,
    ZERO_STAMP,
    Origin,
    dot_origin,
    dot_seq,
    make_dot,
    make_origin,
    make_stamp,
    natural_row_id,
    origin_device,
    origin_incarnation,
    row_id_from_text,
    row_id_to_text,
    stamp_hlc,
    stamp_origin,
    stamp_seq,
    uuid7,
)

ORIGINS = st.binary(min_size=ORIGIN_BYTES, max_size=ORIGIN_BYTES).map(Origin)
STAMPS = st.tuples(st.integers(0, 2**64 - 1), ORIGINS, st.integers(0, 2**64 - 1))
bounded = settings(max_examples=80, derandomize=True, deadline=None)


@bounded
@given(first=STAMPS, second=STAMPS)
def test_stamps_compare_by_time_then_origin_then_number(
    first: tuple[int, Origin, int], second: tuple[int, Origin, int]
) -> None:
    assert (make_stamp(*first) < make_stamp(*second)) == (first < second)


@bounded
@given(parts=STAMPS)
def test_a_stamp_gives_back_what_it_was_made_of(parts: tuple[int, Origin, int]) -> None:
    stamp = make_stamp(*parts)
    assert len(stamp) == STAMP_BYTES
    assert (stamp_hlc(stamp), stamp_origin(stamp), stamp_seq(stamp)) == parts
    assert stamp >= ZERO_STAMP


@bounded
@given(origin=ORIGINS, seq=st.integers(0, 2**64 - 1), index=st.integers(0, 2**32 - 1))
def test_a_dot_gives_back_what_it_was_made_of(origin: Origin, seq: int, index: int) -> None:
    dot = make_dot(origin, seq, index)
    assert (len(dot), dot_origin(dot), dot_seq(dot)) == (DOT_BYTES, origin, seq)


def test_an_origin_is_a_device_and_an_incarnation() -> None:
    origin = make_origin(b"d" * 32, b"i" * 8)
    assert (origin_device(origin), origin_incarnation(origin)) == (b"d" * 32, b"i" * 8)


@pytest.mark.parametrize(("device", "incarnation"), [(b"d" * 31, b"i" * 8), (b"d" * 32, b"i" * 9), (b"", b"")])
def test_an_origin_of_other_lengths_is_refused(device: bytes, incarnation: bytes) -> None:
    with pytest.raises(MergeError):
        make_origin(device, incarnation)


def test_a_stamp_of_a_malformed_origin_is_refused() -> None:
    with pytest.raises(MergeError):
        make_stamp(1, Origin(b"short"), 1)


@bounded
@given(milliseconds=st.integers(0, 2**48 - 1), randomness=st.binary(min_size=10, max_size=10))
def test_a_uuid7_is_one_and_begins_with_its_time(milliseconds: int, randomness: bytes) -> None:
    row_id = uuid7(milliseconds, randomness)
    uuid = UUID(bytes=row_id)
    assert (uuid.version, uuid.variant) == (7, "specified in RFC 4122")
    assert int.from_bytes(row_id[:6], "big") == milliseconds
    assert row_id_from_text(row_id_to_text(row_id)) == row_id


def test_uuid7s_of_later_milliseconds_are_greater() -> None:
    made = [uuid7(milliseconds, bytes([255 - milliseconds] * 10)) for milliseconds in range(100)]
    assert all(earlier < later for earlier, later in pairwise(made))


def test_natural_ids_differ_by_table_and_key_and_are_uuids_of_their_own_kind() -> None:
    names = [("a", "b"), ("a", "c"), ("b", "b"), ("a\0b", ""), ("", "ab")]
    made = {natural_row_id(table, key) for table, key in names}
    assert len(made) == len(names)
    assert {UUID(bytes=row_id).version for row_id in made} == {8}


@pytest.mark.parametrize("text", ["", "id", "0192f0c1-5a3e-7b1c-8d2e-3f4a5b6c7d8", "g" * 32, "0" * 33])
def test_text_that_is_no_id_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(MergeError, match="looks like"):
        row_id_from_text(text)


def test_hyphens_and_spaces_around_an_id_are_forgiven() -> None:
    row_id = uuid7(1, bytes(10))
    assert row_id_from_text(f" {row_id.hex()}\n") == row_id

"""A long JSON text is taken apart into records, in blocks of any size, and what is no record costs only itself."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.importers import json_records
from node.importers.json_records import JsonRecord, Unreadable, decoded
from node.importers.json_records import json_records as records_of

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
RECORDS = st.lists(st.dictionaries(st.text(max_size=5), VALUES, max_size=4), max_size=5)


def taken_apart(content: bytes, block_bytes: int) -> list[JsonRecord]:
    return list(records_of(content[start : start + block_bytes] for start in range(0, len(content), block_bytes)))


@settings(derandomize=True, max_examples=150, deadline=None)
@given(RECORDS, st.integers(4, 40), st.sampled_from([None, 1]), st.booleans())
def test_every_record_comes_whole_whatever_the_blocks(
    records: list[dict[str, Any]], block_bytes: int, indent: int | None, ascii_only: bool
) -> None:
    text = json.dumps(records, indent=indent, ensure_ascii=ascii_only)
    found = taken_apart(text.encode(), block_bytes)
    assert [json.loads(record.content) for record in found] == records
    assert not any(record.problem for record in found)
    lines = "".join(json.dumps(record, ensure_ascii=ascii_only) + "\n" for record in records)
    assert [json.loads(record.content) for record in taken_apart(lines.encode(), block_bytes)] == records


@settings(derandomize=True, max_examples=300, deadline=None)
@given(st.binary(max_size=60) | st.text('{}[]",:\\ \n1a', max_size=60).map(str.encode), st.integers(4, 30))
def test_any_bytes_give_the_same_records_whatever_the_blocks(content: bytes, block_bytes: int) -> None:
    assert taken_apart(content, block_bytes) == taken_apart(content, 1000)


def test_a_record_tells_the_line_on_which_it_begins() -> None:
    text = b'\xef\xbb\xbf[\n{"a": "x\\n[",\n "b": [\n1]},\n\n{}, {"c":\n2}]'
    assert [record.line for record in taken_apart(text, 1000)] == [2, 6, 6]


@pytest.mark.parametrize(
    ("content", "whole", "problem"),
    [
        (b'[{"a":1},{"b":', 1, "ends in the middle"),
        (b'[{"a":1},', 1, "cut off"),
        (b'[1,{"a":1},"x"]', 1, "an object is expected"),
        (b"hello", 0, "an object is expected"),
    ],
)
def test_what_is_no_record_is_told_and_the_others_are_taken(content: bytes, whole: int, problem: str) -> None:
    found = taken_apart(content, 1000)
    assert sum(record.problem is None for record in found) == whole
    assert any(problem in (record.problem or "") for record in found)


def test_a_record_without_an_end_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_records, "RECORD_BYTES_MAX", 10_000)
    read = 0

    def endless() -> Any:
        nonlocal read
        yield b'[{"a":1},{"b":"'
        for _ in range(1_000):
            read += 1
            yield b"x" * 1_000

    found = list(records_of(endless()))
    assert read < 20
    assert "no end of this record" in (found[-1].problem or "")


def test_halves_of_characters_and_nuls_are_replaced_and_the_rest_of_the_record_stays() -> None:
    assert decoded(rb'{"a\u0000":"x\ud83c","b":[1,"\u0000"]}', dict[str, object]) == {"a�": "x�", "b": [1, "�"]}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b'{"a":1', "not valid JSON"),
        (b'{"\xff":1}', "UTF-8"),
        (b'{"a":"text"}', r"Expected int, got str - at \$\[\.\.\.\]"),
    ],
)
def test_a_record_that_is_not_what_it_should_be_says_what_is_wrong(content: bytes, problem: str) -> None:
    with pytest.raises(Unreadable, match=problem):
        decoded(content, dict[str, int])


def test_a_record_that_is_nested_without_measure_is_refused() -> None:
    with pytest.raises(Unreadable, match="nested too deeply"):
        decoded(b'{"a":' + b"[" * 20_000 + b"]" * 20_000 + b"}", dict[str, object])

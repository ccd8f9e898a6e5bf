"""Files that no program ever wrote: each importer takes what the store can hold and never fails."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.errors import InputError
from node.importers import record_importer_by_format
from node.importers.documents import document_of
from node.importers.plan import ImportedRecord, ImportedRow, LeftOut, row_problem
from node.schemas import CORE_COMPONENTS
from tests.support.importing import FIXTURES, everything, import_records
from tests.support.scratch_store import scratch_store

IMPORTERS = record_importer_by_format()
TABLES = {table.name: table for component in CORE_COMPONENTS for table in component.tables}
TYPES = {"TEXT": str, "INTEGER": int, "REAL": float, "BLOB": bytes}
JSON_FIXTURES = {
    "chatgpt": FIXTURES / "chatgpt_2025.json",
    "claude": FIXTURES / "claude" / "conversations.json",
    "mem0": FIXTURES / "mem0_get_all.json",
    "pam": FIXTURES / "memory-store.json",
    "mcp-memory": FIXTURES / "memory.jsonl",
}
ALL_FIXTURES = JSON_FIXTURES | {
    "csv": FIXTURES / "notes.csv",
    "markdown": FIXTURES / "vault" / "Daily" / "2024-05-01.md",
}
ODD_VALUES: st.SearchStrategy[object] = st.sampled_from(
    [None, True, 0, -1, 1.5, 2**70, 1e300, "", " ", "x", "\x00", "\ud800", [], [None], [[]], {}, {"": None}, {"a": 1}]
)


def checked(name: str, content: bytes) -> int:
    """Read content and return how many rows it gave, each of them as its table wants it."""
    rows = left_out = 0
    try:
        for item in IMPORTERS[name].records(document_of(content, "file")):
            match item:
                case ImportedRecord():
                    for row in item.rows:
                        _check(row)
                    rows += len(item.rows)
                case LeftOut():
                    assert item.place.startswith("file")
                    assert item.problem
                    left_out += 1
    except InputError:
        assert name in ("csv", "markdown")
    return rows


def _check(row: ImportedRow) -> None:
    columns = {column.name: column for column in TABLES[row.table].columns}
    assert row_problem(row) is None
    for name, value in row.cells.items():
        assert value is None or type(value) is TYPES[columns[name].type]


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Return every container of a JSON value with each of its keys or indices."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(items):
        yield value, key
        yield from places(inner)


@pytest.mark.parametrize("name", sorted(JSON_FIXTURES))
@settings(derandomize=True, max_examples=150, deadline=None)
@given(data=st.data())
def test_any_value_in_any_place_is_read_or_left_out(name: str, data: st.DataObject) -> None:
    text = JSON_FIXTURES[name].read_text()
    by_line = name == "mcp-memory"
    document: Any = [json.loads(line) for line in text.split("\n") if line] if by_line else json.loads(text)
    for _ in range(data.draw(st.integers(1, 3))):
        container, key = data.draw(st.sampled_from(list(places(document))))
        container[key] = data.draw(ODD_VALUES)
    if by_line:
        checked(name, "".join(json.dumps(line) + "\n" for line in document).encode())
    else:
        checked(name, json.dumps(document).encode())


@pytest.mark.parametrize("name", sorted(ALL_FIXTURES))
@settings(derandomize=True, max_examples=100, deadline=None)
@given(data=st.data())
def test_a_file_that_was_damaged_anywhere_is_read_or_left_out(name: str, data: st.DataObject) -> None:
    content = bytearray(ALL_FIXTURES[name].read_bytes())
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(start, min(len(content), start + 30)))
    content[start:end] = data.draw(st.binary(max_size=10) | st.text('{}[]",:\\\n-', max_size=10).map(str.encode))
    checked(name, bytes(content))


@pytest.mark.parametrize("name", sorted(ALL_FIXTURES))
def test_the_checks_see_a_row_that_the_table_would_refuse(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert checked(name, ALL_FIXTURES[name].read_bytes()) > 0
    monkeypatch.setitem(TYPES, "TEXT", bytes)
    with pytest.raises(AssertionError):
        checked(name, ALL_FIXTURES[name].read_bytes())


def test_values_of_every_kind_go_into_a_store(tmp_path: Path) -> None:
    document = json.loads(JSON_FIXTURES["chatgpt"].read_bytes())
    question = document[0]["mapping"]["q1"]["message"]
    question["content"]["parts"] = [{"asset_pointer": "x", "size_bytes": True, "width": 2**60}, "\x00 and \ud800"]
    question["metadata"]["attachments"] = [{"size": 2**60, "name": "big"}, {"size": -1}]
    file = tmp_path / "conversations.json"
    file.write_text(json.dumps(document))
    store = scratch_store(tmp_path).store
    rows = [
        row for row in IMPORTERS["chatgpt"].records(document_of(file.read_bytes(), "f")) if isinstance(row, LeftOut)
    ]
    assert ["attachment" in one.place for one in rows] == [True]
    del question["metadata"]["attachments"][0]
    file.write_text(json.dumps(document))
    import_records(store, file)
    assert len(everything(store)["messages"]) == 15

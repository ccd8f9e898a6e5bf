"""mem0's JSON and tables of memories: what becomes what, and what of a file is left out."""

import json
from pathlib import Path

import pytest

from node.repositories.memories import Memories, Memory
from tests.support.importing import FIXTURES, everything, import_records, read_records
from tests.support.scratch_store import Scratch, scratch_store


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    return scratch_store(tmp_path)


def memories(scratch: Scratch) -> dict[str, Memory]:
    return {memory.content: memory for memory in Memories(scratch.store, scratch.clock).recent(limit=100)}


def test_memories_of_mem0_keep_their_times_categories_metadata_and_owner(scratch: Scratch) -> None:
    import_records(scratch.store, FIXTURES / "mem0_get_all.json")
    found = memories(scratch)
    meetings = found["Prefers morning meetings and asynchronous communication"]
    assert meetings.tags == ("mem0", "professional_details", "user_preferences")
    assert (meetings.created_at, meetings.updated_at) == ("2025-03-12T16:41:07.123Z", "2025-03-14T17:00:00.000Z")
    assert meetings.metadata["type"] == "preference"
    assert meetings.metadata["project"] == {"name": "boathouse"}
    owner = meetings.metadata["mem0"]
    assert isinstance(owner, dict)
    assert owner["user_id"] == "sigrid"
    assert "hash" not in owner
    assert found["Runs on an old release without ids"].created_at is None
    assert found["tor works_at hansa_bryggeri"].kind == "relation"


def test_the_shapes_that_mem0_gives_out_are_one_memory(tmp_path: Path) -> None:
    results = json.loads((FIXTURES / "mem0_get_all.json").read_bytes())["results"]
    shapes = {
        "list.json": json.dumps(results, indent=1),
        "lines.jsonl": "".join(json.dumps(result) + "\n" for result in results),
        "results.json": json.dumps({"results": results}),
    }
    found = []
    for name, text in shapes.items():
        (tmp_path / name).write_text(text)
        format_name, rows, left_out = read_records(tmp_path / name)
        assert (format_name, left_out) == ("mem0", [])
        found.append([row.id for row in rows])
    assert len(found[0]) == 3
    assert found[0] == found[1] == found[2]


def test_openmemory_is_read_and_what_was_archived_is(scratch: Scratch) -> None:
    import_records(scratch.store, FIXTURES / "openmemory.json")
    (baking,) = memories(scratch).values()
    assert (baking.content, baking.tags, baking.metadata["mood"]) == ("Bakes on Sundays", ("habits", "mem0"), "calm")
    rows = scratch.store.query("SELECT content FROM memories WHERE status = 'archived'")
    assert rows == [("Used to live in Oslo",)]


def test_a_bad_memory_is_left_out_by_its_number(tmp_path: Path) -> None:
    answer = json.loads((FIXTURES / "mem0_get_all.json").read_bytes())
    answer["results"][1]["memory"] = 7
    answer["relations"][0].pop("target")
    file = tmp_path / "mem0.json"
    file.write_text(json.dumps(answer))
    _, rows, left_out = read_records(file)
    assert [(one.place, one.problem) for one in left_out] == [
        ("mem0.json, line 1, results 2", "a memory needs a text under `memory`"),
        ("mem0.json, line 1, relations 1", "the relation has no target"),
    ]
    assert len(rows) == 3


def test_a_table_of_a_spreadsheet_program_is_read(scratch: Scratch) -> None:
    import_records(scratch.store, FIXTURES / "notes.csv")
    found = memories(scratch)
    key = found['The spare key hangs behind\r\nthe "blue" buoy.']
    assert (key.title, key.tags, key.importance) == ("Keys", ("boat", "house"), 8)
    assert key.created_at == "2024-05-01T00:00:00.000Z"
    tide = found["Tide table is in the drawer"]
    # What cannot be understood is kept as it is written.
    assert (tide.created_at, tide.importance) == (None, 5)
    assert tide.metadata == {"Colour": "red", "created_at": "01.05.2024", "importance": "very"}


def test_tabs_zones_and_seconds_since_1970_are_read_too(scratch: Scratch) -> None:
    import_records(scratch.store, FIXTURES / "notes.tsv")
    found = memories(scratch)
    assert {memory.created_at for memory in found.values()} == {"2025-01-02T02:04:05.000Z"}
    assert found["The well was cleaned"].metadata == {"content": "second"}
    assert found["The well was cleaned"].kind == "event"


def test_rows_that_differ_in_any_column_are_two_memories_and_equal_rows_are_one(
    scratch: Scratch, tmp_path: Path
) -> None:
    file = tmp_path / "t.csv"
    file.write_text("content,colour\nApple,red\nApple,green\nApple,red\n")
    writer = import_records(scratch.store, file)
    assert (writer.added_by_table["memories"], writer.unchanged) == (2, 1)


@pytest.mark.parametrize(
    ("content", "line", "problem", "kept"),
    [
        (b"content,x\nfine,1\nwide,1,2,3\nfine too,1\n", 3, "has 4 columns; the heading line has 2", 2),
        (b"content,x\nfine,1\n ,1\nfine too,1\n", 3, "has no content", 2),
        (b'content,x\nfine,1\n"torn"apart,1\nfine too,1\n', 3, "no row of a table", 2),
        (b"content,x\nfine,1\nGr\xfc\xdfe,1\nfine too,1\n", 3, "not UTF-8", 2),
        (b"title,x\nfine,1\n", 1, "no column is named content", 0),
        (b'content,x\n"two\nlines",1\n,2\n', 4, "has no content", 1),
    ],
)
def test_a_bad_row_is_left_out_by_its_line(tmp_path: Path, content: bytes, line: int, problem: str, kept: int) -> None:
    file = tmp_path / "t.csv"
    file.write_bytes(content)
    _, rows, left_out = read_records(file)
    assert [one.place for one in left_out] == [f"t.csv, line {line}"]
    assert problem in left_out[0].problem
    assert left_out[0].content.splitlines()[0] == content.splitlines()[line - 1]
    assert len(rows) == kept


@pytest.mark.parametrize("name", ["mem0_get_all.json", "openmemory.json", "notes.csv", "notes.tsv"])
def test_importing_twice_changes_nothing(scratch: Scratch, name: str) -> None:
    import_records(scratch.store, FIXTURES / name)
    before = everything(scratch.store)
    again = import_records(scratch.store, FIXTURES / name)
    assert again.added_by_table.total() == 0
    assert everything(scratch.store) == before

"""The Markdown export: readable as it is, and every memory comes back as it was."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.exporters.markdown import front_matter, markdown_files
from node.importers.front_matter import split_front_matter
from node.repositories.conversation_records import NewConversation, NewMessage
from node.repositories.conversations import Conversations
from node.repositories.memories import Memories, MemoryEdit, NewMemory
from node.repositories.people import NewPerson, People
from node.repositories.preferences import Preferences
from node.repositories.projects import Projects
from tests.support.importing import FIXTURES, everything, import_records, read_records
from tests.support.scratch_store import Scratch, scratch_store


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    return scratch_store(tmp_path)


def exported(scratch: Scratch) -> dict[str, str]:
    return {file.path: file.text for file in markdown_files(scratch.store)}


def written(files: dict[str, str], folder: Path) -> Path:
    for path, text in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode())
    return folder


def test_every_memory_comes_back_as_it_was(scratch: Scratch, tmp_path: Path) -> None:
    person = People(scratch.store, scratch.clock).add(NewPerson(name="Ada"))
    project = Projects(scratch.store, scratch.clock).create("House")
    memories = Memories(scratch.store, scratch.clock)
    memories.remember(
        NewMemory(
            content="---\nnot: front matter\n---\n \u2028 text without an end",
            title='"Quotes": and # signs \u2028',
            namespace="work/2024",
            kind="a kind: of its own",
            importance=9,
            tags=("#hash", "a b", "true", "ü"),
            metadata={"n": 1.5, "yes": "no", "list": [1, None, {"x": "\x7f\ufeff"}], "date": "2024-05-01"},
            person_id=person,
            project_id=project,
            source_message_id=project,
        )
    )
    archived = memories.remember(NewMemory(content="old", source="app"))
    memories.edit(archived, MemoryEdit(status="archived"))
    memories.remember(NewMemory(content="- a list\r\n- of two\r\n", title=""))
    import_records(scratch.store, FIXTURES / "vault")
    before = scratch.store.query("SELECT * FROM memories ORDER BY id")
    other = scratch_store(tmp_path / "other")
    files = {path: text for path, text in exported(scratch).items() if path.startswith("memories/")}
    folder = written(files, tmp_path / "md")
    writer = import_records(other.store, folder)
    assert writer.added_by_table["memories"] == len(before)
    assert other.store.query("SELECT * FROM memories ORDER BY id") == before
    assert import_records(scratch.store, folder).added_by_table.total() == 0


def test_notes_go_out_at_the_paths_at_which_they_lay(scratch: Scratch) -> None:
    import_records(scratch.store, FIXTURES / "vault")
    assert sorted(exported(scratch)) == [
        "memories/default/Daily/2024-05-01.md",
        "memories/default/Loose note.md",
        "memories/default/Places/Boathouse.md",
        "memories/default/Rule.md",
    ]


def test_no_name_leads_out_of_the_folder_or_meets_another(scratch: Scratch) -> None:
    memories = Memories(scratch.store, scratch.clock)
    for title in ("../../etc/passwd", "..", "a/b\\c:d", "A/B\\C:D", "x" * 300, "\x00\n", "CON .", "🐦"):
        memories.remember(NewMemory(content="x", title=title.replace("\x00", ""), namespace=".."))
    with scratch.store.transaction() as transaction:
        transaction.execute(
            "INSERT INTO memories (id, content, source, metadata) VALUES (?, 'x', 'markdown', ?)",
            (scratch.store.new_row_id(), json.dumps({"path": "../../../up/../x.md"})),
        )
    paths = list(exported(scratch))
    assert len({path.casefold() for path in paths}) == len(paths) == 9
    for path in paths:
        parts = path.split("/")
        assert parts[0] == "memories"
        assert not {"", ".", ".."} & set(parts)
        assert all(len(part) < 80 and part == part.strip(" ") for part in parts)


def test_a_conversation_reads_as_its_current_branch_and_tells_the_others(scratch: Scratch) -> None:
    import_records(scratch.store, FIXTURES / "chatgpt_2025.json")
    files = exported(scratch)
    text = files["conversations/2025-01-22 Mushroom under a birch.md"]
    current, _, others = text.partition("# Other branches")
    assert "Birch bolete, *Leccinum scabrum*" in current
    assert "## You · 2025-01-22 08:10\n\nWhich mushroom is this?" in current
    assert current.index("Which mushroom") < current.index("Plot how many") < current.index("remind me next autumn")
    assert "raw boletes upset" not in current
    assert "*in answer to: Which mushroom is this" in others
    assert "raw boletes upset" in others
    fields, _ = split_front_matter(text)
    assert (fields["nuthatch"], fields["model"], fields["tags"]) == ("conversation", "gpt-4o", ["chatgpt"])


def test_a_conversation_without_branches_is_told_in_the_order_of_time(scratch: Scratch) -> None:
    conversations = Conversations(scratch.store, scratch.clock)
    talk = conversations.begin(NewConversation(title="Tea"))
    first, _ = conversations.add_messages(talk, [NewMessage(content="one"), NewMessage(content="two")])
    conversations.add_messages(talk, [NewMessage(content="three", parent_id=first, role="assistant")])
    (text,) = exported(scratch).values()
    assert text.index("one") < text.index("two") < text.index("three")
    assert "Other branches" not in text


def test_people_projects_and_preferences_are_in_it_and_stay_out_of_notes(scratch: Scratch, tmp_path: Path) -> None:
    people = People(scratch.store, scratch.clock)
    ada = people.add(NewPerson(name="Ada", aliases=("Addie",), notes="Hates coriander."))
    people.relate(ada, "married to", people.add(NewPerson(name="Bo")))
    Projects(scratch.store, scratch.clock).create("House")
    Preferences(scratch.store, scratch.clock).set("language", "de")
    files = exported(scratch)
    assert sorted(files) == ["people/Ada.md", "people/Bo.md", "preferences.md", "projects/House.md"]
    assert "Hates coriander.\n- married to Bo\n" in files["people/Ada.md"]
    assert '- person / language: `"de"`' in files["preferences.md"]
    _, rows, left_out = read_records(written(files, tmp_path / "md"))
    assert rows == []
    assert {one.problem for one in left_out} == {
        "only memories come back from Markdown; an export as jsonl brings everything"
    }
    assert set(everything(scratch.store)) == {"people", "relationships", "projects", "preferences"}


_JSON = st.recursive(
    st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@settings(derandomize=True, max_examples=100, deadline=None)
@given(st.dictionaries(st.from_regex(r"[a-z]{1,5}", fullmatch=True), _JSON, max_size=4), st.text(max_size=30))
def test_front_matter_says_every_value_of_json_exactly(fields: dict[str, object], body: str) -> None:
    text = front_matter(fields) + body.replace("\x00", "")
    found, after = split_front_matter(text)
    expected = {name: value for name, value in fields.items() if value not in (None, [], {})}
    assert json.dumps(found, sort_keys=True) == json.dumps(_kept(expected), sort_keys=True)
    assert after == body.replace("\x00", "")


def _kept(value: object) -> object:
    """Replace what no database keeps, which no value in a store is."""
    match value:
        case dict():
            return {key.replace("\x00", "�"): _kept(item) for key, item in value.items()}
        case list():
            return [_kept(item) for item in value]
        case str():
            return value.replace("\x00", "�")
        case _:
            return value

"""Export and import of JSON lines: lossless, ids kept, and strict about malformed files."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.errors import InputError
from node.exporters.jsonl import export_lines
from node.importers.documents import document_of
from node.importers.jsonl import JsonlImporter
from node.importers.locomo import LocomoImporter
from node.importers.writing import ImportReport, write_plan
from node.repositories.conversation_records import MessageEdit, NewAttachment, NewConversation, NewMessage
from node.repositories.conversations import Conversations
from node.repositories.memories import Memories, NewMemory
from node.repositories.preferences import Preferences
from node.repositories.projects import NewProjectFile, Projects
from node.samples import sample_conversation
from node.schemas import CORE_COMPONENTS
from node.store.store import Store
from tests.support.scratch_store import Scratch, scratch_store

IMPORTER = JsonlImporter(CORE_COMPONENTS)
HEADER = '{"nuthatch":"export","format":1,"schemas":{}}'


def exported(store: Store) -> str:
    return "".join(export_lines(store, CORE_COMPONENTS))


def imported(store: Store, text: str) -> ImportReport:
    plan = IMPORTER.read(document_of(text.encode("utf-8", "surrogatepass"), "file.jsonl"))
    return list(write_plan(store, CORE_COMPONENTS, plan))[-1].report


@pytest.fixture
def full(tmp_path: Path) -> Scratch:
    """A store with something in every table."""
    scratch = scratch_store(tmp_path, 1)
    store, clock = scratch.store, scratch.clock
    for _ in write_plan(store, CORE_COMPONENTS, LocomoImporter().read(document_of(sample_conversation(), "sample"))):
        pass
    project = Projects(store, clock).create("Näst", settings={"a": [1]})
    Projects(store, clock).add_file(
        project, NewProjectFile(filename="f", content_hash=bytes(range(32)), size_bytes=2**31)
    )
    conversations = Conversations(store, clock)
    talk = conversations.begin(NewConversation(project_id=project, tags=("z", "a")))
    late, early = conversations.add_messages(
        talk,
        [NewMessage(content="", sentiment=0.1, tokens=3), NewMessage(content="[1]\n\u2028\t😀", metadata={"a": None})],
    )
    conversations.edit_message(late, MessageEdit(parent_id=early))
    conversations.attach(late, NewAttachment(content_hash=b"\xff" * 32, caption="c"))
    memories = Memories(store, clock)
    used = memories.remember(NewMemory(content="used", tags=("ü", "a b"), source_message_id=late))
    memories.record_use([used])
    Preferences(store, clock).set("language", {"main": "de"})
    with store.transaction() as transaction:
        transaction.execute(
            "INSERT INTO people (name, closeness, aliases) VALUES ('Ada', 9e999, '[\"Mum\"]'), ('Bo', 0.25, '[]')"
        )
        transaction.execute(
            "INSERT INTO relationships (person_id, other_person_id) SELECT min(id), max(id) FROM people"
        )
        transaction.execute(
            "INSERT INTO conflict_resolutions (table_name, record_id, column_name, choice)"
            " SELECT 'people', id, 'name', 'other' FROM people WHERE name = 'Bo'"
        )
    return scratch


def test_an_export_is_lossless_and_keeps_ids(full: Scratch, tmp_path: Path) -> None:
    other = scratch_store(tmp_path, 2).store
    text = exported(full.store)
    report = imported(other, text)
    assert report.skipped == report.unchanged == 0
    for component in CORE_COMPONENTS:
        for table in component.tables:
            rows = full.store.query(f"SELECT * FROM {table.name} ORDER BY id")
            assert rows, f"the export shows nothing about {table.name}"
            assert other.query(f"SELECT * FROM {table.name} ORDER BY id") == rows
    # Also by the rules of programs that end lines at more than a newline.
    assert sorted(exported(other).splitlines()) == sorted(text.split("\n")[:-1])


def test_importing_an_export_into_its_own_store_changes_nothing(full: Scratch) -> None:
    before = full.store.view()
    report = imported(full.store, exported(full.store))
    assert (report.added, report.skipped) == (0, 0)
    assert full.store.view() == before


def test_forgotten_rows_of_an_export_are_skipped(full: Scratch) -> None:
    text = exported(full.store)
    memories = Memories(full.store, full.clock)
    forgotten = memories.recent(limit=2)
    for memory in forgotten:
        memories.forget(memory.id)
    report = imported(full.store, text)
    assert (report.added, report.skipped) == (0, 2)
    assert memories.get(forgotten[0].id) is None


def test_a_reply_to_a_forgotten_turn_is_imported_without_it(tmp_path: Path) -> None:
    one, other = scratch_store(tmp_path, 1), scratch_store(tmp_path, 2)
    conversations = Conversations(one.store, one.clock)
    talk = conversations.begin(NewConversation())
    question = conversations.add_messages(talk, [NewMessage(content="question")])[0]
    imported(other.store, exported(one.store))
    Conversations(other.store, other.clock).forget_message(question)
    answer = conversations.add_messages(talk, [NewMessage(content="answer", parent_id=question)])[0]
    report = imported(other.store, exported(one.store))
    assert report == ImportReport(added=1, unchanged=1, skipped=1)
    assert other.store.query("SELECT id, parent_id FROM messages") == [(answer, None)]


def test_replies_in_a_circle_survive(tmp_path: Path) -> None:
    one, other = scratch_store(tmp_path, 1), scratch_store(tmp_path, 2)
    conversations = Conversations(one.store, one.clock)
    talk = conversations.begin(NewConversation())
    ids = conversations.add_messages(talk, [NewMessage(content=str(number)) for number in range(3)])
    for child, parent in zip(ids, [*ids[1:], ids[0]], strict=True):
        conversations.edit_message(child, MessageEdit(parent_id=parent))
    imported(other.store, exported(one.store))
    query = "SELECT id, parent_id FROM messages ORDER BY id"
    assert other.store.query(query) == one.store.query(query)


def test_a_long_chain_of_replies_written_youngest_first_is_imported(tmp_path: Path) -> None:
    one, other = scratch_store(tmp_path, 1), scratch_store(tmp_path, 2)
    conversations = Conversations(one.store, one.clock)
    talk = conversations.begin(NewConversation())
    ids = conversations.add_messages(talk, [NewMessage(content=str(number)) for number in range(1_500)])
    with one.store.transaction() as transaction:
        for child, parent in pairwise(ids):
            transaction.execute("UPDATE messages SET parent_id = ? WHERE id = ?", (parent, child))
    assert imported(other.store, exported(one.store)).added == 1_501


def test_lines_of_other_programs_become_memories_once(tmp_path: Path) -> None:
    store = scratch_store(tmp_path).store
    text = (
        '{"content": "Likes tea", "tags": ["b", "a"], "metadata": {"x": 1}, "importance": 8}\n'
        '\n{"content": "Likes tea", "tags": ["a", "b"], "metadata": {"x": 1}, "importance": 8}\r\n'
        '{"content": "Owns a boat", "namespace": "work", "created_at": "2020-01-01T00:00:00.000Z"}'
    )
    assert imported(store, text) == ImportReport(added=2, unchanged=0, skipped=0)
    assert imported(store, text) == ImportReport(added=0, unchanged=2, skipped=0)
    assert store.query("SELECT content, tags, metadata, importance, namespace FROM memories ORDER BY content") == [
        ("Likes tea", '["a","b"]', '{"x":1}', 8, "default"),
        ("Owns a boat", "[]", "{}", 5, "work"),
    ]


ROW = '{"table":"memories","id":"0192f0c1-5a3e-7b1c-8d2e-3f4a5b6c7d8e","cells":{"content":"x"}}'
END = '{"nuthatch":"end","rows":{"memories":1}}'


@pytest.mark.parametrize(
    ("lines", "place"),
    [
        (["{"], "line 1"),
        (["[]"], "line 1"),
        (['{"content": "ok"}', "", '{"content": 5}'], "line 3, field content"),
        (['{"content": " "}'], "line 1, field content"),
        (['{"text": "x"}'], "line 1, field text"),
        (['{"content": "x", "tags": "a"}'], "line 1, field tags"),
        (['{"content": "x", "tags": [1]}'], "line 1, field tags"),
        (['{"content": "x", "importance": "high"}'], "line 1, field importance"),
        (['{"content": "x", "importance": true}'], "line 1, field importance"),
        (['{"content": "x", "importance": 99999999999999999999}'], "line 1, field importance"),
        (['{"content": "a\\u0000b"}'], "line 1, field content"),
        (['{"content": "a\\ud800b"}'], "line 1, field content"),
        (['{"content": "x", "id": "7"}'], "line 1, field id"),
        ([HEADER, ROW], "line 2: the export ends before"),
        ([HEADER, END], "line 2, field rows"),
        ([HEADER, ROW, ROW, END], "line 3, field id"),
        ([HEADER, ROW, END, ROW], "line 4"),
        ([ROW, HEADER], "line 2, field nuthatch"),
        ([END], "line 1, field nuthatch"),
        ([HEADER.replace('"format":1', '"format":2')], "line 1, field format"),
        ([HEADER, ROW.replace("memories", "_meta"), END], "line 2, field table"),
        ([HEADER, ROW.replace('"content"', '"secret"'), END], "line 2, field cells.secret"),
        ([HEADER, ROW.replace('"x"', "null"), END], "line 2, field cells.content"),
        ([HEADER, ROW.replace('"x"', '{"$base64":"AA=="}'), END], "line 2, field cells.content"),
        ([HEADER, ROW.replace('"content":"x"', '"project_id":{"$base64":"?"}'), END], "line 2, field cells.project_id"),
        ([HEADER, ROW.replace('"content":"x"', '"project_id":"text"'), END], "line 2, field cells.project_id"),
        ([HEADER, ROW.replace('"content":"x"', '"importance":1.5'), END], "line 2, field cells.importance"),
        ([HEADER, ROW.replace('{"content":"x"}', "[]"), END], "line 2, field cells"),
    ],
)
def test_a_malformed_line_is_named_and_nothing_is_imported(tmp_path: Path, lines: list[str], place: str) -> None:
    store = scratch_store(tmp_path).store
    with pytest.raises(InputError) as refused:
        imported(store, "\n".join(lines))
    assert f"file.jsonl, {place}" in str(refused.value)
    assert store.query("SELECT count(*) FROM memories") == [(0,)]


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_with_an_input_error(content: bytes) -> None:
    try:
        IMPORTER.read(document_of(content, "x"))
    except InputError:
        return


def test_a_file_that_was_cut_off_anywhere_is_noticed(full: Scratch) -> None:
    content = exported(full.store).encode()
    last_line = content.rstrip(b"\n").rfind(b"\n")
    for end in range(len(HEADER) + 100, last_line, 4_001):
        with pytest.raises(InputError):
            IMPORTER.read(document_of(content[:end], "x"))

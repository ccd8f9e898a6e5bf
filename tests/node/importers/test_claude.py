"""Claude exports: conversations with blocks and branches, projects with their documents, and written-down memories."""

import json
from pathlib import Path

import pytest

from node.repositories.conversations import Conversations
from node.repositories.memories import Memories, MemoryFilter
from node.repositories.projects import Projects
from tests.support.importing import FIXTURES, everything, import_records, read_records, zipped
from tests.support.scratch_store import Scratch, scratch_store

EXPORT = FIXTURES / "claude"


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    return scratch_store(tmp_path)


def test_messages_answer_each_other_in_a_row_or_as_a_tree(scratch: Scratch) -> None:
    import_records(scratch.store, EXPORT)
    conversations = Conversations(scratch.store, scratch.clock)
    ferry, boathouse = (one.conversation for one in conversations.recent())
    assert (ferry.title, boathouse.title) == ("Ferry times", "Renovating the boathouse")
    question, answer = conversations.messages(boathouse.id)
    assert (question.role, answer.role, answer.parent_id) == ("user", "assistant", question.id)
    first, reply, sunday, saturday = conversations.messages(ferry.id)
    assert [one.parent_id for one in (first, reply, sunday, saturday)] == [None, first.id, reply.id, reply.id]
    assert str(ferry.metadata["current_message"]).replace("-", "") == saturday.id.hex()


def test_blocks_are_told_apart_and_attachments_keep_their_text(scratch: Scratch) -> None:
    import_records(scratch.store, EXPORT)
    conversations = Conversations(scratch.store, scratch.clock)
    ferry, boathouse = (one.conversation for one in conversations.recent())
    reply = conversations.messages(ferry.id)[1]
    assert reply.content == "The last one leaves at 22:40."
    assert reply.metadata["thinking"] == ["Winter timetable applies."]
    assert reply.tool_calls == [
        {"name": "web_search", "input": {"query": "ferry timetable winter"}, "message": "Searching the web"}
    ]
    attached = conversations.attachments(conversations.messages(boathouse.id)[0].id)
    survey, picture = sorted(attached, key=lambda one: str(one.name), reverse=True)
    assert survey.metadata == {"content": "Sill, north side: probe sinks 4 cm."}
    assert picture.name == "boathouse.jpg"


def test_projects_their_documents_and_memories_arrive_and_hang_together(scratch: Scratch) -> None:
    writer = import_records(scratch.store, EXPORT)
    assert dict(writer.added_by_table) == {
        "conversations": 2, "messages": 6, "message_attachments": 2, "memories": 3, "projects": 1,
    }  # fmt: skip
    (project,) = Projects(scratch.store, scratch.clock).recent()
    assert project.name == "Island house"
    memories = Memories(scratch.store, scratch.clock).recent(MemoryFilter(project_id=project.id))
    assert {memory.content for memory in memories} == {
        "The spare key hangs behind the blue buoy.",
        "The roof was tarred in 2025.",
    }
    ferry = Conversations(scratch.store, scratch.clock).recent()[0].conversation
    assert ferry.project_id == project.id


def test_the_zip_gives_the_same_rows_as_the_folder(tmp_path: Path) -> None:
    assert read_records(zipped(EXPORT, tmp_path / "data.zip")) == read_records(EXPORT)


def test_importing_twice_changes_nothing(scratch: Scratch) -> None:
    first = import_records(scratch.store, EXPORT)
    before = everything(scratch.store)
    second = import_records(scratch.store, EXPORT)
    assert (second.added_by_table.total(), second.unchanged) == (0, first.added_by_table.total())
    assert everything(scratch.store) == before


def test_a_bad_message_and_an_unknown_record_are_left_out_by_their_place(tmp_path: Path) -> None:
    conversations = json.loads((EXPORT / "conversations.json").read_bytes())
    conversations[0]["chat_messages"][0]["attachments"] = "none"
    conversations.append({"uuid": "x", "kind": "something new"})
    file = tmp_path / "conversations.json"
    file.write_text(json.dumps(conversations, indent=1))
    _, rows, left_out = read_records(file)
    assert "message 1" in left_out[0].place
    assert "attachments" in left_out[0].problem
    assert "no conversation, no project and no memory" in left_out[1].problem
    assert sum(row.table == "messages" for row in rows) == 5

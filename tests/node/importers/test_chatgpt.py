"""ChatGPT exports: branches become threads, odd contents are kept, and one bad record costs only itself."""

import json
from pathlib import Path
from typing import Any

import pytest

from node.importers.chatgpt import SOURCE
from node.importers.talks import Turn, ancestors_first
from node.repositories.conversation_records import Message
from node.repositories.conversations import Conversations
from node.search.recall import Recall
from tests.support.importing import FIXTURES, everything, import_records, read_records, zipped
from tests.support.scratch_store import Scratch, scratch_store

OLD, NEW = FIXTURES / "chatgpt_2023.json", FIXTURES / "chatgpt_2025.json"


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    return scratch_store(tmp_path)


def turns_of(scratch: Scratch, title: str) -> tuple[list[Message], str]:
    """Return the turns of a conversation by time, and the id of the turn at which the person was."""
    conversations = Conversations(scratch.store, scratch.clock)
    found = next(one.conversation for one in conversations.recent() if one.conversation.title == title)
    return conversations.messages(found.id), str(found.metadata["current_message"])


def path_to(turns: list[Message], turn: Message) -> list[str]:
    turn_by_id = {one.id: one for one in turns}
    path = [turn]
    while path[-1].parent_id is not None:
        path.append(turn_by_id[path[-1].parent_id])
    return [one.content for one in reversed(path)]


def test_branches_become_threads_and_the_current_one_is_told(scratch: Scratch) -> None:
    import_records(scratch.store, NEW)
    turns, current = turns_of(scratch, "Mushroom under a birch 🍄")
    by_hex = {turn.id.hex(): turn for turn in turns}
    leaf = by_hex[current.replace("-", "")]
    assert leaf.content == "Thanks, remind me next autumn."
    path = path_to(turns, leaf)
    assert path[1:3] == [
        "Which mushroom is this? I found it under a birch near Fløyen.",
        "Birch bolete, *Leccinum scabrum*. Edible when cooked; never raw.",
    ]
    other = next(turn for turn in turns if turn.content == "No: raw boletes upset the stomach.")
    assert other.content not in path
    assert path_to(turns, other)[1:] == [
        path[1],
        "It looks like a birch bolete (Leccinum scabrum).",
        "Can I eat it raw?",
        other.content,
    ]


def test_tools_thoughts_pictures_and_unknown_contents_are_kept(scratch: Scratch) -> None:
    import_records(scratch.store, NEW)
    turns, _ = turns_of(scratch, "Mushroom under a birch 🍄")
    call = next(turn for turn in turns if turn.tool_calls)
    assert call.tool_calls == [{"name": "python", "arguments": call.content}]
    answer = next(turn for turn in turns if turn.parent_id == call.id)
    assert (answer.role, answer.speaker, answer.content) == ("tool", "python", "<Figure size 640x480>")
    odd = next(turn for turn in turns if turn.speaker == "genui.widget")
    assert odd.metadata["content"] == {"content_type": "widget_state_2027", "state": {"bars": 3}}
    assert any(turn.metadata.get("content_type") == "thoughts" and "Tylopilus" in turn.content for turn in turns)
    hidden = next(turn for turn in turns if turn.metadata.get("hidden"))
    assert hidden.content == "I live in Bergen and cycle to work.\n\nAnswer briefly, in metric units."
    conversations = Conversations(scratch.store, scratch.clock)
    (picture,) = conversations.attachments(next(turn.id for turn in turns if "mushroom is this" in turn.content))
    assert (picture.kind, picture.name, picture.path, picture.size_bytes, picture.metadata) == (
        "image",
        "mushroom.jpg",
        "sediment://file_00000000a1b4",
        184320,
        {"width": 1024, "height": 768},
    )


def test_an_old_export_is_read_too_and_all_of_it_is_found_by_search(scratch: Scratch) -> None:
    import_records(scratch.store, OLD)
    import_records(scratch.store, NEW)
    recall = Recall(scratch.store)
    assert "acetone" in recall.search("why does my sourdough starter smell", limit=1)[0].text
    assert "Leccinum" in recall.search("birch bolete", limit=1)[0].text
    turns, _ = turns_of(scratch, "Packing list")
    assert turns[1].content.endswith("a half-cut emoji � at the end.")


def test_the_zip_of_an_export_and_its_numbered_parts_give_the_same_rows(tmp_path: Path) -> None:
    conversations = json.loads(NEW.read_bytes())
    folder = tmp_path / "export"
    folder.mkdir()
    for number, part in enumerate((conversations[:1], conversations[1:])):
        (folder / f"conversations-{number:03}.json").write_text(json.dumps(part))
    (folder / "user.json").write_text('{"id":"user-x","email":"sigrid@example.org"}')
    (folder / "chat.html").write_text("<html></html>")
    assert read_records(zipped(folder, tmp_path / "export.zip"))[:2] == (SOURCE, read_records(NEW)[1])


def test_a_longer_export_adds_only_what_is_new_and_moves_the_current_branch(tmp_path: Path) -> None:
    scratch = scratch_store(tmp_path)
    first = import_records(scratch.store, OLD)
    conversations = Conversations(scratch.store, scratch.clock)
    before = conversations.recent()[0].conversation
    longer = json.loads(OLD.read_bytes())
    longer[0]["mapping"]["aaa1e6b2-0005"] = {
        "id": "aaa1e6b2-0005",
        "parent": "aaa1e6b2-0004",
        "children": [],
        "message": {
            "id": "aaa1e6b2-0005",
            "author": {"role": "user"},
            "create_time": 1680424200.0,
            "content": {"content_type": "text", "parts": ["It rose!"]},
        },
    }
    longer[0].update(current_node="aaa1e6b2-0005", update_time=1680424200.0)
    file = tmp_path / "conversations.json"
    file.write_text(json.dumps(longer))
    second = import_records(scratch.store, file)
    assert dict(second.added_by_table) == {"messages": 1}
    assert second.unchanged == first.rows_done
    after = conversations.recent()[0].conversation
    turns = conversations.messages(after.id)
    assert turns[-1].content == "It rose!"
    assert str(after.metadata["current_message"]).replace("-", "") == turns[-1].id.hex()
    assert before.metadata["current_message"] != after.metadata["current_message"]
    assert scratch.store.query("SELECT updated_at FROM conversations") == [("2023-04-02T08:30:00.000Z",)]
    # The older file again takes nothing back.
    rows = everything(scratch.store)
    assert import_records(scratch.store, OLD).added_by_table.total() == 0
    assert everything(scratch.store) == rows


def broken(change: Any) -> bytes:
    conversations = json.loads(NEW.read_bytes())
    change(conversations)
    return json.dumps(conversations, indent=1).encode()


@pytest.mark.parametrize(
    ("change", "place", "problem", "lost"),
    [
        (lambda c: c[2].update(mapping=[]), "conversations.json, line ", "Expected object, got array", 3),
        (lambda c: c.insert(1, "text"), "conversations.json, line ", "an object is expected here", 0),
        (lambda c: c[0]["mapping"]["a1"]["message"].update(content=3), ", message a1", "Expected object, got int", 1),
        (
            lambda c: c[0]["mapping"]["a1"]["message"]["content"].update(parts=["x" * (2 * 1024 * 1024 + 1)]),
            ", message a1",
            "content has 2,097,153 characters; the most is 2,097,152",
            1,
        ),
    ],
)
def test_a_bad_record_is_left_out_by_its_place_and_the_rest_is_read(
    tmp_path: Path, change: Any, place: str, problem: str, lost: int
) -> None:
    file = tmp_path / "conversations.json"
    file.write_bytes(broken(change))
    _, rows, left_out = read_records(file)
    assert len(left_out) == 1
    assert place in left_out[0].place
    assert problem in left_out[0].problem
    assert left_out[0].content
    assert len(rows) == len(read_records(NEW)[1]) - lost


def test_what_answers_a_turn_that_was_left_out_answers_the_one_before(tmp_path: Path) -> None:
    file = tmp_path / "conversations.json"
    file.write_bytes(broken(lambda c: c[0]["mapping"]["a1"]["message"].update(content=3)))
    scratch = scratch_store(tmp_path)
    _, rows, _ = read_records(file)
    question = next(row for row in rows if "which mushroom" in str(row.cells.get("content")).lower())
    orphan = next(row for row in rows if row.cells.get("content") == "Can I eat it raw?")
    assert orphan.cells["parent_id"] == question.id
    assert scratch.store.query("SELECT 1 FROM messages") == []


def test_a_file_that_was_cut_off_gives_what_is_whole_and_says_so(tmp_path: Path) -> None:
    content = NEW.read_bytes()
    file = tmp_path / "conversations.json"
    file.write_bytes(content[: content.index(b"Packing list")])
    _, rows, left_out = read_records(file)
    assert [one.problem for one in left_out] == ["the file ends in the middle of this record"]
    assert {row.table for row in rows} == {"conversations", "messages", "message_attachments"}


def test_turns_that_answer_each_other_in_a_circle_are_all_told_once() -> None:
    def turn(name: str, parent: str | None) -> Turn:
        return Turn(source_id=name, parent=parent, role="user", content=name)

    circle = [turn("a", "c"), turn("b", "a"), turn("c", "b"), turn("d", "c"), turn("e", "missing")]
    told = list(ancestors_first(circle))
    assert sorted(one.source_id for one in told) == ["a", "b", "c", "d", "e"]
    seen: set[str | None] = {None, "missing"}
    for one in told:
        assert one.parent in seen
        seen.add(one.source_id)


def test_turns_of_one_instant_stay_in_the_order_of_the_talk(tmp_path: Path) -> None:
    file = tmp_path / "conversations.json"
    mapping = {
        str(number): {
            "parent": str(number - 1) if number else None,
            "message": {
                "content": {"parts": [f"{number}"]},
                # Some programs count whole seconds, or know no time of a turn at all.
                "create_time": 1_700_000_000 if number % 3 else None,
            },
        }
        for number in range(40)
    }
    file.write_text(json.dumps([{"id": "x", "create_time": 1_700_000_000, "mapping": mapping}]))
    scratch = scratch_store(tmp_path)
    import_records(scratch.store, file)
    conversations = Conversations(scratch.store, scratch.clock)
    turns = conversations.messages(conversations.recent()[0].conversation.id)
    assert [turn.content for turn in turns] == [str(number) for number in range(40)]


def test_a_new_answer_to_a_forgotten_turn_answers_the_one_before(tmp_path: Path) -> None:
    scratch = scratch_store(tmp_path)
    import_records(scratch.store, OLD)
    conversations = Conversations(scratch.store, scratch.clock)
    talk = conversations.recent()[0].conversation.id
    question, answer = conversations.messages(talk)
    conversations.forget_message(answer.id)
    longer = json.loads(OLD.read_bytes())
    longer[0]["mapping"]["new"] = {
        "parent": "aaa1e6b2-0004",
        "message": {"content": {"parts": ["Thanks!"]}, "create_time": 1680424200.0},
    }
    file = tmp_path / "conversations.json"
    file.write_text(json.dumps(longer))
    writer = import_records(scratch.store, file)
    assert (writer.added_by_table.total(), writer.skipped) == (1, 1)
    assert [(turn.content, turn.parent_id) for turn in conversations.messages(talk)] == [
        (question.content, None),
        ("Thanks!", question.id),
    ]

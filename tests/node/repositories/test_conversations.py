"""The repository of conversations on a real store."""

from pathlib import Path

import pytest

from crdt.identifiers import RowId
from node.errors import UsageError
from node.repositories.conversation_records import (
    ConversationEdit,
    MessageEdit,
    NewAttachment,
    NewConversation,
    NewMessage,
)
from node.repositories.conversations import Conversations
from tests.support.scratch_store import Scratch, scratch_store

NOBODY = RowId(bytes(16))


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    return scratch_store(tmp_path)


@pytest.fixture
def conversations(scratch: Scratch) -> Conversations:
    return Conversations(scratch.store, scratch.clock)


def test_turns_are_read_back_whole_and_in_order(conversations: Conversations) -> None:
    talk = conversations.begin(NewConversation(title="T", provider="p", model="m", metadata={"k": 1}))
    ids = conversations.add_messages(
        talk,
        [
            NewMessage(content="question", speaker="Ada"),
            NewMessage(
                content="answer",
                role="assistant",
                tokens=12,
                cost_millionths=340,
                sentiment=-0.5,
                response_milliseconds=900,
                tool_calls=[{"name": "look"}],
                tool_results=[{"ok": True}],
                metadata={"parts": []},
            ),
        ],
    )
    first, second = conversations.messages(talk)
    assert [first.id, second.id] == ids
    assert (first.content, first.role, first.speaker, first.tokens, first.metadata) == (
        "question",
        "user",
        "Ada",
        None,
        {},
    )
    assert (second.tokens, second.cost_millionths, second.sentiment, second.response_milliseconds) == (
        12,
        340,
        -0.5,
        900,
    )
    assert (second.tool_calls, second.tool_results, second.metadata) == (
        [{"name": "look"}],
        [{"ok": True}],
        {"parts": []},
    )
    assert conversations.message(ids[0]) == first
    assert conversations.count_by_role(talk) == {"assistant": 1, "user": 1}


def test_adding_turns_touches_the_conversation_and_its_totals(conversations: Conversations) -> None:
    talk = conversations.begin(NewConversation())
    older = conversations.get(talk)
    conversations.add_messages(talk, [NewMessage(content="a", tokens=5, cost_millionths=7), NewMessage(content="b")])
    conversations.add_messages(talk, [NewMessage(content="c", tokens=10)])
    newer = conversations.get(talk)
    assert older is not None
    assert newer is not None
    assert (newer.total_tokens, newer.total_cost_millionths) == (15, 7)
    assert (newer.updated_at or "") > (older.updated_at or "")


def test_a_list_shows_count_last_turn_and_preview_most_recent_first(conversations: Conversations) -> None:
    quiet = conversations.begin(NewConversation(title="quiet", namespace="n"))
    busy = conversations.begin(NewConversation(title="busy"))
    conversations.add_messages(quiet, [NewMessage(content="x" * 300)])
    summaries = conversations.recent()
    assert [summary.conversation.id for summary in summaries] == [quiet, busy]
    assert (summaries[0].message_count, summaries[0].preview) == (1, "x" * 100)
    assert (summaries[1].message_count, summaries[1].preview, summaries[1].last_message_at) == (0, "", None)
    assert [summary.conversation.title for summary in conversations.recent(namespace="n")] == ["quiet"]


def test_deleting_a_turn_moves_its_replies_up(conversations: Conversations) -> None:
    talk = conversations.begin(NewConversation())
    root = conversations.add_messages(talk, [NewMessage(content="root")])[0]
    middle = conversations.add_messages(talk, [NewMessage(content="middle", parent_id=root)])[0]
    leaf = conversations.add_messages(talk, [NewMessage(content="leaf", parent_id=middle)])[0]
    assert [turn.id for turn in conversations.thread(root)] == [root, middle, leaf]
    assert conversations.forget_message(middle)
    moved = conversations.message(leaf)
    assert moved is not None
    assert moved.parent_id == root
    assert [turn.id for turn in conversations.thread(root)] == [root, leaf]


def test_a_circle_of_replies_is_a_thread_that_ends(conversations: Conversations) -> None:
    talk = conversations.begin(NewConversation())
    first, second = conversations.add_messages(talk, [NewMessage(content="1"), NewMessage(content="2")])
    conversations.edit_message(first, MessageEdit(parent_id=second))
    conversations.edit_message(second, MessageEdit(parent_id=first))
    assert {turn.id for turn in conversations.thread(first)} == {first, second}


def test_forgetting_a_conversation_takes_turns_and_attachments_with_it(
    conversations: Conversations, scratch: Scratch
) -> None:
    talk = conversations.begin(NewConversation())
    turn = conversations.add_messages(talk, [NewMessage(content="look")])[0]
    picture = conversations.attach(
        turn, NewAttachment(kind="image", caption="a bird", content_hash=bytes(32), size_bytes=5)
    )
    (attached,) = conversations.attachments(turn)
    assert (attached.id, attached.caption, attached.content_hash, attached.size_bytes) == (
        picture,
        "a bird",
        bytes(32),
        5,
    )
    assert conversations.forget(talk)
    assert scratch.store.query(
        "SELECT (SELECT count(*) FROM messages), (SELECT count(*) FROM message_attachments)"
    ) == [(0, 0)]
    assert scratch.store.is_forgotten("messages", [turn]) == {turn}


def test_an_edit_of_a_conversation_or_turn_changes_what_is_given(conversations: Conversations) -> None:
    talk = conversations.begin(NewConversation(title="before", tags=("a",)))
    turn = conversations.add_messages(talk, [NewMessage(content="typo")])[0]
    assert conversations.edit(talk, ConversationEdit(title="after", summary="s", settings={"t": 0.5}))
    assert conversations.edit_message(turn, MessageEdit(content="fixed", sentiment=1.0))
    changed, fixed = conversations.get(talk), conversations.message(turn)
    assert changed is not None
    assert fixed is not None
    assert (changed.title, changed.summary, changed.settings, changed.tags) == ("after", "s", {"t": 0.5}, ("a",))
    assert (fixed.content, fixed.sentiment) == ("fixed", 1.0)
    assert not conversations.edit(NOBODY, ConversationEdit(title="x"))
    assert not conversations.edit_message(NOBODY, MessageEdit(content="x"))


def test_turns_of_nothing_are_refused_and_nothing_is_kept(conversations: Conversations, scratch: Scratch) -> None:
    talk = conversations.begin(NewConversation())
    with pytest.raises(UsageError, match="no conversation"):
        conversations.add_messages(NOBODY, [NewMessage(content="x")])
    with pytest.raises(UsageError, match="role"):
        conversations.add_messages(talk, [NewMessage(content="x"), NewMessage(content="y", role="oracle")])
    with pytest.raises(UsageError, match="no turn"):
        conversations.attach(NOBODY, NewAttachment())
    assert scratch.store.query("SELECT count(*) FROM messages") == [(0,)]

"""Recall on real stores: what is found, in what order, and what no longer is."""

import json
import os
import re
from pathlib import Path

import pytest

from node.errors import UsageError
from node.importers.documents import document_of
from node.importers.locomo import LocomoImporter
from node.importers.writing import write_plan
from node.repositories.conversation_records import MessageEdit, NewConversation, NewMessage
from node.repositories.conversations import Conversations
from node.repositories.memories import Memories, MemoryEdit, NewMemory
from node.samples import sample_conversation
from node.schemas import CORE_COMPONENTS
from node.search.recall import Recall, RecallFilter
from node.store.store import Store
from tests.support.scratch_store import Scratch, scratch_store


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    return scratch_store(tmp_path)


@pytest.fixture
def memories(scratch: Scratch) -> Memories:
    return Memories(scratch.store, scratch.clock)


@pytest.fixture
def conversations(scratch: Scratch) -> Conversations:
    return Conversations(scratch.store, scratch.clock)


@pytest.fixture
def recall(scratch: Scratch) -> Recall:
    return Recall(scratch.store)


def texts(recall: Recall, query: str, only: RecallFilter | None = None) -> list[str]:
    return [found.text for found in recall.search(query, only=only or RecallFilter())]


def test_words_are_found_in_their_other_forms(memories: Memories, recall: Recall) -> None:
    memories.remember(NewMemory(content="She was running along the river."))
    assert texts(recall, "run") == ["She was running along the river."]


def test_an_edited_memory_is_found_by_its_new_words_only(memories: Memories, recall: Recall) -> None:
    row_id = memories.remember(NewMemory(content="the zebra", title="striped"))
    memories.edit(row_id, MemoryEdit(content="the giraffe"))
    assert texts(recall, "zebra") == []
    assert texts(recall, "giraffe") == texts(recall, "striped") == ["the giraffe"]


def test_a_forgotten_memory_and_a_forgotten_turn_are_not_found(
    memories: Memories, conversations: Conversations, recall: Recall
) -> None:
    memory = memories.remember(NewMemory(content="quagga one"))
    talk = conversations.begin(NewConversation())
    turn, _ = conversations.add_messages(talk, [NewMessage(content="quagga two"), NewMessage(content="quagga three")])
    memories.forget(memory)
    conversations.forget_message(turn)
    assert texts(recall, "quagga") == ["quagga three"]
    conversations.forget(talk)
    assert texts(recall, "quagga") == []


def test_a_turn_is_found_by_the_words_of_the_turn_before_it(conversations: Conversations, recall: Recall) -> None:
    talk = conversations.begin(NewConversation())
    other = conversations.begin(NewConversation())
    conversations.add_messages(
        talk,
        [
            NewMessage(content="Nothing here."),
            NewMessage(content="Which wine goes with salmon?"),
            NewMessage(content="The Riesling."),
        ],
    )
    conversations.add_messages(other, [NewMessage(content="Unrelated.")])
    found = recall.search("salmon wine")
    assert [result.text for result in found] == ["Which wine goes with salmon?", "The Riesling.", "Nothing here."]
    assert found[1].score == pytest.approx(0.3 * found[0].score, rel=1e-3)


def test_a_result_says_where_it_comes_from(conversations: Conversations, recall: Recall) -> None:
    talk = conversations.begin(NewConversation(title="Dinner", namespace="kitchen", tags=("food",)))
    row_id = conversations.add_messages(
        talk,
        [NewMessage(content="Salmon it is.", role="assistant", speaker="Ada", created_at="2025-01-02T03:04:05.000Z")],
    )[0]
    (found,) = recall.search("salmon")
    assert (found.id, found.table, found.conversation_id) == (row_id, "messages", talk)
    assert (found.title, found.namespace, found.tags) == ("Dinner", "kitchen", ("food",))
    assert (found.role, found.speaker, found.created_at) == ("assistant", "Ada", "2025-01-02T03:04:05.000Z")


def test_namespace_tags_and_tables_narrow_a_search(
    memories: Memories, conversations: Conversations, recall: Recall
) -> None:
    memories.remember(NewMemory(content="oak one", namespace="garden", tags=("tree", "old")))
    memories.remember(NewMemory(content="oak two", namespace="house", tags=("tree",)))
    talk = conversations.begin(NewConversation(namespace="garden", tags=("tree",)))
    conversations.add_messages(talk, [NewMessage(content="oak three")])
    assert set(texts(recall, "oak")) == {"oak one", "oak two", "oak three"}
    assert set(texts(recall, "oak", RecallFilter(namespaces=("garden",)))) == {"oak one", "oak three"}
    assert set(texts(recall, "oak", RecallFilter(namespaces=("garden", "house")))) == {
        "oak one",
        "oak two",
        "oak three",
    }
    assert texts(recall, "oak", RecallFilter(tags=("tree", "old"))) == ["oak one"]
    assert texts(recall, "oak", RecallFilter(namespaces=("house",), tags=("tree",))) == ["oak two"]
    assert texts(recall, "oak", RecallFilter(tables=("messages",))) == ["oak three"]


def test_an_archived_memory_is_kept_and_left_out(memories: Memories, recall: Recall) -> None:
    row_id = memories.remember(NewMemory(content="old address"))
    memories.edit(row_id, MemoryEdit(status="archived"))
    assert texts(recall, "address") == []
    assert memories.get(row_id) is not None


def test_signs_and_scripts_without_spaces_are_found_as_they_stand(memories: Memories, recall: Recall) -> None:
    memories.remember(NewMemory(content="会議は東京駅で行います"))
    memories.remember(NewMemory(content="love 🎹 music"))
    assert texts(recall, "東京") == ["会議は東京駅で行います"]
    assert texts(recall, "🎹") == ["love 🎹 music"]


def test_recall_writes_nothing(memories: Memories, recall: Recall, scratch: Scratch) -> None:
    memories.remember(NewMemory(content="quiet"))
    before = scratch.store.view()
    assert texts(recall, "quiet") == ["quiet"]
    assert scratch.store.view() == before


def test_the_number_of_results_is_bounded(memories: Memories, recall: Recall) -> None:
    for number in range(5):
        memories.remember(NewMemory(content=f"leaf {number}"))
    assert len(recall.search("leaf", limit=3)) == 3
    for limit in (0, -1, 1_001):
        with pytest.raises(UsageError):
            recall.search("leaf", limit=limit)


def test_an_edited_turn_moves_in_the_index(conversations: Conversations, recall: Recall) -> None:
    talk = conversations.begin(NewConversation())
    row_id = conversations.add_messages(talk, [NewMessage(content="first wording")])[0]
    conversations.edit_message(row_id, MessageEdit(content="second phrase"))
    assert texts(recall, "wording") == []
    assert texts(recall, "phrase") == ["second phrase"]


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What is Davor allergic to?", "hazelnut"),
        ("Who winds piano strings by hand?", "Krause"),
        ("What is the dog called?", "Bura"),
        ("Which note was silent?", "top C"),
        ("How many kilometres did he ride?", "kilometres"),
    ],
)
def test_questions_about_the_sample_find_their_answers(
    scratch: Scratch, recall: Recall, question: str, answer: str
) -> None:
    import_conversation(scratch.store, sample_conversation())
    assert any(answer in text for text in texts(recall, question))


def import_conversation(store: Store, content: bytes) -> None:
    for _ in write_plan(store, CORE_COMPONENTS, LocomoImporter().read(document_of(content, "conversation.json"))):
        pass


@pytest.mark.skipif("NUTHATCH_LOCOMO" not in os.environ, reason="NUTHATCH_LOCOMO names no folder of conversations")
def test_recall_on_long_conversations_finds_most_of_the_evidence(tmp_path: Path) -> None:
    shares: list[float] = []
    for number, path in enumerate(sorted(Path(os.environ["NUTHATCH_LOCOMO"]).glob("*.json")), start=1):
        store = scratch_store(tmp_path, number).store
        import_conversation(store, path.read_bytes())
        turn_by_id = {row[0]: json.loads(row[1])["turn"] for row in store.query("SELECT id, metadata FROM messages")}
        for question in json.loads(path.read_text())["qa"]:
            wanted = set(re.findall(r"D\d+:\d+", " ".join(question["evidence"]))) & set(turn_by_id.values())
            if question["category"] != 5 and wanted:
                found = Recall(store).search(question["question"], only=RecallFilter(tables=("messages",)))
                shares.append(len(wanted & {turn_by_id[result.id] for result in found}) / len(wanted))
    assert sum(shares) / len(shares) >= 0.65

"""Importing conversations: what becomes what, twice, after forgetting, and from malformed files."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from node.errors import InputError
from node.importers.documents import document_of
from node.importers.locomo import LocomoImporter
from node.importers.positions import line_of
from node.importers.writing import ImportReport, write_plan
from node.repositories.conversations import Conversations
from node.repositories.memories import Memories, MemoryEdit, MemoryFilter
from node.samples import sample_conversation
from node.schemas import CORE_COMPONENTS
from node.store.store import Store
from tests.support.scratch_store import Scratch, scratch_store

SAMPLE = sample_conversation()


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    return scratch_store(tmp_path)


def imported(store: Store, content: bytes = SAMPLE) -> ImportReport:
    plan = LocomoImporter().read(document_of(content, "conversation.json"))
    return list(write_plan(store, CORE_COMPONENTS, plan))[-1].report


def changed_sample(change: Callable[[dict[str, Any]], object]) -> bytes:
    document = json.loads(SAMPLE)
    change(document)
    return json.dumps(document, indent=1, ensure_ascii=False).encode()


def test_a_conversation_becomes_turns_pictures_and_memories(scratch: Scratch) -> None:
    report = imported(scratch.store)
    conversations = Conversations(scratch.store, scratch.clock)
    (summary,) = conversations.recent()
    turns = conversations.messages(summary.conversation.id)
    document = json.loads(SAMPLE)
    written = [turn for number in range(1, 8) for turn in document[f"session_{number}"]]
    assert summary.conversation.title == "Ilse and Davor"
    assert [(turn.speaker, turn.content) for turn in turns] == [(turn["speaker"], turn["text"]) for turn in written]
    assert turns[0].created_at == "2025-03-12T18:40:00.000Z"
    assert turns[1].created_at == "2025-03-12T18:40:01.000Z"
    assert turns[17].metadata == {"session": 2, "turn": "D2:1"}
    captions = scratch.store.query("SELECT count(*) FROM message_attachments WHERE kind = 'image' AND caption <> ''")
    assert captions == [(sum("blip_caption" in turn for turn in written),)]
    memories = Memories(scratch.store, scratch.clock)
    facts = memories.recent(MemoryFilter(kind="fact"), limit=100)
    allergy = next(fact for fact in facts if "hazelnuts" in fact.content)
    assert allergy.tags == ("Davor", "locomo")
    assert allergy.source_message_id is not None
    source = conversations.message(allergy.source_message_id)
    assert source is not None
    assert "hazelnuts" in source.content
    assert len(memories.recent(MemoryFilter(kind="context"))) == 7
    assert report == ImportReport(added=1 + len(turns) + captions[0][0] + len(facts) + 7, unchanged=0, skipped=0)


def test_importing_twice_changes_nothing(scratch: Scratch) -> None:
    first = imported(scratch.store)
    before = scratch.store.view()
    assert imported(scratch.store) == ImportReport(added=0, unchanged=first.added, skipped=0)
    assert scratch.store.view() == before


def test_two_devices_that_import_apart_make_the_same_ids(tmp_path: Path) -> None:
    ids = []
    for seed in (1, 2):
        scratch = scratch_store(tmp_path, seed)
        imported(scratch.store)
        ids.append(scratch.store.query("SELECT id FROM messages UNION SELECT id FROM memories ORDER BY 1"))
    assert ids[0] == ids[1]


def test_ids_are_in_the_order_of_time(scratch: Scratch) -> None:
    imported(scratch.store)
    by_id = scratch.store.query("SELECT content FROM messages ORDER BY id")
    assert by_id == scratch.store.query("SELECT content FROM messages ORDER BY created_at")


def test_an_import_does_not_undo_an_edit(scratch: Scratch) -> None:
    imported(scratch.store)
    memories = Memories(scratch.store, scratch.clock)
    edited = memories.recent(limit=1)[0].id
    memories.edit(edited, MemoryEdit(content="corrected"))
    imported(scratch.store)
    memory = memories.get(edited)
    assert memory is not None
    assert memory.content == "corrected"


def test_what_was_forgotten_stays_forgotten_and_is_counted(scratch: Scratch) -> None:
    first = imported(scratch.store)
    conversations, memories = Conversations(scratch.store, scratch.clock), Memories(scratch.store, scratch.clock)
    memories.forget(memories.recent(limit=1)[0].id)
    report = imported(scratch.store)
    assert report == ImportReport(added=0, unchanged=first.added - 1, skipped=1)
    turns_and_pictures = scratch.store.query(
        "SELECT (SELECT count(*) FROM messages) + (SELECT count(*) FROM message_attachments)"
    )[0][0]
    conversations.forget(conversations.recent()[0].conversation.id)
    report = imported(scratch.store)
    assert report.added == 0
    assert report.skipped == 1 + 1 + turns_and_pictures
    assert scratch.store.query("SELECT count(*) FROM messages") == [(0,)]


def test_a_new_turn_of_a_forgotten_conversation_is_skipped(scratch: Scratch) -> None:
    imported(scratch.store)
    conversations = Conversations(scratch.store, scratch.clock)
    conversations.forget(conversations.recent()[0].conversation.id)
    longer = changed_sample(
        lambda document: document["session_7"].append({"speaker": "Ilse", "dia_id": "D7:99", "text": "One more thing."})
    )
    report = imported(scratch.store, longer)
    assert report.added == 0
    assert scratch.store.query("SELECT count(*) FROM messages") == [(0,)]


def test_only_what_is_new_in_a_longer_file_is_added(scratch: Scratch) -> None:
    imported(scratch.store)
    longer = changed_sample(
        lambda document: document["session_7"].append({"speaker": "Ilse", "dia_id": "D7:99", "text": "One more thing."})
    )
    assert imported(scratch.store, longer).added == 1


def test_published_files_with_several_samples_are_read(scratch: Scratch) -> None:
    document = json.loads(SAMPLE)
    talk = {key: value for key, value in document.items() if not key.endswith(("_observation", "_summary"))}
    observation = {key: value for key, value in document.items() if key.endswith("_observation")}
    summary = {key: value for key, value in document.items() if key.endswith("_summary")}
    other = talk | {"speaker_a": "Ada"}
    samples = [
        {"sample_id": "1", "conversation": talk, "observation": observation, "session_summary": summary, "qa": []},
        {"sample_id": "2", "conversation": other},
    ]
    plan = LocomoImporter().read(document_of(json.dumps(samples).encode(), "all.json"))
    flat = Counter(row.table for row in LocomoImporter().read(document_of(SAMPLE, "one.json")).rows)
    counted = Counter(row.table for row in plan.rows)
    assert counted["messages"] == 2 * flat["messages"]
    assert counted["memories"] == flat["memories"]


@pytest.mark.parametrize(
    ("change", "line_marker", "field"),
    [
        (lambda d: d["session_3"][4].update(text=5), '"text": 5', "session_3[4].text"),
        (lambda d: d["session_3"][4].update(text="a\0b"), '"text": "a\\u0000b"', "session_3[4].text"),
        (lambda d: d["session_2"][1].pop("speaker"), None, "session_2[1].speaker"),
        (lambda d: d.update(session_4_date_time="noon"), '"session_4_date_time": "noon"', "session_4_date_time"),
        (lambda d: d.pop("session_1_date_time"), None, "session_1_date_time"),
        (lambda d: d.pop("speaker_b"), None, "speaker_b"),
        (lambda d: d.update(session_2="talk"), '"session_2": "talk"', "session_2"),
        (lambda d: d["session_5"].insert(0, "hello"), None, "session_5[0]"),
        (lambda d: d["session_5"][3].update(dia_id="D5:1"), None, "session_5[3].dia_id"),
        (lambda d: d["session_1_observation"]["Ilse"].append(["fact"]), None, "session_1_observation.Ilse"),
        (lambda d: d.update(session_6_summary=[]), '"session_6_summary": []', "session_6_summary"),
    ],
)
def test_a_malformed_file_is_refused_with_line_and_field_and_nothing_is_imported(
    scratch: Scratch, change: Callable[[dict[str, Any]], object], line_marker: str | None, field: str
) -> None:
    content = changed_sample(change)
    with pytest.raises(InputError) as refused:
        imported(scratch.store, content)
    assert f"field {field}" in str(refused.value)
    assert "conversation.json, line " in str(refused.value)
    if line_marker is not None:
        line = next(n for n, text in enumerate(content.decode().split("\n"), start=1) if line_marker in text)
        assert f"line {line}," in str(refused.value)
    assert scratch.store.query("SELECT count(*) FROM conversations") == [(0,)]


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b"", "line 1"),
        (b'{"speaker_a": "x",\n "speaker_b": }', "line 2"),
        (b'{"a": "ok",\n"b": "\xff"}', "line 2"),
        (b"[" * 100_000, "conversation.json"),
        (b"[1]", "line 1"),
        (b"{}", "line 1"),
        (b'"text"', "line 1"),
    ],
)
def test_what_is_no_conversation_at_all_is_refused(content: bytes, place: str) -> None:
    with pytest.raises(InputError, match=place):
        LocomoImporter().read(document_of(content, "conversation.json"))


def test_the_line_of_every_value_is_found() -> None:
    text = '{\n "a": [\n  1,\n  {"b": "x,]}\\"",\n   "c": [[], {}]}\n ],\n "d":\n  null\n}'
    assert line_of(text, ("a",)) == 2
    assert line_of(text, ("a", 0)) == 3
    assert line_of(text, ("a", 1)) == 4
    assert line_of(text, ("a", 1, "b")) == 4
    assert line_of(text, ("a", 1, "c", 1)) == 5
    assert line_of(text, ("d",)) == 8
    assert line_of(text, ("a", 1, "missing")) == 4
    assert line_of(text, ()) == 1


def test_an_import_is_cut_into_transactions_and_tells_how_far_it_is(scratch: Scratch) -> None:
    document = json.loads(SAMPLE)
    document["session_7"] = [
        {"speaker": "Ilse", "dia_id": f"D7:{number}", "text": f"turn {number}"} for number in range(2_500)
    ]
    plan = LocomoImporter().read(document_of(json.dumps(document).encode(), "long.json"))
    done = [progress.done for progress in write_plan(scratch.store, CORE_COMPONENTS, plan)]
    steps = [later - earlier for earlier, later in zip([0, *done], done, strict=False)]
    assert max(steps) == 1_000
    assert done[-1] == len(plan.rows)


def test_what_comes_or_goes_between_two_transactions_is_respected(scratch: Scratch) -> None:
    document = json.loads(SAMPLE)
    document["session_7"] = [
        {"speaker": "Ilse", "dia_id": f"D7:{number}", "text": f"turn {number}"} for number in range(3_000)
    ]
    plan = LocomoImporter().read(document_of(json.dumps(document).encode(), "long.json"))
    writing = write_plan(scratch.store, CORE_COMPONENTS, plan)
    next(writing)
    # The same file is imported by another program meanwhile …
    other = list(write_plan(scratch.store, CORE_COMPONENTS, plan))[-1].report
    assert next(writing).report.unchanged == 1_000
    # … and then the person forgets the conversation.
    conversations = Conversations(scratch.store, scratch.clock)
    conversations.forget(conversations.recent()[0].conversation.id)
    report = list(writing)[-1].report
    assert report.added == 1_000
    assert other.added == len(plan.rows) - 1_000
    assert scratch.store.query("SELECT count(*) FROM messages") == [(0,)]

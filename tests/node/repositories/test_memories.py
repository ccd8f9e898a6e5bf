"""The repository of memories on a real store."""

from pathlib import Path

import pytest

from crdt.identifiers import RowId
from node.errors import UsageError
from node.repositories.memories import Memories, MemoryEdit, MemoryFilter, NewMemory
from tests.support.scratch_store import Scratch, scratch_store

NOBODY = RowId(bytes(16))


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    return scratch_store(tmp_path)


@pytest.fixture
def memories(scratch: Scratch) -> Memories:
    return Memories(scratch.store, scratch.clock)


def test_what_is_remembered_is_read_back_whole(memories: Memories) -> None:
    source = RowId(bytes(range(16)))
    row_id = memories.remember(
        NewMemory(
            content="Grüße, 世界",
            namespace="work",
            kind="note",
            title="T",
            importance=9,
            tags=("b", "a", "b"),
            metadata={"z": [1, {"y": None}], "a": "ä"},
            source="assistant",
            source_message_id=source,
        )
    )
    memory = memories.get(row_id)
    assert memory is not None
    assert (memory.content, memory.namespace, memory.kind, memory.title) == ("Grüße, 世界", "work", "note", "T")
    assert (memory.importance, memory.tags, memory.source_message_id) == (9, ("a", "b"), source)
    assert memory.metadata == {"z": [1, {"y": None}], "a": "ä"}
    assert (memory.use_count, memory.status) == (0, "active")
    assert memory.created_at == memory.updated_at
    assert memory.created_at is not None
    assert memory.created_at.startswith("2025-11-21T00:00:00.0")
    assert memories.get(NOBODY) is None


def test_an_edit_changes_what_is_given_and_nothing_else(memories: Memories) -> None:
    row_id = memories.remember(NewMemory(content="old", title="kept", tags=("x",)))
    assert memories.edit(row_id, MemoryEdit(content="new", tags=("x", "y")))
    memory = memories.get(row_id)
    assert memory is not None
    assert (memory.content, memory.title, memory.tags) == ("new", "kept", ("x", "y"))
    assert memory.updated_at is not None
    assert memory.created_at is not None
    assert memory.updated_at > memory.created_at
    assert memories.edit(row_id, MemoryEdit(title=None))
    edited = memories.get(row_id)
    assert edited is not None
    assert edited.title is None
    assert not memories.edit(NOBODY, MemoryEdit(content="x"))


def test_an_edit_that_changes_nothing_writes_nothing(memories: Memories, scratch: Scratch) -> None:
    row_id = memories.remember(NewMemory(content="same", tags=("b", "a")))
    before = scratch.store.view()
    assert memories.edit(row_id, MemoryEdit(content="same", tags=("a", "b"), title=None, importance=5))
    assert scratch.store.view() == before


def test_a_forgotten_memory_is_gone_and_known_as_forgotten(memories: Memories, scratch: Scratch) -> None:
    row_id = memories.remember(NewMemory(content="secret"))
    assert memories.forget(row_id)
    assert not memories.forget(row_id)
    assert memories.get(row_id) is None
    assert scratch.store.is_forgotten("memories", [row_id]) == {row_id}


def test_memories_are_listed_newest_first_by_what_they_are(memories: Memories) -> None:
    first = memories.remember(NewMemory(content="1", namespace="a", tags=("t", "u")))
    second = memories.remember(NewMemory(content="2", namespace="b", tags=("t",), kind="rule"))
    third = memories.remember(NewMemory(content="3", namespace="a"))
    memories.edit(third, MemoryEdit(status="archived"))

    def listed(only: MemoryFilter) -> list[RowId]:
        return [memory.id for memory in memories.recent(only)]

    assert listed(MemoryFilter()) == [second, first]
    assert listed(MemoryFilter(include_archived=True)) == [third, second, first]
    assert listed(MemoryFilter(namespace="a")) == [first]
    assert listed(MemoryFilter(tags=("t", "u"))) == [first]
    assert listed(MemoryFilter(kind="rule", tags=("t",))) == [second]
    assert [memory.id for memory in memories.recent(limit=1, offset=1)] == [first]


def test_uses_are_counted_once_a_report(memories: Memories) -> None:
    row_id = memories.remember(NewMemory(content="useful"))
    memories.record_use([row_id, row_id])
    memories.record_use([row_id, NOBODY])
    memory = memories.get(row_id)
    assert memory is not None
    assert memory.use_count == 2
    assert memory.last_used_at is not None


def test_clearing_a_namespace_forgets_its_memories_only(memories: Memories) -> None:
    for name in ("a", "a", "b"):
        memories.remember(NewMemory(content="x", namespace=name))
    assert memories.count_by_namespace() == {"a": 2, "b": 1}
    assert memories.clear("a") == 2
    assert memories.count_by_namespace() == {"b": 1}


@pytest.mark.parametrize(
    "new",
    [
        NewMemory(content=""),
        NewMemory(content=" \n"),
        NewMemory(content="x", namespace=""),
        NewMemory(content="x", importance=11),
    ],
)
def test_what_is_no_memory_is_refused(memories: Memories, new: NewMemory) -> None:
    with pytest.raises(UsageError):
        memories.remember(new)
    assert memories.recent() == []


def test_an_edit_into_what_is_no_memory_is_refused(memories: Memories) -> None:
    row_id = memories.remember(NewMemory(content="x"))
    for edit in (MemoryEdit(content=" "), MemoryEdit(namespace=""), MemoryEdit(importance=0)):
        with pytest.raises(UsageError):
            memories.edit(row_id, edit)

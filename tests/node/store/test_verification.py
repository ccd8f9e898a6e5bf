"""What is read by itself is verified before, what is listed afterwards, and nothing damaged is edited."""

from pathlib import Path

import pytest

from crdt.identifiers import RowId
from node.errors import DamagedRowError
from node.repositories.memories import Memories, MemoryEdit, NewMemory
from tests.support.damage import tamper
from tests.support.scratch_store import KEY, Scratch, reopened, scratch_store

STATE_LOST = "DELETE FROM _row_memories WHERE id = (SELECT id FROM memories WHERE content = 'the second')"
CHANGED = "UPDATE memories SET content = 'something else' WHERE content = 'the second'"


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    """A store."""
    return scratch_store(tmp_path)


def remember(scratch: Scratch, *texts: str) -> list[RowId]:
    """Keep texts."""
    memories = Memories(scratch.store, scratch.clock)
    return [memories.remember(NewMemory(content=text)) for text in texts]


def damaged(scratch: Scratch, tmp_path: Path, statement: str) -> Memories:
    """Return the memories of a store in which a row was changed behind its back."""
    scratch.store.close()
    tamper(tmp_path / "store-1.db", statement, key=KEY)
    reopened(scratch, tmp_path)
    return Memories(scratch.store, scratch.clock)


@pytest.mark.parametrize(
    "statement",
    [CHANGED, STATE_LOST],
)
def test_a_damaged_row_is_neither_shown_nor_edited_and_the_others_are(
    scratch: Scratch, tmp_path: Path, statement: str
) -> None:
    first, second = remember(scratch, "the first", "the second")
    memories = damaged(scratch, tmp_path, statement)
    assert memories.get(first) is not None
    with pytest.raises(DamagedRowError, match="doctor --repair"):
        memories.get(second)
    with pytest.raises(DamagedRowError):
        memories.edit(second, MemoryEdit(title="a title"))
    assert memories.edit(first, MemoryEdit(title="a title"))
    assert scratch.store.query("SELECT title FROM memories WHERE id = ?", (second,)) == [(None,)]


def test_a_list_is_verified_afterwards_and_the_status_is_told(scratch: Scratch, tmp_path: Path) -> None:
    remember(scratch, "the first", "the second", "the third")
    memories = damaged(scratch, tmp_path, CHANGED)
    assert len(memories.recent()) == 3
    assert scratch.store.verify_listed(1) == 0
    assert scratch.store.verify_listed(1) == 1
    assert scratch.store.verify_listed(100) == 0
    record = scratch.store.health().last_scrub()
    assert record is not None
    assert record.damaged == 1
    assert len(memories.recent()) == 3
    assert scratch.store.verify_listed(100) == 1
    assert scratch.store.verify_listed(100) == 0


def test_a_row_that_the_same_transaction_wrote_can_be_edited_again(scratch: Scratch) -> None:
    (row_id,) = remember(scratch, "the first")
    with scratch.store.transaction() as transaction:
        transaction.require_whole("memories", row_id)
        transaction.execute("UPDATE memories SET title = 'one' WHERE id = ?", (row_id,))
        transaction.require_whole("memories", row_id)
        fresh = scratch.store.new_row_id()
        transaction.execute("INSERT INTO memories (id, content) VALUES (?, 'fresh')", (fresh,))
        transaction.require_whole("memories", fresh)
    scratch.store.require_whole("memories", [row_id, fresh])


def test_a_row_that_does_not_stand_is_no_damage(scratch: Scratch) -> None:
    (row_id,) = remember(scratch, "the first")
    assert Memories(scratch.store, scratch.clock).forget(row_id)
    scratch.store.require_whole("memories", [row_id, scratch.store.new_row_id()])

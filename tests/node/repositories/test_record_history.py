"""What was done to a record, and taking it back, on a store with the core tables."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from crdt.identifiers import RowId
from node.errors import RefusedError, UsageError
from node.repositories.memories import Memories, MemoryEdit, NewMemory
from node.repositories.record_history import Happening, RecordHistory
from node.schemas import CORE_COMPONENTS
from node.store.history import DAYS_KEPT
from simulations.kernel.clock import SkewedClock
from tests.support.realm import Realm, Replica, open_realm


@pytest.fixture
def realm(tmp_path: Path) -> Iterator[Realm]:
    opened = open_realm(tmp_path, components=CORE_COMPONENTS)
    yield opened
    opened.close()


@pytest.fixture
def here(realm: Realm) -> Replica:
    return realm.replicas[0]


@pytest.fixture
def memories(here: Replica) -> Memories:
    return Memories(here.store, SkewedClock(here.time, 0))


@pytest.fixture
def history(here: Replica) -> RecordHistory:
    return RecordHistory(here.store, SkewedClock(here.time, 0))


def edit(here: Replica, memories: Memories, row_id: RowId, **fields: object) -> None:
    here.time.advance(1000)
    memories.edit(row_id, MemoryEdit(**fields))  # type: ignore[arg-type]


def told(happenings: list[Happening], column: str) -> list[object]:
    return [happening.fields[column] if happening.fields else happening.what for happening in happenings]


def test_a_record_tells_its_life_newest_first(here: Replica, memories: Memories, history: RecordHistory) -> None:
    row_id = memories.remember(NewMemory(content="c", title="one"))
    edit(here, memories, row_id, title="two")
    edit(here, memories, row_id, title="three")
    assert told(history.of_record(row_id, 10), "title") == [("two", "three"), ("one", "two"), "created"]
    assert told(history.of_record(row_id, 1), "title") == [("two", "three")]
    assert [happening.what for happening in history.recent(10)] == ["changed", "changed", "created"]
    assert history.label("memories", row_id) == "three"


def test_an_undo_takes_back_the_latest_change_and_another_one_the_undo(
    here: Replica, memories: Memories, history: RecordHistory
) -> None:
    row_id = memories.remember(NewMemory(content="c", title="one", tags=("a",), importance=3))
    edit(here, memories, row_id, title="two", tags=("b",), importance=4)
    here.time.advance(1)
    assert set(history.undo(row_id, to=None).columns) == {"title", "tags", "importance"}
    memory = memories.get(row_id)
    assert memory is not None
    assert (memory.title, memory.tags, memory.importance) == ("one", ("a",), 3)
    here.time.advance(1)
    history.undo(row_id, to=None)
    memory = memories.get(row_id)
    assert memory is not None
    assert (memory.title, memory.tags, memory.importance) == ("two", ("b",), 4)


def test_a_record_goes_back_to_any_version_that_the_log_shows(
    here: Replica, memories: Memories, history: RecordHistory
) -> None:
    row_id = memories.remember(NewMemory(content="c", title="one"))
    for title in ("two", "three", "four"):
        edit(here, memories, row_id, title=title)
    versions = {
        happening.what if happening.what == "created" else str(happening.fields["title"][1]): happening.version
        for happening in history.of_record(row_id, 10)
    }
    for title, version in (("two", versions["two"]), ("one", versions["created"]), ("three", versions["three"])):
        here.time.advance(1)
        history.undo(row_id, to=version)
        memory = memories.get(row_id)
        assert memory is not None
        assert memory.title == title


def test_a_count_is_taken_back_by_what_was_counted(here: Replica, memories: Memories, history: RecordHistory) -> None:
    row_id = memories.remember(NewMemory(content="c"))
    memories.record_use([row_id])
    here.write(("UPDATE memories SET use_count = use_count + 5 WHERE id = ?", [row_id]))
    assert history.undo(row_id, to=None).columns == ("use_count",)
    assert here.query("SELECT use_count FROM memories") == [(1,)]


def test_what_cannot_be_undone_says_why(here: Replica, memories: Memories, history: RecordHistory) -> None:
    row_id = memories.remember(NewMemory(content="c", title="one"))
    with pytest.raises(RefusedError, match="Nothing was changed"):
        history.undo(row_id, to=None)
    edit(here, memories, row_id, title="two")
    newest, created = history.of_record(row_id, 10)
    with pytest.raises(RefusedError, match="at this version already"):
        history.undo(row_id, to=newest.version)
    with pytest.raises(UsageError, match="no version"):
        history.undo(row_id, to="0123456789")
    with pytest.raises(UsageError, match="never was one"):
        history.undo(RowId(bytes(16)), to=None)
    here.time.advance((DAYS_KEPT + 1) * 24 * 3600 * 1000)
    with pytest.raises(UsageError, match="no version"):
        history.undo(row_id, to=created.version)
    memories.forget(row_id)
    with pytest.raises(RefusedError, match="forgotten"):
        history.undo(row_id, to=None)
    assert [happening.what for happening in history.of_record(row_id, 10)] == ["forgotten"]


def test_versions_have_the_same_names_on_every_device(realm: Realm, here: Replica, memories: Memories) -> None:
    row_id = memories.remember(NewMemory(content="c", title="one"))
    edit(here, memories, row_id, title="two")
    realm.exchange()
    named = [
        [
            happening.version
            for happening in RecordHistory(replica.store, SkewedClock(replica.time, 0)).of_record(row_id, 9)
        ]
        for replica in realm.replicas
    ]
    assert named[0] == named[1]
    assert len(set(named[0])) == 2

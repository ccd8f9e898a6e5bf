"""Conflicts as a person meets them: both versions, a choice that reaches all devices, and the choice taken back."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from crdt.identifiers import RowId
from node.errors import RefusedError, UsageError
from node.repositories.conflicts import Conflicts, ConflictState
from node.repositories.memories import Memories, MemoryEdit, NewMemory
from node.repositories.record_history import RecordHistory
from node.schemas import CORE_COMPONENTS
from simulations.kernel.clock import SkewedClock
from sync.streams import Stream
from tests.support.forgery import Forger, column
from tests.support.realm import Realm, Replica, open_realm


class Home:
    """One device's memories and conflicts."""

    def __init__(self, replica: Replica) -> None:
        self.replica = replica
        clock = SkewedClock(replica.time, 0)
        self.memories = Memories(replica.store, clock)
        self.conflicts = Conflicts(replica.store, clock)

    def title(self, row_id: RowId) -> str | None:
        memory = self.memories.get(row_id)
        assert memory is not None
        return memory.title

    def call_it(self, row_id: RowId, title: str) -> None:
        self.replica.time.advance(1)
        self.memories.edit(row_id, MemoryEdit(title=title))

    def only(self) -> ConflictState:
        (found,) = self.conflicts.listed(everything=False, limit=10)
        return found


@pytest.fixture
def realm(tmp_path: Path) -> Iterator[Realm]:
    opened = open_realm(tmp_path, components=CORE_COMPONENTS)
    yield opened
    opened.close()


@pytest.fixture
def homes(realm: Realm) -> list[Home]:
    return [Home(replica) for replica in realm.replicas]


@pytest.fixture
def memory(realm: Realm, homes: list[Home]) -> RowId:
    """A memory whose title was written apart: `there` is shown, `here` is the other version."""
    here, there = homes
    row_id = here.memories.remember(NewMemory(content="The tree by the gate", title="tree"))
    realm.exchange()
    here.call_it(row_id, "here")
    there.call_it(row_id, "there")
    realm.exchange()
    return row_id


def test_both_versions_are_shown_with_their_authors_on_every_device(homes: list[Home], memory: RowId) -> None:
    here, there = homes
    for home in homes:
        state = home.only()
        assert (state.state, state.shown.value, state.kept.loser.value) == ("open", "there", "here")
        assert state.shown.stamp[8:40] == there.replica.device_id
        assert state.kept.loser.stamp[8:40] == here.replica.device_id
        assert (state.kept.row_id, state.kept.column) == (memory, "title")
        assert home.conflicts.count() == 1
    assert here.only().kept.key == there.only().kept.key


@pytest.mark.parametrize(
    ("choice", "text", "stands"), [("shown", None, "there"), ("other", None, "here"), ("text", "x", "x")]
)
def test_a_choice_closes_the_conflict_on_every_device_and_can_be_taken_back(
    realm: Realm, homes: list[Home], memory: RowId, choice: str, text: str | None, stands: str
) -> None:
    here, there = homes
    assert here.conflicts.resolve(here.only(), choice=choice, text=text) == stands
    realm.exchange()
    for home in homes:
        assert home.title(memory) == stands
        assert home.conflicts.count() == 0
        (state,) = home.conflicts.listed(everything=True, limit=10)
        assert (state.state, state.choice) == ("resolved", choice)
        assert state.resolved_by is not None
        assert state.resolved_by[8:40] == here.replica.device_id
    # The other device takes it back: it has the history of the change just as well.
    there.replica.time.advance(1)
    assert there.conflicts.reopen(there.conflicts.of_record(memory)[0]) == (choice != "shown")
    realm.exchange()
    for home in homes:
        assert home.title(memory) == "there"
        assert home.only().state == "reopened"
    here.replica.time.advance(1)
    here.conflicts.resolve(here.only(), choice="shown", text=None)
    realm.exchange()
    assert [home.conflicts.count() for home in homes] == [0, 0]


def test_taking_a_choice_back_leaves_what_was_written_since(realm: Realm, homes: list[Home], memory: RowId) -> None:
    here, there = homes
    here.conflicts.resolve(here.only(), choice="other", text=None)
    realm.exchange()
    there.call_it(memory, "later")
    assert not there.conflicts.reopen(there.conflicts.of_record(memory)[0])
    assert there.title(memory) == "later"


def test_the_log_of_records_does_not_tell_of_choices(realm: Realm, homes: list[Home], memory: RowId) -> None:
    here, _ = homes
    here.conflicts.resolve(here.only(), choice="other", text=None)
    history = RecordHistory(here.replica.store, SkewedClock(here.replica.time, 0))
    assert {happening.table for happening in history.recent(50)} == {"memories"}
    assert {happening.row_id for happening in history.recent(50)} == {memory}


def test_two_people_who_choose_apart_leave_one_choice(realm: Realm, homes: list[Home], memory: RowId) -> None:
    here, there = homes
    here.conflicts.resolve(here.only(), choice="other", text=None)
    there.replica.time.advance(1)
    there.conflicts.resolve(there.only(), choice="shown", text=None)
    realm.exchange()
    assert [home.conflicts.count() for home in homes] == [0, 0]
    assert {home.conflicts.of_record(memory)[0].choice for home in homes} == {"shown"}


def test_a_write_that_knew_of_both_is_named_as_what_settled_it(realm: Realm, homes: list[Home], memory: RowId) -> None:
    here, there = homes
    there.call_it(memory, "both")
    realm.exchange()
    for home in homes:
        assert home.conflicts.listed(everything=False, limit=10) == []
        (state,) = home.conflicts.listed(everything=True, limit=10)
        assert state.state == "settled"
    with pytest.raises(RefusedError, match="nothing to take back"):
        here.conflicts.reopen(here.conflicts.of_record(memory)[0])


def test_a_column_that_is_set_once_cannot_take_the_other_version(realm: Realm, homes: list[Home]) -> None:
    here, there = homes
    for home in homes:
        home.replica.time.advance(1)
        sql = "INSERT INTO preferences (id, scope, key, value, created_at) VALUES (?, 'person', 'tea', '1', ?)"
        home.replica.write((sql, [bytes(16), f"{home.replica.device_id.hex()}"]))
    realm.exchange()
    state = here.only()
    assert state.kept.column == "created_at"
    with pytest.raises(UsageError, match="set once"):
        here.conflicts.resolve(state, choice="other", text=None)
    here.conflicts.resolve(state, choice="shown", text=None)
    realm.exchange()
    assert there.conflicts.count() == 0


def test_a_conflict_is_found_by_the_first_digits_of_its_key(homes: list[Home], memory: RowId) -> None:
    here, _ = homes
    key = here.only().kept.key.hex()
    assert here.conflicts.find(key[:6].upper()) == here.only()
    for wrong in ("", "12", "xyzt", "%%%%"):
        with pytest.raises(UsageError, match="not the key"):
            here.conflicts.find(wrong)
    with pytest.raises(UsageError, match="No conflict"):
        here.conflicts.find("0000000000000000")


@pytest.mark.parametrize(
    ("columns", "values", "state"),
    [
        ([], [], "resolved"),
        ([column("choice", "lww"), column("state", "lww")], ["nonsense", "resolved"], "resolved"),
        ([column("choice", "lww"), column("state", "lww")], ["other", "nonsense"], "reopened"),
    ],
)
def test_what_a_member_says_of_a_conflict_in_no_words_of_ours_leaves_the_list_to_be_read(
    realm: Realm, homes: list[Home], memory: RowId, columns: list[tuple[str, int]], values: list[str], state: str
) -> None:
    here, there = homes
    realm.exchange()
    key = here.only().kept.key
    forger = Forger(there.replica, Stream.PROFILE)
    said = forger.change("conflict_resolutions", columns, key, 1, *values)
    assert here.replica.receive([forger.batch([said])]).applied == 1
    (found,) = here.conflicts.listed(everything=True, limit=10)
    assert found.state == state
    assert found.choice in ("shown", "other")
    assert here.conflicts.count() == (state == "reopened")
    here.conflicts.resolve(found, choice="other", text=None)
    assert here.conflicts.find(key.hex()).state == "resolved"

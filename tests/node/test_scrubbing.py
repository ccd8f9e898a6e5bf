"""A running node looks after its disk by itself: once a month, in quiet seconds, and at once where damage shows."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from node.scrubbing import OVERDUE_MILLISECONDS, PAUSE_SECONDS, SCRUB_MILLISECONDS, SETTLED_SECONDS, Scrubbing
from node.store.health import StoreHealth
from tests.node.store.test_repair_by_ranges import repair, vandalise
from tests.node.store.test_scrub import scrub
from tests.support.realm import Replica, insert_item, open_realm, row_id
from tests.support.scratch_store import ManualClock

ROT = f"UPDATE drill_items SET title = CAST(x'ff' AS TEXT) WHERE id = x'{row_id(7).hex()}'"
BATCH_LOST = "UPDATE _batch SET raw = zeroblob(100)"


class Watched:
    """A store with a scrubber, seconds that pass, and what the person is told."""

    def __init__(self, replica: Replica, holder: str | None = None) -> None:
        self.store = replica.store
        self.clock = ManualClock()
        self.told: list[str] = []
        self.scrubbing = Scrubbing(
            self.store,
            self.clock,
            sign_public=replica.roster.sign_public,
            holder=lambda: holder,
            tell=self.told.append,
        )

    def look(self, count: int, do: Callable[[], object] = lambda: None) -> None:
        """Let seconds pass, look in each, and do something before."""
        for _ in range(count):
            self.clock.milliseconds += 1000
            do()
            self.scrubbing.look()

    def wait_milliseconds(self, milliseconds: int) -> None:
        """Let time pass in which nobody looks."""
        self.clock.milliseconds += milliseconds

    def read(self) -> object:
        """Ask the store something."""
        return self.store.query("SELECT count(*) FROM drill_items")

    def scrubbed_at(self) -> int | None:
        """Return when the last whole passage ended."""
        record = self.store.health().last_scrub()
        return None if record is None else record.at_milliseconds


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Sequence[Replica]]:
    """Two devices that hold nothing yet."""
    realm = open_realm(tmp_path)
    yield realm.replicas
    realm.close()


@pytest.fixture
def there(pair: Sequence[Replica]) -> Replica:
    """The other device."""
    return pair[1]


@pytest.fixture
def filled(pair: Sequence[Replica]) -> Replica:
    """A store with rows."""
    here = pair[0]
    here.write(*(insert_item(number, title=f"item {number}") for number in range(1, 21)))
    return here


@pytest.fixture
def watched(filled: Replica) -> Watched:
    """A sound store that is watched."""
    return Watched(filled)


def test_a_node_scrubs_when_it_has_run_for_a_while_and_again_after_a_month(watched: Watched) -> None:
    watched.look(int(SETTLED_SECONDS) - 2)
    assert watched.scrubbed_at() is None
    watched.look(100)
    first = watched.scrubbed_at()
    assert first is not None
    watched.wait_milliseconds(SCRUB_MILLISECONDS - 200_000)
    watched.look(60)
    assert watched.scrubbed_at() == first
    watched.look(300)
    assert (watched.scrubbed_at() or 0) > first
    assert watched.told == []


def test_it_waits_until_nothing_is_asked_of_the_store_and_not_for_ever(watched: Watched) -> None:
    watched.look(int(SETTLED_SECONDS) + 100)
    first = watched.scrubbed_at() or 0
    watched.wait_milliseconds(SCRUB_MILLISECONDS)
    watched.look(100, watched.read)
    assert watched.scrubbed_at() == first
    watched.wait_milliseconds(OVERDUE_MILLISECONDS - SCRUB_MILLISECONDS)
    watched.look(100, watched.read)
    assert (watched.scrubbed_at() or 0) > first


def test_a_damaged_row_is_rebuilt_and_the_person_told(filled: Replica) -> None:
    vandalise(filled, ROT)
    watched = Watched(filled)
    watched.look(int(SETTLED_SECONDS) + 200)
    assert watched.told == [
        "1 damaged row rebuilt from this device's own log.",
        "The words of drill_items were indexed anew.",
    ]
    assert filled.query("SELECT title FROM drill_items WHERE id = ?", row_id(7)) == [("item 7",)]
    assert scrub(filled).sound
    record = filled.store.health().last_scrub()
    assert record is not None
    assert record.damaged == 0


def test_what_was_listed_and_is_damaged_brings_a_passage_at_once(filled: Replica) -> None:
    vandalise(filled, ROT)
    watched = Watched(filled)
    watched.store.note_listed("drill_items", [row_id(7)])
    watched.look(100, watched.read)
    assert len(watched.told) == 3
    assert watched.told[0].startswith("A record on this device's disk is damaged")
    assert scrub(filled).sound


def test_a_row_that_another_device_holds_is_taken_out_for_its_copy_to_come(filled: Replica, there: Replica) -> None:
    there.pull(filled)
    vandalise(filled, ROT)
    vandalise(filled, BATCH_LOST)
    watched = Watched(filled, holder="Laptop")
    watched.look(int(SETTLED_SECONDS) + 200)
    assert watched.told[0] == "1 damaged row taken out; Laptop holds them and sends them again."
    assert "nuthatch doctor" in watched.told[-1], "the log stays damaged"
    repair(filled, there)
    assert filled.query("SELECT title FROM drill_items WHERE id = ?", row_id(7)) == [("item 7",)]


def test_what_nobody_holds_stays_and_the_person_is_told_once_a_day(filled: Replica) -> None:
    vandalise(filled, ROT)
    vandalise(filled, BATCH_LOST)
    watched = Watched(filled)
    watched.look(int(SETTLED_SECONDS) + 300)
    told = list(watched.told)
    assert len(told) == 2
    assert "nuthatch doctor" in told[-1]
    assert not scrub(filled).sound
    watched.look(1000)
    assert watched.told == told
    watched.wait_milliseconds(int(PAUSE_SECONDS) * 1000 + SCRUB_MILLISECONDS)
    watched.look(300)
    assert len(watched.told) > len(told)


def test_a_passage_that_breaks_off_does_not_keep_the_next_from_beginning(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    watched.look(int(SETTLED_SECONDS) - 1)
    monkeypatch.setattr(StoreHealth, "scrub", broken)
    with pytest.raises(ZeroDivisionError):
        watched.look(3)
    monkeypatch.undo()
    watched.look(100)
    assert watched.scrubbed_at() is None
    watched.wait_milliseconds(int(PAUSE_SECONDS) * 1000)
    watched.look(100)
    assert watched.scrubbed_at() is not None

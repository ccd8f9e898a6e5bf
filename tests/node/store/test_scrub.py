"""The scrub finds every kind of damage that can be planted in a store, and none where there is none."""

from dataclasses import dataclass

import pytest

from node.errors import StorageError
from node.store.damage import Kind, ScrubReport
from node.store.database import Database
from node.store.scrub import Scrub
from sync.streams import Stream
from tests.support.damage import PAGE_BYTES, flip_bits, tamper
from tests.support.realm import KEY, Replica, delete_item, insert_item, row_id

ITEMS = 300


@dataclass(slots=True)
class Ticks:
    """A monotonic clock on which every look takes some milliseconds."""

    seconds: float = 0.0
    step_seconds: float = 0.004

    def __call__(self) -> float:
        self.seconds += self.step_seconds
        return self.seconds


def make_scrub(replica: Replica) -> Scrub:
    """Return a scrub of the replica's store."""
    return replica.store.health().scrub(replica.roster.sign_public, Ticks(), ScrubReport())


def scrub(replica: Replica) -> ScrubReport:
    """Scrub a store from end to end."""
    whole = make_scrub(replica)
    for _ in whole.slices():
        pass
    return whole.report


def kinds(report: ScrubReport) -> set[Kind]:
    """Return the kinds of damage found."""
    return set(report.count_by_kind)


def fill(replica: Replica) -> None:
    """Write rows of every sort: fresh, edited, deleted, with tags and counters."""
    for start in range(0, ITEMS, 100):
        replica.write(*(insert_item(number, title=f"word{number} tail") for number in range(start, start + 100)))
    replica.write(f"UPDATE drill_items SET title = 'edited twice over' WHERE id < x'{row_id(9).hex()}'")
    replica.write(delete_item(20), delete_item(21))


@pytest.fixture
def filled(here: Replica) -> Replica:
    """A store with rows."""
    fill(here)
    return here


def damaged(replica: Replica, *statements: str) -> ScrubReport:
    """Return what a scrub finds after statements were run behind the store's back."""
    replica.store.close()
    tamper(replica.path, *statements)
    replica.store = replica.open(replica.path)
    return scrub(replica)


def test_a_sound_store_is_found_sound_and_looked_at_whole(filled: Replica, there: Replica) -> None:
    there.pull(filled)
    for replica in (filled, there):
        report = scrub(replica)
        assert report.sound, report.damage
        assert report.rows == ITEMS
        assert report.batches == 5
        assert report.entries == ITEMS - 2
        assert report.not_compared == []


ROW = f"x'{row_id(50).hex()}'"


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (f"UPDATE drill_items SET title = 'word50 tale' WHERE id = {ROW}", {Kind.ROW_CHANGED}),
        (f"UPDATE drill_items SET size = 1 WHERE id = {ROW}", {Kind.ROW_CHANGED}),
        (f"UPDATE _row_drill_items SET seq = seq + 1 WHERE id = {ROW}", {Kind.ROW_CHANGED}),
        (f"UPDATE _row_drill_items SET origin = 9 WHERE id = {ROW}", {Kind.ROW_CHANGED}),
        (f"UPDATE _row_drill_items SET cells = x'c1' WHERE id = {ROW}", {Kind.ROW_CHANGED}),
        (f"UPDATE _row_drill_items SET hash = zeroblob(32) WHERE id = {ROW}", {Kind.ROW_CHANGED, Kind.DIGEST_WRONG}),
        (f"DELETE FROM drill_items WHERE id = {ROW}", {Kind.ROW_LOST, Kind.WORDS_SURPLUS}),
        (f"INSERT INTO drill_items (id) VALUES (x'{row_id(20).hex()}')", {Kind.ROW_RISEN, Kind.WORDS_MISSING}),
        (
            f"DELETE FROM _row_drill_items WHERE id = {ROW}",
            {Kind.ROW_STATE_LOST, Kind.DIGEST_WRONG, Kind.COUNT_WRONG},
        ),
        (f"INSERT INTO drill_items (id) VALUES (x'{'ff' * 16}')", {Kind.ROW_STATE_LOST, Kind.WORDS_MISSING}),
        ("UPDATE _stream SET digest = zeroblob(32)", {Kind.DIGEST_WRONG}),
        ("UPDATE _stream SET rows = rows + 1", {Kind.COUNT_WRONG}),
        ("UPDATE _batch SET raw = zeroblob(100) WHERE position = 2", {Kind.BATCH_CHANGED, Kind.BATCH_MISSING}),
        ("UPDATE _batch SET hash = zeroblob(32) WHERE position = 5", {Kind.BATCH_CHANGED, Kind.FRONTIER_WRONG}),
        ("UPDATE _batch SET seq = 77 WHERE position = 5", {Kind.BATCH_CHANGED, Kind.FRONTIER_WRONG}),
        ("DELETE FROM _batch WHERE position = 2", {Kind.BATCH_MISSING}),
        ("DELETE FROM _batch WHERE position = 5", {Kind.FRONTIER_WRONG}),
        ("DELETE FROM _fts_drill_items WHERE rowid = 7", {Kind.WORDS_MISSING}),
        ("INSERT INTO _fts_drill_items (rowid, title) VALUES (9999, 'surplus')", {Kind.WORDS_SURPLUS}),
        ("DROP TABLE _fts_drill_items", {Kind.INDEX_UNREADABLE}),
    ],
)
def test_what_was_changed_behind_the_triggers_is_found(filled: Replica, statement: str, expected: set[Kind]) -> None:
    report = damaged(filled, statement)
    assert kinds(report) == expected, report.damage


def test_words_that_the_index_holds_of_a_row_that_changed_are_found(filled: Replica) -> None:
    report = damaged(
        filled,
        "DELETE FROM _fts_drill_items WHERE rowid = 7",
        "INSERT INTO _fts_drill_items (rowid, title) VALUES (7, 'quite other words than before')",
    )
    assert kinds(report) == {Kind.WORDS_WRONG}
    assert [found.where for found in report.damage] == ["drill_items"]


def test_a_damaged_row_is_named(filled: Replica) -> None:
    report = damaged(filled, f"UPDATE drill_items SET best = 4.5 WHERE id = {ROW}")
    assert [(found.where, found.key) for found in report.damage] == [("drill_items", row_id(50))]


def test_a_flipped_bit_in_any_page_of_the_file_is_found_and_never_a_panic(filled: Replica) -> None:
    filled.store.close()
    database = Database(filled.path, KEY)
    name_by_page: dict[int, str] = dict(database.query("SELECT pageno, name FROM dbstat WHERE ncell > 0"))
    database.checkpoint()
    database.close()
    sound = filled.path.read_bytes()
    silent: set[str] = set()
    for page, name in name_by_page.items():
        # Rows fill a page from its end; some places may have become free when rows grew.
        if not any(notices_flip(filled, sound, page - 1, PAGE_BYTES - before) for before in (24, 60, 120, 1000)):
            silent.add(name)
    filled.path.write_bytes(sound)
    filled.store = filled.open(filled.path)
    # What is told to a person and never merged has no hash.
    assert silent <= {"_migration_history", "_history"}


def notices_flip(replica: Replica, sound: bytes, page: int, at: int) -> bool:
    """Say whether opening, checking the pages or scrubbing finds a flip; only a StorageError may be raised."""
    replica.path.write_bytes(sound)
    flip_bits(replica.path, page, at=at)
    try:
        store = replica.open(replica.path)
    except StorageError:
        return True
    try:
        replica.store = store
        return bool(store.health().page_errors()) or not scrub(replica).sound
    finally:
        store.close()


def test_writes_between_the_slices_are_no_damage(filled: Replica) -> None:
    whole = make_scrub(filled)
    for number, _ in enumerate(whole.slices()):
        if number < 3:
            filled.write(insert_item(1000 - number, title="late"), f"UPDATE drill_items SET size = {number}")
    assert whole.report.sound, whole.report.damage
    assert whole.report.not_compared == []


def test_a_stream_that_never_rests_is_said_not_to_have_been_compared(filled: Replica) -> None:
    whole = make_scrub(filled)
    for number, _ in enumerate(whole.slices()):
        # One row for each slice, else the log would grow as fast as it is read.
        if Stream.FILES.title not in whole.report.not_compared:
            filled.write(f"UPDATE drill_items SET size = {number} WHERE id = {ROW}")
    assert Stream.FILES.title in whole.report.not_compared
    assert whole.report.sound, whole.report.damage


def test_slices_grow_small_where_each_takes_long(filled: Replica) -> None:
    health = filled.store.health()
    fast = health.scrub(filled.roster.sign_public, Ticks(step_seconds=0.001), ScrubReport())
    slow = health.scrub(filled.roster.sign_public, Ticks(step_seconds=0.5), ScrubReport())
    assert sum(1 for _ in slow.slices()) > 3 * sum(1 for _ in fast.slices())


def test_the_last_scrub_is_kept(filled: Replica) -> None:
    health = filled.store.health()
    assert health.last_scrub() is None
    health.note_scrub(scrub(filled), 1_000)
    filled.reopen()
    record = filled.store.health().last_scrub()
    assert record is not None
    assert (record.at_milliseconds, record.damaged) == (1_000, 0)


def test_a_row_changed_on_one_device_is_found_where_only_the_frontier_was_compared(
    filled: Replica, there: Replica
) -> None:
    # The point of it all: both say "in sync", and only the scrub sees that one of them shows something else.
    there.pull(filled)
    report = damaged(there, f"UPDATE drill_items SET title = 'another' WHERE id = {ROW}")
    assert there.store.view() == filled.store.view()
    assert Kind.ROW_CHANGED in kinds(report)

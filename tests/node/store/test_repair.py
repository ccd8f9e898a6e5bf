"""What a scrub found is mended: the index filled anew, digests added up, damaged rows taken from another device."""

import pytest

from node.store.damage import Kind, ScrubReport
from sync.streams import Stream
from tests.node.store.test_repair_by_ranges import repair as compare_rows
from tests.node.store.test_scrub import ITEMS, ROW, Ticks, damaged, fill, kinds, scrub
from tests.support.damage import tamper
from tests.support.realm import Replica, check_digests, row_id


@pytest.fixture
def filled(here: Replica) -> Replica:
    """A store with rows."""
    fill(here)
    return here


def reindex(replica: Replica) -> int:
    """Index the items' texts anew; return in how many slices."""
    return sum(1 for _ in replica.store.health().rebuild_text(["drill_items"], Ticks()))


def found_by(replica: Replica, word: str) -> set[object]:
    """Return the ids of the items whose text holds a word."""
    return {
        row[0]
        for row in replica.query(
            "SELECT t.id FROM _fts_drill_items f JOIN drill_items t ON t.rowid = f.rowid"
            " WHERE _fts_drill_items MATCH ?",
            word,
        )
    }


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM _fts_drill_items WHERE rowid % 3 = 0",
        "INSERT INTO _fts_drill_items (rowid, title) VALUES (9999, 'surplus')",
        "DROP TABLE _fts_drill_items",
        "DELETE FROM _fts_drill_items_data WHERE id > 10",
        "UPDATE _fts_drill_items_data SET block = zeroblob(64) WHERE id = 10",
    ],
)
def test_an_index_filled_anew_finds_every_row_and_no_other(filled: Replica, statement: str) -> None:
    damaged(filled, statement)
    assert reindex(filled) > 1
    assert scrub(filled).sound
    assert found_by(filled, "word77") == {row_id(77)}
    assert len(found_by(filled, "tail")) == ITEMS - 2 - 9
    assert found_by(filled, "surplus") == set()


def test_digests_added_up_anew_are_those_of_another_device(filled: Replica, there: Replica) -> None:
    there.pull(filled)
    report = damaged(there, "UPDATE _stream SET digest = zeroblob(32), rows = 7")
    assert kinds(report) == {Kind.DIGEST_WRONG, Kind.COUNT_WRONG}
    there.store.add_up([Stream.FILES])
    assert scrub(there).sound
    assert there.store.view() == filled.store.view()
    there.reopen()
    assert there.store.view() == filled.store.view()


@pytest.mark.parametrize(
    "statement",
    [
        f"UPDATE drill_items SET title = 'another' WHERE id = {ROW}",
        f"DELETE FROM drill_items WHERE id = {ROW}",
        f"DELETE FROM _row_drill_items WHERE id = {ROW}",
        f"UPDATE _row_drill_items SET cells = x'c1' WHERE id = {ROW}",
        f"INSERT INTO drill_items (id) VALUES (x'{row_id(20).hex()}')",
    ],
)
def test_a_damaged_row_that_was_taken_out_comes_back_from_another_device(
    filled: Replica, there: Replica, statement: str
) -> None:
    there.pull(filled)
    batches = len(there.batches(Stream.FILES))
    report = damaged(there, statement)
    row_ids = {found.key for found in report.damage if found.where == "drill_items" and len(found.key) == 16}
    there.store.take_out({"drill_items": sorted(row_ids)})
    reindex(there)
    # Until the row is back a scrub goes on saying that it is gone.
    assert {found.key for found in scrub(there).damage} == row_ids
    check_digests(there)
    # The frontiers agree and the digests do not: that is what the comparison of ranges starts from.
    mine, theirs = there.store.view().stream(Stream.FILES), filled.store.view().stream(Stream.FILES)
    assert mine.frontier == theirs.frontier
    assert mine.digest != theirs.digest
    compare_rows(filled, there)
    assert scrub(there).sound
    assert there.store.view() == filled.store.view()
    assert there.query("SELECT * FROM drill_items ORDER BY id") == filled.query("SELECT * FROM drill_items ORDER BY id")
    # It was no delete: nothing of it was written down for others.
    assert len(there.batches(Stream.FILES)) == batches


def test_taking_nothing_out_changes_nothing(filled: Replica) -> None:
    before = filled.store.view()
    filled.store.take_out({})
    filled.store.add_up([Stream.FILES, Stream.MEDIA])
    assert filled.store.view().stream(Stream.FILES) == before.stream(Stream.FILES)
    assert filled.store.view().stream(Stream.MEDIA).rows == 0


def test_a_repair_that_is_rolled_back_leaves_the_digest_as_it_was(filled: Replica) -> None:
    filled.store.close()
    tamper(filled.path, "DROP TABLE _fts_drill_items")
    filled.store = filled.open(filled.path)
    before = filled.store.view()
    with pytest.raises(Exception, match="refused"):
        filled.store.take_out({"drill_items": [row_id(50)]})
    assert filled.store.view() == before
    check_digests(filled)
    assert kinds(scrub(filled)) == {Kind.INDEX_UNREADABLE}
    assert ScrubReport().sound

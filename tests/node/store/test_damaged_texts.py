"""A text that is no valid UTF-8 any more stands in nobody's way: others are read, merged, sent; it is replaced."""

import pytest

from crdt.identifiers import RowId, row_id_to_text
from node.errors import DamagedRowError, UnreadableTextError
from node.store import damaged_texts
from node.store.damage import Kind
from sync.streams import Stream
from tests.node.store.test_repair_by_ranges import assert_equal, repair, vandalise
from tests.node.store.test_scrub import scrub
from tests.support.realm import Realm, Replica, insert_item, row_id

FILES = Stream.FILES
ROT = f"UPDATE drill_items SET title = CAST(x'6120ff6220c3' AS TEXT) WHERE id = x'{row_id(3).hex()}'"
RETITLED = f"UPDATE drill_items SET title = 'retitled' WHERE id = x'{row_id(3).hex()}'"
USED = f"UPDATE drill_items SET uses = uses + 1 WHERE id = x'{row_id(3).hex()}'"


@pytest.fixture
def pair(realm: Realm) -> tuple[Replica, Replica]:
    """A replica with a text that cannot be read, and one that holds the same rows whole."""
    here, there = realm.replicas
    here.write(*(insert_item(number, title=f"item {number}") for number in range(1, 7)))
    realm.exchange()
    vandalise(here, ROT)
    return here, there


def test_what_another_device_writes_is_merged_around_it_and_its_copy_takes_the_place(
    pair: tuple[Replica, Replica],
) -> None:
    here, there = pair
    there.write(RETITLED, USED, "UPDATE drill_items SET title = 'another' WHERE title = 'item 4'")
    there.write(RETITLED.replace("retitled", "once more"))
    here.pull(there)
    assert here.query("SELECT title FROM drill_items WHERE id = ?", row_id(4)) == [("another",)]
    assert [(found.kind, found.key) for found in scrub(here).damage] == [(Kind.ROW_CHANGED, row_id(3))]
    assert repair(here, there) > 0
    assert_equal(here, there)
    assert here.query("SELECT title, uses FROM drill_items WHERE id = ?", row_id(3)) == [("once more", 1)]
    assert scrub(here).sound


@pytest.mark.parametrize("statement", [USED, RETITLED])
def test_an_edit_of_it_is_refused_with_its_name(pair: tuple[Replica, Replica], statement: str) -> None:
    here, _ = pair
    with pytest.raises(DamagedRowError, match=row_id_to_text(RowId(row_id(3)))):
        here.write(statement)
    with pytest.raises(DamagedRowError, match="doctor --repair"):
        here.store.require_whole("drill_items", [row_id(3)])
    here.write("UPDATE drill_items SET uses = 7 WHERE title = 'item 4'")


def test_it_can_be_deleted(pair: tuple[Replica, Replica]) -> None:
    here, there = pair
    here.write(f"DELETE FROM drill_items WHERE id = x'{row_id(3).hex()}'")
    there.pull(here)
    assert_equal(here, there)
    assert there.query("SELECT count(*) FROM drill_items") == [(5,)]


def test_a_text_that_a_statement_makes_is_refused(pair: tuple[Replica, Replica]) -> None:
    here, _ = pair
    for number in (3, 4):
        with pytest.raises(UnreadableTextError):
            here.write(f"UPDATE drill_items SET title = CAST(x'ff' AS TEXT) WHERE id = x'{row_id(number).hex()}'")
    assert here.query("SELECT title FROM drill_items WHERE id = ?", row_id(4)) == [("item 4",)]


def test_a_reader_that_gives_up_at_such_a_text_would_be_noticed(
    pair: tuple[Replica, Replica], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = pair

    class Never(Exception):
        """What nothing raises."""

    monkeypatch.setattr(damaged_texts, "UnreadableTextError", Never)
    there.write(RETITLED)
    with pytest.raises(UnreadableTextError):
        here.pull(there)
    with pytest.raises(UnreadableTextError):
        here.manifest_and_pages(FILES)

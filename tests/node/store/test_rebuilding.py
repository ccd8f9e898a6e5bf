"""A damaged row on a lone device is rebuilt from the device's own log, or left as it is: never guessed."""

from pathlib import Path

import pytest

from crdt.identifiers import RowId
from node.schemas import CORE_COMPONENTS
from node.store import rebuilding
from node.store.damage import TAKEN_OUT, Kind
from sync.streams import Stream
from tests.node.store.test_compaction import stable_of
from tests.node.store.test_repair import reindex
from tests.node.store.test_scrub import damaged, kinds, scrub
from tests.node.store.test_scrub_of_histories import insert_comment, live
from tests.support.damage import tamper
from tests.support.realm import Realm, Replica, check_digests, delete_item, insert_item, open_realm, row_id

FILES = Stream.FILES
TABLES = ("drill_items", "drill_comments", "drill_settings", "drill_folders")


def rebuild(replica: Replica) -> list[tuple[str, RowId]]:
    """Rebuild what a scrub finds and return it."""
    rebuilt: list[tuple[str, RowId]] = []
    for _ in replica.store.health().rebuild(scrub(replica), replica.roster.sign_public, rebuilt):
        pass
    return rebuilt


def contents(replica: Replica) -> dict[str, list[tuple[object, ...]]]:
    """Return the rows of all tables."""
    return {name: replica.query(f"SELECT * FROM {name} ORDER BY id") for name in TABLES}


def damage(replica: Replica, *statements: str) -> None:
    """Change a store behind its back."""
    replica.store.close()
    tamper(replica.path, *statements)
    replica.store = replica.open(replica.path)


@pytest.fixture
def lived(realm: Realm) -> Replica:
    """A store in which everything happened that can happen to rows, with a log that holds all of it."""
    here, there = realm.replicas
    live(here, there)
    realm.exchange()
    here.write(
        delete_item(4), insert_comment(102, 14), f"UPDATE drill_items SET size = 3 WHERE id = x'{row_id(7).hex()}'"
    )
    realm.exchange()
    while here.store.maintain():
        pass
    return here


SEVENTH = f"x'{row_id(7).hex()}'"


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("UPDATE drill_items SET title = 'rot', size = 7", id="all values of a column"),
        pytest.param("UPDATE drill_items SET title = CAST(x'ff' AS TEXT)", id="texts that are none"),
        pytest.param("DELETE FROM drill_items", id="all rows"),
        pytest.param("UPDATE _row_drill_items SET cells = x'c1'", id="all row states"),
        pytest.param("UPDATE _row_drill_items SET cells = NULL, seq = 1", id="all stamps"),
        pytest.param("UPDATE _row_drill_items SET generation = generation + 2", id="all generations"),
        pytest.param("UPDATE _row_drill_items SET hash = zeroblob(32)", id="all hashes"),
        pytest.param(f"DELETE FROM _row_drill_items WHERE id = {SEVENTH}", id="a row state is gone"),
        pytest.param(f"INSERT INTO drill_items (id) VALUES (x'{row_id(4).hex()}')", id="a deleted row stands"),
        pytest.param("UPDATE drill_settings SET labels = '[]', value = NULL", id="a set"),
        pytest.param("UPDATE drill_comments SET text = 'rot'", id="rows that hang on others"),
    ],
)
def test_what_the_log_proves_is_as_it_was(lived: Replica, there: Replica, statement: str) -> None:
    before, view = contents(lived), lived.store.view()
    damage(lived, statement)
    found = {(one.where, one.key) for one in scrub(lived).damage if one.kind in TAKEN_OUT}
    assert found
    assert set(rebuild(lived)) == found
    reindex(lived)
    assert contents(lived) == before
    assert lived.store.view() == view
    assert scrub(lived).sound, scrub(lived).damage
    check_digests(lived)
    # It was no edit: nothing is there to be sent.
    assert lived.batches(FILES, there.store.view().stream(FILES).frontier) == []
    lived.write("UPDATE drill_items SET title = title || ' and on'")
    there.pull(lived)
    assert there.store.view() == lived.store.view()


def test_what_came_while_a_row_was_damaged_is_in_it_afterwards(lived: Replica, there: Replica) -> None:
    damage(lived, f"UPDATE drill_items SET title = 'rot' WHERE id = {SEVENTH}")
    there.write(f"UPDATE drill_items SET title = 'meanwhile', uses = uses + 5 WHERE id = {SEVENTH}")
    lived.pull(there)
    assert lived.store.view() != there.store.view()
    assert rebuild(lived) == [("drill_items", row_id(7))]
    assert lived.store.view() == there.store.view()
    assert contents(lived) == contents(there)
    check_digests(lived)


def test_a_row_that_was_deleted_while_it_was_rebuilt_stays_deleted(lived: Replica) -> None:
    damage(lived, f"UPDATE drill_items SET title = 'rot' WHERE id = {SEVENTH}")
    rebuilt: list[tuple[str, RowId]] = []
    slices = lived.store.health().rebuild(scrub(lived), lived.roster.sign_public, rebuilt)
    next(slices)
    lived.write(delete_item(7))
    assert list(slices) is not None
    assert rebuilt == []
    assert lived.query("SELECT 1 FROM drill_items WHERE id = ?", row_id(7)) == []
    assert scrub(lived).sound


def test_what_the_log_no_longer_holds_is_left_as_it_is(lived: Replica, there: Replica) -> None:
    lived.store.compact(stable_of(lived, there), 3)
    lived.write(insert_item(60, title="young"))
    view = lived.store.view()
    report = damaged(lived, f"UPDATE drill_items SET title = 'rot' WHERE id IN ({SEVENTH}, x'{row_id(60).hex()}')")
    assert Kind.ROW_CHANGED in kinds(report)
    assert rebuild(lived) == [("drill_items", row_id(60))]
    reindex(lived)
    assert [found.key for found in scrub(lived).damage] == [row_id(7)]
    assert lived.store.view() == view
    assert lived.query("SELECT title FROM drill_items WHERE id = ?", row_id(60)) == [("young",)]


def test_a_row_of_which_a_batch_is_damaged_as_well_is_left_as_it_is(lived: Replica) -> None:
    damage(lived, "UPDATE drill_items SET title = 'rot'", "UPDATE _batch SET raw = zeroblob(100) WHERE position = 1")
    before = contents(lived)
    assert row_id(7) not in {row_id for _, row_id in rebuild(lived)}
    titles = {row[0]: row for row in contents(lived)["drill_items"]}
    assert titles[row_id(7)] == {row[0]: row for row in before["drill_items"]}[row_id(7)]


def test_a_row_that_is_put_back_unproven_would_be_noticed(lived: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
    damage(
        lived,
        "UPDATE drill_items SET title = 'rot'",
        "UPDATE _row_drill_items SET hash = zeroblob(32)",
        "UPDATE _batch SET raw = zeroblob(100) WHERE position = 1",
    )
    assert rebuild(lived) == []
    monkeypatch.setattr(rebuilding.Rebuilding, "_completes", lambda *_: True)
    assert rebuild(lived) != []
    assert Kind.DIGEST_WRONG in kinds(scrub(lived))


def test_edited_texts_and_documents_are_rebuilt(tmp_path: Path) -> None:
    realm = open_realm(tmp_path, components=CORE_COMPONENTS)
    here, there = realm.replicas
    for number in range(12):
        here.write(("INSERT INTO memories (id, content) VALUES (?, ?)", (row_id(number), f"tea {number} is good")))
    there.pull(here)
    for replica, word in ((here, "green"), (there, "black")):
        replica.write(
            f"UPDATE memories SET content = '{word} ' || content || ' with milk' WHERE id < x'{row_id(9).hex()}'",
            f'UPDATE memories SET metadata = \'{{"{word}":1,"by":"{word}"}}\' WHERE id < x\'{row_id(6).hex()}\'',
        )
    realm.exchange()
    before = here.query("SELECT * FROM memories ORDER BY id")
    damage(here, "UPDATE memories SET content = 'rot', metadata = '{}'")
    assert len(rebuild(here)) == 12
    assert here.query("SELECT * FROM memories ORDER BY id") == before
    assert here.store.view() == there.store.view()
    here.write("UPDATE memories SET content = content || ' at five'")
    there.pull(here)
    assert here.store.view() == there.store.view()
    realm.close()

"""What two devices hold after they wrote apart: life by causal length, losers kept, words found or gone."""

import pytest

from crdt.identifiers import natural_row_id
from sync.frontier import EMPTY_FRONTIER
from sync.streams import Stream
from tests.support.realm import Realm, Replica, check_digests, delete_item, insert_item, open_realm, row_id

FILES = Stream.FILES


def titles(replica: Replica) -> list[tuple[object, ...]]:
    return replica.query("SELECT title FROM drill_items ORDER BY title")


def found(replica: Replica, word: str) -> list[object]:
    sql = (
        "SELECT t.title FROM _fts_drill_items f JOIN drill_items t ON t.rowid = f.rowid WHERE _fts_drill_items MATCH ?"
    )
    matched = replica.query("SELECT rowid FROM _fts_drill_items WHERE _fts_drill_items MATCH ?", word)
    joined = [row[0] for row in replica.query(sql, word)]
    assert len(matched) == len(joined), "the index holds words of rows that are gone"
    return joined


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_delete_beats_an_edit_made_without_knowing_of_it(
    realm: Realm, here: Replica, there: Replica, order: tuple[int, int]
) -> None:
    here.write(insert_item(1, title="a"))
    realm.exchange()
    writes = (lambda: here.write(delete_item(1)), lambda: there.write("UPDATE drill_items SET title = 'edited'"))
    for position in order:
        writes[position]()
    realm.exchange()
    assert titles(here) == titles(there) == []


def test_a_deliberate_insert_beats_the_delete_and_brings_back_nothing_old(
    realm: Realm, here: Replica, there: Replica
) -> None:
    here.write(insert_item(1, title="old", tags='["old"]', uses=7))
    realm.exchange()
    there.write('UPDATE drill_items SET tags = \'["late", "old"]\', uses = uses + 1')
    here.write(delete_item(1))
    here.write(insert_item(1, title="new", tags='["new"]', uses=1))
    realm.exchange()
    for replica in realm.replicas:
        assert replica.query("SELECT title, tags, uses FROM drill_items") == [("new", '["new"]', 1)]


def test_a_forgotten_row_is_not_resurrected_by_batches_that_arrive_again_or_late(
    realm: Realm, here: Replica, there: Replica
) -> None:
    here.write(insert_item(1, title="a"))
    there.pull(here)
    there.write("UPDATE drill_items SET title = 'edited'")
    here.write(delete_item(1))
    everything = [*here.batches(FILES), *there.batches(FILES)]
    for replica in realm.replicas:
        for raws in (everything, everything[::-1], everything):
            replica.receive(raws)
        assert titles(replica) == []
        assert replica.store.is_forgotten("drill_items", [row_id(1), row_id(2)]) == {row_id(1)}
    realm.exchange()


def test_a_tombstone_keeps_no_content(here: Replica) -> None:
    here.write(insert_item(1, title="secret", body="secret", tags='["secret"]', payload=b"secret"))
    here.write(delete_item(1))
    ((cells,),) = here.query("SELECT cells FROM _row_drill_items")
    assert cells is None or (isinstance(cells, bytes) and b"secret" not in cells)
    assert here.query("SELECT count(*) FROM _fts_drill_items") == [(0,)]


def test_two_devices_that_create_one_natural_key_apart_create_one_row(
    realm: Realm, here: Replica, there: Replica
) -> None:
    key = natural_row_id("drill_settings", "theme")
    for replica, name in ((here, "first"), (there, "second")):
        columns = "id, key, value, origin, labels, changes, latest"
        sql = f"INSERT INTO drill_settings ({columns}) VALUES (?, 'theme', ?, ?, ?, 1, ?)"
        replica.write((sql, [key, name, name, f'["{name}"]', len(name)]))
    realm.exchange()
    for replica in realm.replicas:
        rows = replica.query("SELECT value, origin, labels, changes, latest FROM drill_settings")
        assert rows == [("second", "first", '["first","second"]', 2, 6)]


def test_counters_add_up_and_sets_keep_what_was_added_apart(realm: Realm, here: Replica, there: Replica) -> None:
    here.write(insert_item(1, uses=10, tags='["a", "b"]'))
    realm.exchange()
    here.write('UPDATE drill_items SET uses = uses + 5, tags = \'["b", "c"]\'')
    there.write('UPDATE drill_items SET uses = uses - 3, tags = \'["a", "b", "d"]\'')
    realm.exchange()
    for replica in realm.replicas:
        assert replica.query("SELECT uses, tags FROM drill_items") == [(12, '["b","c","d"]')]


def test_adding_an_element_beats_removing_it_apart(realm: Realm, here: Replica, there: Replica) -> None:
    here.write(insert_item(1, tags='["a"]'))
    realm.exchange()
    here.write("UPDATE drill_items SET tags = '[]'")
    there.write("UPDATE drill_items SET tags = '[]'")
    there.write("UPDATE drill_items SET tags = '[\"a\"]'")
    realm.exchange()
    for replica in realm.replicas:
        assert replica.query("SELECT tags FROM drill_items") == [('["a"]',)]


def test_the_losing_version_of_a_concurrent_edit_is_kept_once_and_purged_with_its_row(
    realm: Realm, here: Replica, there: Replica
) -> None:
    here.write(insert_item(1, title="a"))
    realm.exchange()
    here.write("UPDATE drill_items SET title = 'here'")
    there.write("UPDATE drill_items SET title = 'there'")
    realm.exchange()
    for replica in realm.replicas:
        assert titles(replica) == [("there",)]
        assert replica.query("SELECT column_name, value FROM _conflict") == [("title", b"\xa4here")]
    assert here.query("SELECT key FROM _conflict") == there.query("SELECT key FROM _conflict")
    there.receive(here.batches(FILES))
    assert there.store.conflicts() == 1
    here.write(delete_item(1))
    realm.exchange()
    assert [replica.store.conflicts() for replica in realm.replicas] == [0, 0]


def test_an_edit_made_knowing_of_the_other_is_no_conflict(realm: Realm, here: Replica, there: Replica) -> None:
    here.write(insert_item(1, title="a"))
    realm.exchange()
    here.write("UPDATE drill_items SET title = 'here'")
    there.pull(here)
    there.write("UPDATE drill_items SET title = 'there'")
    realm.exchange()
    assert [replica.store.conflicts() for replica in realm.replicas] == [0, 0]


def test_a_write_that_knew_of_both_settles_a_conflict_everywhere(realm: Realm, here: Replica, there: Replica) -> None:
    here.write(insert_item(1, title="a"))
    realm.exchange()
    here.write("UPDATE drill_items SET title = 'here'")
    there.write("UPDATE drill_items SET title = 'there'")
    realm.exchange()
    there.write("UPDATE drill_items SET body = 'another cell'")
    assert [replica.store.conflicts() for replica in realm.replicas] == [1, 1]
    here.write("UPDATE drill_items SET title = 'both'")
    assert [replica.store.conflicts() for replica in realm.replicas] == [0, 1]
    realm.exchange()
    assert [replica.store.conflicts() for replica in realm.replicas] == [0, 0]
    settled = [replica.query("SELECT key, loser, settled_by FROM _conflict") for replica in realm.replicas]
    assert settled[0] == settled[1]
    assert settled[0][0][2] is not None


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (2, 0, 1)])
def test_the_open_conflicts_do_not_depend_on_the_order_of_arrival(
    tmp_path_factory: pytest.TempPathFactory, order: tuple[int, ...]
) -> None:
    realm = open_realm(tmp_path_factory.mktemp("order"), devices=4)
    first, second, third, last = realm.replicas
    first.write(insert_item(1, title="a"))
    realm.exchange()
    first.write("UPDATE drill_items SET title = 'oak'")
    second.write("UPDATE drill_items SET title = 'elm'")
    third.pull(first)
    third.write("UPDATE drill_items SET title = 'fir'")
    sources = (first, second, third)
    for position in order:
        last.pull(sources[position])
    assert titles(last) == [("fir",)]
    assert last.query("SELECT value FROM _conflict WHERE settled_by IS NULL") == [(b"\xa3elm",)]
    realm.exchange()
    assert [replica.store.conflicts() for replica in realm.replicas] == [1, 1, 1, 1]
    realm.close()


def test_equal_values_written_apart_are_no_conflict_until_a_third_differs(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    realm = open_realm(tmp_path_factory.mktemp("equal"), devices=3)
    first, second, third = realm.replicas
    first.write(insert_item(1, title="a"))
    realm.exchange()
    first.write("UPDATE drill_items SET title = 'same'")
    second.write("UPDATE drill_items SET title = 'same'")
    third.write("UPDATE drill_items SET title = 'other'")
    first.pull(second)
    second.pull(first)
    assert [first.store.conflicts(), second.store.conflicts()] == [0, 0]
    realm.exchange()
    assert [replica.store.conflicts() for replica in realm.replicas] == [2, 2, 2]
    realm.close()


def test_a_row_inserted_alike_on_two_devices_notes_nothing(realm: Realm, here: Replica, there: Replica) -> None:
    for replica in realm.replicas:
        replica.write(insert_item(1, title="imported", body="from one file"))
    realm.exchange()
    assert [replica.query("SELECT count(*) FROM _conflict") for replica in realm.replicas] == [[(0,)], [(0,)]]


def test_a_new_life_of_a_row_ends_the_conflicts_of_the_old_one(realm: Realm, here: Replica, there: Replica) -> None:
    here.write(insert_item(1, title="a"))
    realm.exchange()
    here.write("UPDATE drill_items SET title = 'here'")
    there.write("UPDATE drill_items SET title = 'there'")
    realm.exchange()
    here.write(delete_item(1))
    here.write(insert_item(1, title="new"))
    # Both batches in one call: the row is never seen dead there.
    there.pull(here)
    assert there.query("SELECT count(*) FROM _conflict") == [(0,)]


def test_words_are_found_while_they_stand_and_never_after(realm: Realm, here: Replica, there: Replica) -> None:
    here.write(insert_item(1, title="walnut", body="red squirrel"), insert_item(2, title="acorn"))
    realm.exchange()
    there.write("UPDATE drill_items SET body = 'grey heron' WHERE title = 'walnut'")
    here.write(delete_item(2), insert_item(3, title="chestnut"))
    realm.exchange()
    for replica in realm.replicas:
        assert found(replica, "heron") == ["walnut"]
        assert found(replica, "chestnut") == ["chestnut"]
        assert found(replica, "squirrel") == found(replica, "acorn") == []
    here.write("DELETE FROM drill_items", insert_item(4, title="hazel"))
    realm.exchange()
    for replica in realm.replicas:
        assert found(replica, "hazel") == ["hazel"]
        assert found(replica, "heron") == found(replica, "walnut") == found(replica, "chestnut") == []


def test_three_devices_agree_whatever_the_order_of_arrival(tmp_path_factory: pytest.TempPathFactory) -> None:
    realm = open_realm(tmp_path_factory.mktemp("three"), devices=3)
    first, second, third = realm.replicas
    first.write(insert_item(1, title="a", tags='["x"]', uses=1))
    realm.exchange()
    first.write("UPDATE drill_items SET title = 'first', tags = '[\"x\", \"y\"]', uses = 4")
    second.write(delete_item(1))
    second.write(insert_item(1, title="second"))
    third.write("UPDATE drill_items SET title = 'third', seen_at = '2026'")
    third.pull(first)
    third.write("UPDATE drill_items SET uses = uses * 2")
    realm.exchange()
    assert titles(third) == [("second",)]
    realm.close()


def test_batches_are_held_until_what_they_build_on_is_there(realm: Realm, here: Replica, there: Replica) -> None:
    here.write(insert_item(1, title="a"))
    there.pull(here)
    there.write("UPDATE drill_items SET title = 'b'")
    there.write("UPDATE drill_items SET title = 'c'")
    first, second, last = [*here.batches(FILES), *there.batches(FILES)[1:]]
    empty = Replica(
        path=here.path.with_name("empty.db"),
        author=here.author,
        roster=here.roster,
        time=here.time,
        components=here.components,
        seed=9,
    )
    report = empty.receive([last, second])
    assert [held.raw for held in report.held] == [last, second]
    assert empty.receive([last, second, first, second, last]).applied == 3
    assert titles(empty) == [("c",)]
    check_digests(empty)
    empty.store.close()


def test_a_batch_from_the_future_waits_and_comes_again_when_its_time_has_come(here: Replica, there: Replica) -> None:
    there.offset_milliseconds = 2 * 24 * 3600 * 1000
    there.store.close()
    there.store = there.open(there.path)
    there.write(insert_item(1, title="written on a clock far ahead"))
    (raw,) = there.batches(Stream.FILES)
    report = here.receive([raw])
    assert [held.raw for held in report.held] == [raw]
    assert "clock" in report.held[0].reason
    here.store.close()
    here.store = here.open(here.path)
    assert here.store.view().stream(Stream.FILES).frontier == EMPTY_FRONTIER, "so the peer sends it again"
    here.time.advance(2 * 24 * 3600 * 1000)
    here.pull(there)
    assert here.query("SELECT title FROM drill_items") == [("written on a clock far ahead",)]

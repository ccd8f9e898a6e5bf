"""A transaction replicates as what it comes to, row by row, and what cannot be replicated is refused."""

import pytest

from crdt.values import Scalar
from node.errors import ConstraintError, StorageError
from sync.batch import open_batch
from sync.streams import Stream
from tests.support.realm import Realm, Replica, check_digests, delete_item, insert_item, row_id

FILES = Stream.FILES


def last_changes(replica: Replica) -> int:
    """Return how many rows the replica's last batch of files changes."""
    raw = replica.batches(FILES)[-1]
    return len(open_batch(raw, replica.author.realm_id, replica.roster.sign_public).changes)


def test_a_row_inserted_and_deleted_in_one_transaction_leaves_no_batch(here: Replica) -> None:
    here.write(insert_item(1), delete_item(1))
    assert here.batches(FILES) == []
    check_digests(here)


def test_a_row_deleted_and_inserted_again_in_one_transaction_is_an_update(realm: Realm, here: Replica) -> None:
    here.write(insert_item(1, title="a", uses=5, tags='["x"]'))
    realm.exchange()
    here.write(delete_item(1), insert_item(1, title="b", uses=5, tags='["x"]'))
    assert here.query("SELECT generation FROM _row_drill_items") == [(1,)]
    realm.exchange()
    assert realm.replicas[1].query("SELECT title, uses, tags FROM drill_items") == [("b", 5, '["x"]')]


def test_writing_back_the_old_value_replicates_nothing(here: Replica) -> None:
    here.write(insert_item(1, title="a", uses=3, tags='["x"]'))
    before = here.store.view()
    here.write(
        "UPDATE drill_items SET title = 'b', uses = 9, tags = '[]'",
        "UPDATE drill_items SET title = 'a'",
        "UPDATE drill_items SET uses = 3, tags = '[\"x\"]'",
    )
    assert here.store.view() == before


def test_replacing_a_row_by_its_equal_replicates_nothing(here: Replica) -> None:
    here.write(insert_item(1, title="a"))
    before = here.store.view()
    here.write(("INSERT OR REPLACE INTO drill_items (id, title) VALUES (?, 'a')", [row_id(1)]))
    assert here.store.view() == before


def test_insert_or_replace_writes_only_the_cells_that_differ(realm: Realm, here: Replica, there: Replica) -> None:
    here.write(insert_item(1, title="a", body="old"))
    realm.exchange()
    there.write("UPDATE drill_items SET body = 'from there'")
    here.write(("INSERT OR REPLACE INTO drill_items (id, title, body) VALUES (?, 'b', 'old')", [row_id(1)]))
    realm.exchange()
    assert here.query("SELECT title, body FROM drill_items") == [("b", "from there")]


def test_the_rowid_of_the_topmost_row_given_again_is_captured(realm: Realm, here: Replica, there: Replica) -> None:
    here.write(insert_item(1, title="one"), insert_item(2, title="two"))
    realm.exchange()
    here.write(
        delete_item(2),
        insert_item(3, title="three"),
        delete_item(3),
        insert_item(4, title="four"),
        insert_item(5, title="five"),
    )
    assert last_changes(here) == 3
    realm.exchange()
    assert there.query("SELECT title FROM drill_items ORDER BY title") == [("five",), ("four",), ("one",)]


def test_a_transaction_that_fails_leaves_nothing_behind(here: Replica) -> None:
    here.write(insert_item(1, title="a"))
    before, files = here.store.view(), here.query("SELECT * FROM drill_items")
    with pytest.raises(ConstraintError):
        here.write(insert_item(2), "UPDATE drill_items SET title = 'b'", insert_item(1))
    assert here.store.view() == before
    assert here.query("SELECT * FROM drill_items") == files
    assert here.query("SELECT count(*) FROM _row_drill_items") == [(1,)]
    here.write(insert_item(3))
    assert last_changes(here) == 1


def test_an_error_of_the_caller_rolls_everything_back(here: Replica) -> None:
    def fail() -> None:
        with here.store.transaction() as transaction:
            transaction.execute(*insert_item(1))
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert here.query("SELECT count(*) FROM drill_items") == [(0,)]
    assert here.store.view().streams == {}


def test_a_second_transaction_within_one_is_refused_and_the_first_goes_on(here: Replica) -> None:
    with here.store.transaction() as transaction:
        transaction.execute(*insert_item(1))
        with pytest.raises(StorageError), here.store.transaction():
            pass
        transaction.execute(*insert_item(2))
    assert here.query("SELECT count(*) FROM drill_items") == [(2,)]
    assert last_changes(here) == 2


def test_savepoints_are_not_open_to_a_caller(here: Replica) -> None:
    with pytest.raises(ConstraintError):
        here.write(insert_item(1), "SAVEPOINT mine")
    assert here.query("SELECT count(*) FROM drill_items") == [(0,)]


def test_writing_outside_of_a_transaction_is_refused(here: Replica) -> None:
    with pytest.raises(StorageError):
        here.query("INSERT INTO drill_items (title) VALUES ('unseen')")
    assert here.query("SELECT count(*) FROM drill_items") == [(0,)]


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE drill_items SET id = randomblob(16)",
        "UPDATE drill_items SET rowid = 99",
        "INSERT INTO drill_items (\"rowid\", title) VALUES (99, 'x')",
        "INSERT INTO drill_items ([oid], title) VALUES (99, 'x')",
        "UPDATE drill_items /* ' */ SET _rowid_ = 4 -- '",
        "UPDATE drill_items SET kind = 'other'",
        "INSERT INTO drill_items (id) VALUES (x'00')",
        "INSERT INTO drill_items (id) VALUES (zeroblob(17))",
        "INSERT INTO drill_items (id) VALUES (NULL)",
        "INSERT INTO drill_items (tags) VALUES ('no set')",
        "INSERT INTO drill_items (tags) VALUES ('[1]')",
        "INSERT INTO drill_items (tags) VALUES ('[\"\\ud800\"]')",
        "INSERT INTO drill_items (tags) VALUES ('" + "[" * 10_000 + "')",
        "INSERT INTO drill_items (title) VALUES (NULL)",
        "INSERT INTO drill_items (size) VALUES ('many')",
        "INSERT INTO drill_items (parent_id) VALUES (zeroblob(16))",
        "UPDATE drill_items SET pinned_id = zeroblob(16)",
        "INSERT INTO drill_items (title) VALUES (char(65, 0, 66))",
        'INSERT INTO drill_items (title) VALUES ("char"(65, 0, 66))',
        "INSERT INTO drill_items (title) VALUES ([char](65, 0, 66))",
        "INSERT INTO drill_items (title) VALUES (char/* */(65, 0, 66))",
        "UPDATE drill_items SET title = char(65, 0, 66)",
        # Read back it is what stood there before.
        "UPDATE drill_items SET title = title || char(0, 66)",
        "UPDATE drill_items SET body = CAST(x'610062' AS TEXT)",
        "INSERT INTO drill_items (body) SELECT value FROM json_each('[\"a\\u0000b\"]')",
        "UPDATE drill_items SET title = 'x'\0 WHERE id = x'00'",
        "DELETE FROM drill_items; DELETE FROM drill_folders",
    ],
)
def test_what_cannot_be_replicated_is_refused_and_nothing_changes(here: Replica, sql: str) -> None:
    here.write(insert_item(1, title="a"))
    before, rows = here.store.view(), here.query("SELECT * FROM drill_items")
    with pytest.raises(ConstraintError):
        here.write(sql)
    assert here.store.view() == before
    assert here.query("SELECT * FROM drill_items") == rows


@pytest.mark.parametrize("value", ["a\0b", 2**53 + 1, -(2**53) - 1, object(), {"a": 1}])
def test_a_parameter_that_the_engine_would_change_is_refused(here: Replica, value: object) -> None:
    with pytest.raises(ConstraintError):
        here.write(("INSERT INTO drill_items (title) VALUES (?)", [value]))


def test_text_that_is_no_unicode_is_refused_by_the_engine_and_nothing_is_kept(here: Replica) -> None:
    with pytest.raises(StorageError):
        here.write("INSERT INTO drill_items (body) VALUES (CAST(x'ff' AS TEXT))")
    assert here.query("SELECT count(*) FROM drill_items") == [(0,)]


ODD_VALUES: list[tuple[str, object, Scalar]] = [
    ("rating", float("nan"), None),
    ("rating", -0.0, 0.0),
    ("rating", float("inf"), float("inf")),
    ("rating", float("-inf"), float("-inf")),
    ("rating", 5e-324, 5e-324),
    ("rating", 0.1 + 0.2, 0.1 + 0.2),
    ("rating", 3, 3.0),
    ("size", 2**53, 2**53),
    ("size", -(2**53), -(2**53)),
    ("size", 2**31, 2**31),
    ("size", True, 1),
    ("payload", b"\0\xff" * 3, b"\0\xff" * 3),
    ("payload", bytearray(b"x"), b"x"),
    ("body", "it's ''quoted'' \u2028 \U0001f9e0 \x01", "it's ''quoted'' \u2028 \U0001f9e0 \x01"),
    ("body", "", ""),
]


@pytest.mark.parametrize(("column", "written", "kept"), ODD_VALUES)
def test_an_odd_value_is_kept_alike_on_both_sides_and_survives_an_edit_beside_it(
    realm: Realm, here: Replica, there: Replica, column: str, written: object, kept: Scalar
) -> None:
    here.write((f"INSERT INTO drill_items (id, {column}) VALUES (?, ?)", [row_id(1), written]))
    here.write(insert_item(2))
    here.write((f"UPDATE drill_items SET {column} = ? WHERE id = ?", [written, row_id(2)]))
    here.write("UPDATE drill_items SET title = 'edited'")
    realm.exchange()
    there.write("UPDATE drill_items SET title = 'again'")
    realm.exchange()
    for replica in realm.replicas:
        assert replica.query(f"SELECT {column} FROM drill_items") == [(kept,), (kept,)]


def test_integers_of_64_bits_travel_whole(realm: Realm, here: Replica, there: Replica) -> None:
    here.write(insert_item(1), "UPDATE drill_items SET size = 9223372036854775807, uses = -9223372036854775807")
    here.write("INSERT INTO drill_settings (latest) VALUES (9223372036854775807)")
    realm.exchange()
    there.write("UPDATE drill_items SET title = 'edited'", "UPDATE drill_settings SET latest = 5")
    realm.exchange()
    for replica in realm.replicas:
        assert replica.query("SELECT size, uses FROM drill_items") == [(2**63 - 1, -(2**63) + 1)]
        assert replica.query("SELECT latest FROM drill_settings") == [(2**63 - 1,)]


def test_a_counter_that_was_moved_beyond_64_bits_is_refused(here: Replica) -> None:
    here.write(insert_item(1))
    here.write("UPDATE drill_items SET uses = 6000000000000000000")
    here.write("UPDATE drill_items SET uses = 0")
    with pytest.raises(ConstraintError, match="64 bits"):
        here.write("UPDATE drill_items SET uses = 6000000000000000000")
    assert here.query("SELECT uses FROM drill_items") == [(0,)]


def test_a_set_is_rewritten_sorted_and_without_repetitions(realm: Realm, here: Replica, there: Replica) -> None:
    here.write(insert_item(1, tags='[ "b", "a" ,"b", "\\u00e4" ]'))
    realm.exchange()
    for replica in (here, there):
        assert replica.query("SELECT tags FROM drill_items") == [('["a","b","ä"]',)]
    there.write('UPDATE drill_items SET tags = \'["c", "b"]\'')
    realm.exchange()
    assert here.query("SELECT tags FROM drill_items") == [('["b","c"]',)]


def test_a_transaction_over_8_mebibytes_is_refused_with_advice_and_nothing_changes(here: Replica) -> None:
    here.write(insert_item(1))
    before = here.store.view()
    with pytest.raises(StorageError, match="several transactions"):
        here.write(*(insert_item(number, body=f"{number}" + "x" * 2_000_000) for number in range(2, 7)))
    assert here.store.view() == before
    assert here.query("SELECT count(*) FROM drill_items") == [(1,)]
    assert here.query("SELECT count(*) FROM _row_drill_items") == [(1,)]
    here.write(insert_item(2, body="x"))
    assert last_changes(here) == 1


def test_ids_given_out_always_grow_even_with_a_clock_that_stands(here: Replica) -> None:
    given = []
    for _ in range(3):
        given += [here.store.new_row_id() for _ in range(5_000)]
        here.time.advance(1)
    assert given == sorted(set(given))


def test_a_row_inserted_without_an_id_gets_a_time_ordered_one(here: Replica) -> None:
    here.write("INSERT INTO drill_items (title) VALUES ('a')")
    ((given,),) = here.query("SELECT id FROM drill_items")
    assert isinstance(given, bytes)
    assert (len(given), given[6] >> 4, given[8] >> 6) == (16, 7, 2)

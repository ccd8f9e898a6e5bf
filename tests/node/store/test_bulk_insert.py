"""Rows that are inserted in bulk are captured, stored and sent exactly as those that plain SQL inserts."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from node.errors import ConstraintError, DamagedRowError
from node.store import transaction as bulk
from node.store.bulk_insert import insert_in_bulk as insert_rows_in_bulk
from node.store.catalogue import ReplicatedTable
from node.store.database import Row
from tests.support.realm import Realm, Replica, check_digests, row_id

COLUMNS = ("id", "title", "body", "uses", "tags")
ROWS = [
    (row_id(1), "first", "some words", 0, "[]"),
    (row_id(2), None, "héllo \U0001f426", 7, None),
    (row_id(3), "", "", None, '["b","a"]'),
    (row_id(4), "same", None, 2**40, "[]"),
]


def shown(replica: Replica) -> list[Row]:
    return replica.query("SELECT id, title, body, uses, tags FROM drill_items ORDER BY id")


def insert_in_bulk(replica: Replica) -> None:
    with replica.store.transaction() as transaction:
        transaction.insert_rows("drill_items", COLUMNS, ROWS)


def test_bulk_rows_show_on_every_device_what_plain_rows_show(realm: Realm, here: Replica, there: Replica) -> None:
    insert_in_bulk(here)
    realm.exchange()
    inserted = shown(here)
    assert shown(there) == inserted
    assert [row[3] for row in inserted] == [0, 7, 0, 2**40]
    assert [row[4] for row in inserted] == ["[]", "[]", '["a","b"]', "[]"]
    here.store.require_whole("drill_items", [row[0] for row in ROWS])
    check_digests(here)
    check_digests(there)


def test_bulk_rows_that_are_changed_in_the_same_transaction_are_captured_as_they_end(
    realm: Realm, here: Replica, there: Replica
) -> None:
    with here.store.transaction() as transaction:
        transaction.insert_rows("drill_items", COLUMNS, ROWS)
        transaction.execute("INSERT INTO drill_items (id, title) VALUES (?, 'plain')", (row_id(9),))
        transaction.execute("UPDATE drill_items SET title = 'changed' WHERE id = ?", (row_id(1),))
        transaction.execute("DELETE FROM drill_items WHERE id = ?", (row_id(2),))
    realm.exchange()
    assert [row[1] for row in shown(here)] == ["changed", "", "same", "plain"]
    assert shown(there) == shown(here)
    check_digests(here)


def test_a_row_whose_capture_says_other_than_was_stored_is_noticed(
    here: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = insert_rows_in_bulk

    def insert_other(database: object, table: ReplicatedTable, ids: list[bytes], cells: list[list[object]]) -> None:
        index = table.column_names.index("title")
        genuine(database, table, ids, [*cells[:index], ["other"] * len(ids), *cells[index + 1 :]])  # type: ignore[arg-type]

    monkeypatch.setattr(bulk, "insert_in_bulk", insert_other)
    insert_in_bulk(here)
    with pytest.raises(DamagedRowError):
        here.store.require_whole("drill_items", [row_id(1)])


@pytest.mark.parametrize(
    ("columns", "row"),
    [
        (("id", "title) VALUES (x'00', 'stolen'); --"), (row_id(1), "x")),
        (("id", "no_such_column"), (row_id(1), "x")),
        (("id", "title"), (row_id(1), "cut\0here")),
        (("id", "title"), (row_id(1), "half \ud800")),
        (("id", "title"), (b"short", "x")),
    ],
)
def test_what_no_row_can_hold_is_refused_and_leaves_nothing(
    here: Replica, columns: tuple[str, ...], row: tuple[object, ...]
) -> None:
    with pytest.raises(ConstraintError), here.store.transaction() as transaction:
        transaction.insert_rows("drill_items", columns, [row])
    assert shown(here) == []


TITLES = (
    st.just("the same"),
    st.sampled_from(["user", "assistant", "", "ünï"]),
    st.text("abc", min_size=4, max_size=4),
    st.text("aé\U0001f426", min_size=3, max_size=3),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=70),
)
BODIES = (*TITLES, st.none(), st.none() | st.sampled_from(["a", "b"]), st.none() | TITLES[-1])
PAYLOADS = (
    st.none(),
    st.just(b"\0"),
    st.binary(min_size=5, max_size=5),
    st.sampled_from([b"", b"a", None]),
    st.none() | st.binary(max_size=40),
)
SIZES = (st.none(), st.just(2**40), st.none() | st.integers(-(2**53), 2**53))


@st.composite
def tables(draw: st.DrawFn) -> list[tuple[object, ...]]:
    """Draw rows whose columns are alike, as those of real tables are, each in one of the ways that are told apart."""
    title, body = draw(st.sampled_from(TITLES)), draw(st.sampled_from(BODIES))
    payload, size = draw(st.sampled_from(PAYLOADS)), draw(st.sampled_from(SIZES))
    count = draw(st.integers(1, 40))
    return [(row_id(number), draw(title), draw(body), draw(payload), draw(size)) for number in range(count)]


@settings(max_examples=60, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=tables())
def test_bulk_rows_of_any_kind_are_stored_as_plain_rows_are(here: Replica, rows: list[tuple[object, ...]]) -> None:
    columns = ("id", "title", "body", "payload", "size")
    said: list[list[Row]] = []
    for bulk_insert in (True, False):
        with here.store.transaction() as transaction:
            transaction.execute("DELETE FROM drill_items")
            if bulk_insert:
                transaction.insert_rows("drill_items", columns, rows)
            else:
                marks = ", ".join("?" * len(columns))
                transaction.execute_many(f"INSERT INTO drill_items ({', '.join(columns)}) VALUES ({marks})", rows)
        said.append(here.query(f"SELECT {', '.join(f'{name}, typeof({name})' for name in columns)} FROM drill_items"))
    assert said[0] == said[1]
    here.store.require_whole("drill_items", [row_id(number) for number in range(len(rows))])

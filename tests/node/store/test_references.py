"""What a deletion does to the rows that refer to the deleted one, here and where it arrives."""

import pytest

from node.errors import ConstraintError
from sync.streams import Stream
from tests.support.realm import Realm, Replica, Statement, row_id

Row = tuple[object, ...]


def folder(number: int, parent: int | None = None) -> Statement:
    parent_id = None if parent is None else row_id(parent)
    return "INSERT INTO drill_folders (id, parent_id) VALUES (?, ?)", [row_id(number), parent_id]


def item(number: int, parent: int | None = None) -> Statement:
    parent_id = None if parent is None else row_id(parent)
    return "INSERT INTO drill_items (id, parent_id) VALUES (?, ?)", [row_id(number), parent_id]


def comment(number: int, of: int, reply_to: int | None = None) -> Statement:
    reply = None if reply_to is None else row_id(reply_to)
    sql = "INSERT INTO drill_comments (id, item_id, reply_to_id, text) VALUES (?, ?, ?, 'words')"
    return sql, [row_id(number), row_id(of), reply]


def reaction(number: int, to: int) -> Statement:
    return "INSERT INTO drill_reactions (id, comment_id) VALUES (?, ?)", [row_id(number), row_id(to)]


def delete(table: str, *numbers: int) -> Statement:
    marks = ", ".join("?" * len(numbers))
    return f"DELETE FROM {table} WHERE id IN ({marks})", [row_id(number) for number in numbers]


def ids(replica: Replica, table: str) -> list[Row]:
    return replica.query(f"SELECT id FROM {table} ORDER BY id")


def test_deleting_a_row_deletes_what_it_owns_at_every_depth(realm: Realm, here: Replica, there: Replica) -> None:
    here.write(item(1), item(2), comment(3, 1), comment(4, 2), reaction(5, 3), reaction(6, 4))
    realm.exchange()
    here.write(delete("drill_items", 1))
    realm.exchange()
    for replica in realm.replicas:
        assert ids(replica, "drill_comments") == [(row_id(4),)]
        assert ids(replica, "drill_reactions") == [(row_id(6),)]


def test_replacing_a_parent_keeps_its_children(realm: Realm, here: Replica) -> None:
    here.write(item(1), comment(2, 1))
    here.write(("INSERT OR REPLACE INTO drill_items (id, title) VALUES (?, 'new')", [row_id(1)]))
    realm.exchange()
    for replica in realm.replicas:
        assert ids(replica, "drill_comments") == [(row_id(2),)]


def test_deleting_a_row_clears_references_that_may_be_empty(realm: Realm, here: Replica) -> None:
    here.write(folder(1), item(2, parent=1))
    here.write(delete("drill_folders", 1))
    realm.exchange()
    for replica in realm.replicas:
        assert replica.query("SELECT id, parent_id FROM drill_items") == [(row_id(2), None)]


def test_children_of_a_deleted_chain_move_up_to_the_nearest_row_that_stands(realm: Realm, here: Replica) -> None:
    here.write(folder(1), folder(2, 1), folder(3, 2), folder(4, 3), folder(5, 4))
    here.write(delete("drill_folders", 2, 4, 3))
    realm.exchange()
    for replica in realm.replicas:
        rows = replica.query("SELECT id, parent_id FROM drill_folders ORDER BY id")
        assert rows == [(row_id(1), None), (row_id(5), row_id(1))]


def test_children_of_a_deleted_circle_stand_alone(here: Replica) -> None:
    here.write(folder(1), folder(2, 1), ("UPDATE drill_folders SET parent_id = ? WHERE id = ?", [row_id(2), row_id(1)]))
    here.write(folder(3, 1))
    here.write(delete("drill_folders", 1, 2))
    assert here.query("SELECT id, parent_id FROM drill_folders") == [(row_id(3), None)]


def test_a_child_of_a_row_inserted_in_the_same_transaction_is_accepted_in_any_order(here: Replica) -> None:
    here.write(comment(2, 1), item(1))
    assert ids(here, "drill_comments") == [(row_id(2),)]


def test_a_child_of_a_row_that_the_transaction_also_deletes_goes_with_it(here: Replica) -> None:
    here.write(item(1))
    here.write(delete("drill_items", 1), comment(2, 1))
    assert ids(here, "drill_comments") == []


def test_a_child_of_a_forgotten_row_is_refused(here: Replica) -> None:
    here.write(item(1))
    here.write(delete("drill_items", 1))
    with pytest.raises(ConstraintError, match="does not exist"):
        here.write(comment(2, 1))


def test_an_arriving_child_of_a_deleted_row_is_deleted_by_the_device_that_deleted_the_parent(
    realm: Realm, here: Replica, there: Replica
) -> None:
    here.write(item(1))
    realm.exchange()
    here.write(delete("drill_items", 1))
    there.write(comment(2, 1), reaction(3, 2))
    logged = len(there.batches(Stream.FILES))
    there.pull(here)
    assert len(there.batches(Stream.FILES)) == logged + 1
    assert ids(there, "drill_comments") == [], "an orphan is out of sight at once"
    here.pull(there)
    assert ids(here, "drill_comments") == []
    realm.exchange()
    for replica in realm.replicas:
        assert (ids(replica, "drill_comments"), ids(replica, "drill_reactions")) == ([], [])
        assert replica.store.is_forgotten("drill_comments", [row_id(2)]) == {row_id(2)}

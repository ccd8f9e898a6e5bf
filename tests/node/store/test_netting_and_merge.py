"""What a transaction nets to and what a merge keeps, in the cases that simulations once caught."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from node.store.authoring import Author
from node.store.opening import create_store
from node.store.store import Store
from simulations.kernel.clock import SkewedClock, TrueTime
from simulations.kernel.streams import SeededStream
from simulations.workloads.component import DRILL
from simulations.world.realm import SimulatedRealm, found_realm
from sync.frontier import EMPTY_FRONTIER
from sync.streams import Stream

NOW_MILLISECONDS = 1_795_219_200_000


class Pair:
    """Two stores of one realm on one clock."""

    def __init__(self, folder: Path) -> None:
        self.time = TrueTime(NOW_MILLISECONDS)
        self.realm: SimulatedRealm = found_realm(1, 2, NOW_MILLISECONDS)
        self.here, self.there = (self._store(folder, index) for index in range(2))

    def _store(self, folder: Path, index: int) -> Store:
        keys = self.realm.keys[index]
        return create_store(
            folder / f"{index}.db",
            key=bytes(31) + b"\1",
            author=Author(device_id=keys.device_id, realm_id=self.realm.realm_id, sign_seed=keys.sign_seed),
            components=(DRILL,),
            clock=SkewedClock(self.time),
            entropy=SeededStream(1, f"store {index}"),
        )

    def write(self, store: Store, *statements: tuple[str, tuple[object, ...]]) -> None:
        """Run statements in one transaction, a millisecond later than the last."""
        self.time.advance(1)
        with store.transaction() as transaction:
            for sql, parameters in statements:
                transaction.execute(sql, parameters)

    def carry(self, source: Store, destination: Store) -> None:
        """Give the destination everything that the source holds."""
        for stream in Stream:
            raws = [stored.raw for stored in source.read_batches(stream, EMPTY_FRONTIER, 2**24)]
            report = destination.apply_batches(raws, self.realm.roster, NOW_MILLISECONDS)
            assert report.refused == []
            assert report.held == []

    def agree(self, sql: str) -> list[tuple[object, ...]]:
        """Exchange both ways; both must answer alike, under equal digests. Returns the answer."""
        self.carry(self.here, self.there)
        self.carry(self.there, self.here)
        assert self.here.view() == self.there.view()
        assert self.here.query(sql) == self.there.query(sql)
        return self.here.query(sql)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    both = Pair(tmp_path)
    yield both
    both.here.close()
    both.there.close()


def _id(number: int) -> bytes:
    return number.to_bytes(16, "big")


def _folder(number: int, name: str = "", parent: int | None = None) -> tuple[str, tuple[object, ...]]:
    parent_id = None if parent is None else _id(parent)
    return "INSERT INTO drill_folders (id, name, parent_id) VALUES (?, ?, ?)", (_id(number), name, parent_id)


def _delete(number: int) -> tuple[str, tuple[object, ...]]:
    return "DELETE FROM drill_folders WHERE id = ?", (_id(number),)


def test_a_replaced_row_that_was_updated_before_in_the_same_transaction_keeps_both_edits(pair: Pair) -> None:
    pair.write(pair.here, _folder(1, "old"))
    pair.carry(pair.here, pair.there)
    pair.write(
        pair.here,
        ("UPDATE drill_folders SET name = 'new'", ()),
        ("INSERT OR REPLACE INTO drill_folders (id, name, colour) VALUES (?, 'new', 'red')", (_id(1),)),
    )
    assert pair.agree("SELECT name, colour FROM drill_folders") == [("new", "red")]


def test_an_upsert_of_a_row_that_was_updated_before_in_the_same_transaction_succeeds(pair: Pair) -> None:
    pair.write(pair.here, _folder(1, "old"))
    upsert = "INSERT INTO drill_folders (id, name) VALUES (?, 'newest') ON CONFLICT (id) DO UPDATE"
    pair.write(
        pair.here,
        ("UPDATE drill_folders SET name = 'new'", ()),
        (f"{upsert} SET name = excluded.name", (_id(1),)),
    )
    assert pair.agree("SELECT name FROM drill_folders") == [("newest",)]


def test_a_row_that_takes_a_rowid_freed_long_before_is_still_captured(pair: Pair) -> None:
    pair.write(pair.here, _folder(1), _folder(2), _folder(3), _folder(4))
    pair.write(pair.here, _delete(2), _delete(3))
    pair.write(pair.here, _delete(4), _folder(5, "takes rowid 2"))
    assert pair.agree("SELECT id FROM drill_folders ORDER BY id") == [(_id(1),), (_id(5),)]


def test_rows_that_come_and_go_at_the_top_of_a_table_are_captured_once(pair: Pair) -> None:
    pair.write(pair.here, _folder(1), _folder(2))
    pair.write(pair.here, _delete(2), _folder(3), _delete(3), _folder(4))
    assert pair.agree("SELECT id FROM drill_folders ORDER BY id") == [(_id(1),), (_id(4),)]


def test_a_maximum_that_is_written_lower_stays_as_it_was(pair: Pair) -> None:
    pair.write(pair.here, ("INSERT INTO drill_settings (id, latest) VALUES (?, 7)", (_id(1),)))
    pair.write(pair.here, ("UPDATE drill_settings SET latest = 3", ()))
    assert pair.here.query("SELECT latest FROM drill_settings") == [(7,)]
    assert pair.agree("SELECT latest FROM drill_settings") == [(7,)]


def test_an_arriving_value_that_loses_outright_is_kept_as_a_conflict(pair: Pair) -> None:
    pair.write(pair.here, _folder(1, "first"))
    pair.carry(pair.here, pair.there)
    pair.write(pair.there, ("UPDATE drill_folders SET name = 'earlier'", ()))
    pair.write(pair.here, ("UPDATE drill_folders SET name = 'later'", ()))
    assert pair.agree("SELECT name FROM drill_folders") == [("later",)]
    for store in (pair.here, pair.there):
        assert store.conflicts() == 1


def test_a_row_whose_parent_a_peer_ended_can_be_deleted_and_frees_its_children(pair: Pair) -> None:
    pair.write(pair.here, _folder(1), _folder(2), _folder(3, parent=2))
    pair.carry(pair.here, pair.there)
    pair.write(pair.there, _delete(1))
    pair.write(pair.here, ("UPDATE drill_folders SET parent_id = ? WHERE id = ?", (_id(1), _id(2))))
    pair.carry(pair.there, pair.here)
    pair.write(pair.here, _delete(2))
    assert pair.agree("SELECT id, parent_id FROM drill_folders") == [(_id(3), None)]


def test_a_snapshot_page_of_rows_that_were_written_at_once_joins(pair: Pair) -> None:
    pair.write(pair.here, _folder(1, "a"), _folder(2, "b"))
    manifest = pair.here.snapshot_manifest(Stream.FILES)
    page = pair.here.read_page(manifest, 0, None, 2**20)
    pair.there.apply_page(page.raw, manifest, pair.realm.keys[0].device_id, pair.realm.roster)
    pair.there.adopt_snapshot(manifest)
    assert page.next_cursor is None
    assert pair.agree("SELECT name FROM drill_folders ORDER BY name") == [("a",), ("b",)]


def test_the_device_that_deleted_a_parent_deletes_a_child_that_comes_by_snapshot(pair: Pair) -> None:
    pair.write(pair.here, ("INSERT INTO drill_items (id) VALUES (?)", (_id(1),)))
    pair.carry(pair.here, pair.there)
    pair.write(pair.here, ("DELETE FROM drill_items", ()))
    pair.write(pair.there, ("INSERT INTO drill_comments (id, item_id) VALUES (?, ?)", (_id(2), _id(1))))
    manifest = pair.there.snapshot_manifest(Stream.FILES)
    page = pair.there.read_page(manifest, 0, None, 2**20)
    pair.here.apply_page(page.raw, manifest, pair.realm.keys[1].device_id, pair.realm.roster)
    pair.here.adopt_snapshot(manifest)
    assert pair.agree("SELECT count(*) FROM drill_comments") == [(0,)]


def test_deleting_a_row_written_in_the_same_transaction_clears_what_refers_to_it(pair: Pair) -> None:
    pair.write(
        pair.here,
        ("INSERT INTO drill_items (id) VALUES (?)", (_id(1),)),
        ("INSERT INTO drill_items (id, pinned_id) VALUES (?, ?)", (_id(2), _id(1))),
        ("DELETE FROM drill_items WHERE id = ?", (_id(1),)),
    )
    assert pair.agree("SELECT id, pinned_id FROM drill_items") == [(_id(2), None)]

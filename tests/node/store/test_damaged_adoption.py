"""A store with damaged rows is updated all the same: it opens, says so, and a peer's copies come in their place."""

from pathlib import Path

import pytest

from sync.streams import Stream
from tests.node.store.test_newer_schemas import shelf, shown, update
from tests.node.store.test_references import item
from tests.node.store.test_repair_by_ranges import repair, vandalise
from tests.support.realm import Replica, check_digests, open_realm, row_id

_THE_SHELF = f"WHERE id = x'{row_id(10).hex()}'"
_THE_ITEM = f"WHERE id = x'{row_id(1).hex()}'"
_BLOWS = {
    "unknown table, unreadable": f"UPDATE _row_drill_shelves SET cells = x'c1' {_THE_SHELF}",
    "unknown table, another hash": f"UPDATE _row_drill_shelves SET hash = zeroblob(32) {_THE_SHELF}",
    "unknown columns, unreadable": f"UPDATE _row_drill_items SET cells = x'c1' {_THE_ITEM}",
    "unknown columns, another hash": f"UPDATE _row_drill_items SET hash = zeroblob(32) {_THE_ITEM}",
    "unknown columns, another value": f"UPDATE drill_items SET title = 'rot' {_THE_ITEM}",
}


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Replica, Replica]:
    """A device of a newer version and one of an older that holds the same rows."""
    newer, older = open_realm(tmp_path).replicas
    update(newer)
    newer.write(item(1), item(2), item(3))
    newer.write(("UPDATE drill_items SET mood = 'glad', words = '[\"w\"]' WHERE id <> ?", [row_id(3)]))
    newer.write(shelf(10, 1), shelf(11, 2, "elm shelf"))
    older.pull(newer)
    return newer, older


@pytest.mark.parametrize("blow", _BLOWS.values(), ids=_BLOWS)
def test_an_update_opens_a_store_with_a_damaged_row_and_says_so_and_a_peer_mends_it(
    pair: tuple[Replica, Replica], blow: str
) -> None:
    newer, older = pair
    vandalise(older, blow)
    update(older)
    record = older.store.health().last_scrub()
    assert record is not None
    assert record.damaged == 1
    sound = [
        (row_id(2), "glad"),
        (row_id(3), "calm"),
    ]
    assert older.query("SELECT id, mood FROM drill_items WHERE id <> ? ORDER BY id", row_id(1)) == sound
    assert older.query("SELECT label FROM drill_shelves WHERE id = ?", row_id(11)) == [("elm shelf",)]
    wrong = older.query("SELECT id FROM drill_items WHERE mood = 'glad' AND title = 'rot'")
    assert wrong == [], "what its hash does not prove is not taken over"
    _take_out_damaged(older, newer)
    assert shown(older) == shown(newer)
    assert older.store.view() == newer.store.view()
    check_digests(older)
    older.reopen()
    assert shown(older) == shown(newer)


def test_a_damaged_row_of_a_table_that_is_not_known_yet_is_replaced_by_a_peers_copy(
    pair: tuple[Replica, Replica],
) -> None:
    newer, older = pair
    vandalise(older, _BLOWS["unknown table, another hash"])
    assert repair(newer, older) > 0
    assert older.store.view() == newer.store.view()
    update(older)
    assert shown(older) == shown(newer)


def _take_out_damaged(device: Replica, peer: Replica) -> None:
    """Do what `doctor --repair` does with the two damaged places, then compare with a peer."""
    for table, number in (("drill_items", 1), ("drill_shelves", 10)):
        damaged = device.store._parts.verification.damaged_by_table({table: [row_id(number)]})
        device.store.take_out(damaged)
    assert repair(peer, device) > 0
    assert device.store.recompute_digest(Stream.FILES) == peer.store.view().stream(Stream.FILES).digest

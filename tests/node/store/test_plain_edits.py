"""The quick way for plain edits gives what the long way gives, and is left where something is to be decided."""

from collections.abc import Callable, Sequence
from pathlib import Path
from shutil import rmtree

import pytest

from node.store import plain_edits
from node.store.plain_edits import PlainEdits
from tests.node.store.test_scrub import scrub
from tests.support.realm import Realm, Replica, check_digests, delete_item, insert_item, open_realm, row_id

EDITS: Sequence[Callable[[Replica], None]] = (
    lambda device: device.write("UPDATE drill_items SET title = 'a' || hex(id), seen_at = '2026-01-01'"),
    lambda device: device.write(
        "UPDATE drill_items SET body = 'longer ' || title, rating = 2.5, size = 70000000000, payload = x'00ff'"
    ),
    lambda device: device.write("UPDATE drill_items SET seen_at = '2025' WHERE title > 'b'", delete_item(3)),
    lambda device: device.write("UPDATE drill_items SET tags = '[\"x\"]', uses = uses + 1, body = NULL"),
    lambda device: device.write(
        "UPDATE drill_items SET title = 'again', size = NULL, rating = 0.1 WHERE uses = 1", insert_item(9)
    ),
)


def every_row(device: Replica) -> list[object]:
    rows: list[object] = []
    for table in ("drill_items", "_row_drill_items"):
        rows += device.query(f"SELECT * FROM {table} ORDER BY id")
    return [*rows, *device.query("SELECT row_id, generation, hlc, seq, differences FROM _history ORDER BY number")]


def written(folder: Path) -> tuple[list[object], list[object]]:
    """Let one device edit and the other receive; return everything that both hold."""
    folder.mkdir()
    realm = open_realm(folder)
    here, there = realm.replicas
    here.write(*(insert_item(number, title="t", tags='["a"]') for number in range(1, 6)))
    there.pull(here)
    for edit in EDITS:
        edit(here)
        there.pull(here)
    there.write("UPDATE drill_items SET title = 'there'")
    realm.exchange()
    held = every_row(here), every_row(there)
    realm.close()
    # The next stores have the same path, and with it the same incarnations.
    rmtree(folder)
    return held


def test_both_ways_leave_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = written(tmp_path / "stores")
    monkeypatch.setattr(PlainEdits, "author", lambda self, table, rows, stamp, vector: ([], [], rows))
    monkeypatch.setattr(PlainEdits, "join", lambda self, table, layout, rows, stamp, vector: ([], rows))
    assert written(tmp_path / "stores") == quick


@pytest.mark.parametrize("lengths_max", [0, 1, 100])
def test_row_states_of_any_lengths_are_written_whole(
    here: Replica, there: Replica, monkeypatch: pytest.MonkeyPatch, lengths_max: int
) -> None:
    monkeypatch.setattr(plain_edits, "_LENGTHS_MAX", lengths_max)
    columns = ("title", "seen_at", "rating", "size")
    here.write(*(insert_item(number) for number in range(16)))
    for bit, column in enumerate(columns):
        chosen = [row_id(number) for number in range(16) if number >> bit & 1]
        here.write(*((f"UPDATE drill_items SET {column} = 1 WHERE id = ?", [chosen_id]) for chosen_id in chosen))
    here.write("UPDATE drill_items SET payload = x'01', title = 'last'")
    lengths = here.query("SELECT count(DISTINCT length(cells)), count(cells) FROM _row_drill_items")
    assert lengths == [(8, 16)]
    there.pull(here)
    for replica in (here, there):
        check_digests(replica)
        assert scrub(replica).sound
    assert here.store.view() == there.store.view()


def test_plain_edits_take_the_quick_way_at_both_ends(
    here: Replica, there: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: list[int] = []
    write = PlainEdits.write

    def counting(self: PlainEdits, table: object, edits: Sequence[object], stamp: object) -> object:
        counts.append(len(edits))
        return write(self, table, edits, stamp)  # type: ignore[arg-type]

    monkeypatch.setattr(PlainEdits, "write", counting)
    here.write(*(insert_item(number, tags='["a"]', uses=3) for number in range(1, 6)))
    there.pull(here)
    here.write("UPDATE drill_items SET title = 'quick', seen_at = '2026'")
    there.pull(here)
    assert counts == [5, 5]
    here.write("UPDATE drill_items SET title = 'slow', uses = 0")
    there.pull(here)
    assert counts == [5, 5, 0]


def test_a_concurrent_edit_is_not_taken_for_a_plain_one(realm: Realm, here: Replica, there: Replica) -> None:
    here.write(insert_item(1, title="a"))
    realm.exchange()
    here.write("UPDATE drill_items SET title = 'here'")
    there.write("UPDATE drill_items SET title = 'there'")
    realm.exchange()
    assert [replica.store.conflicts() for replica in realm.replicas] == [1, 1]
    here.write("UPDATE drill_items SET title = 'settled'")
    realm.exchange()
    assert [replica.store.conflicts() for replica in realm.replicas] == [0, 0]


def test_a_row_that_is_not_what_its_hash_says_is_not_edited_the_quick_way(here: Replica) -> None:
    here.write(insert_item(1, title="a"), insert_item(2, title="b"))
    plain_edits = here.store._parts.authoring._plain_edits
    table = here.store.catalogue.table_by_name["drill_items"]
    ((row_id, *row),) = plain_edits._states(table, [bytes(15) + b"\x01"]).values()
    noted, values = row[:6], row[6:]
    assert plain_edits._open(table, row_id, noted, values) is not None
    values[table.index_by_column["title"]] = "flipped on the disk"
    assert plain_edits._open(table, row_id, noted, values) is None
    check_digests(here)

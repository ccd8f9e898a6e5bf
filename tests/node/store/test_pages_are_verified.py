"""Rows that are sent are what their hashes say, however they were born, and pages hold all of them."""

import logging

import pytest
from msgspec.msgpack import decode

from node.store import row_spelling
from sync.snapshot import open_page
from sync.streams import Stream
from tests.node.store.test_repair_by_ranges import vandalise
from tests.support.realm import Replica, check_digests, insert_item, row_id

FILES = Stream.FILES


def sent(replica: Replica) -> set[bytes]:
    """Return the ids of all rows in the pages of a snapshot."""
    _, pages = replica.manifest_and_pages(FILES)
    public = replica.roster.sign_public(replica.device_id)
    assert public is not None
    opened = [open_page(raw, replica.author.realm_id, replica.device_id, public) for raw in pages]
    return {bytes(row[0]) for page in opened for section in page.sections for row in decode(section.as_array())}


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param("UPDATE drill_items SET title = 'changed' WHERE id = {0}", id="a value of a row as it was born"),
        pytest.param("UPDATE drill_items SET title = 'changed' WHERE id = {1}", id="a value of an edited row"),
        pytest.param("UPDATE drill_items SET title = CAST(x'ff' AS TEXT) WHERE id = {0}", id="no UTF-8 as it was born"),
        pytest.param("UPDATE drill_items SET title = CAST(x'61ff' AS TEXT) WHERE id = {1}", id="no UTF-8 once edited"),
        pytest.param("UPDATE _row_drill_items SET seq = seq + 1 WHERE id = {0}", id="a stamp"),
        pytest.param("UPDATE _row_drill_items SET hash = zeroblob(32) WHERE id = {1}", id="a hash"),
        pytest.param("DELETE FROM drill_items WHERE id = {0}", id="a row that is gone"),
        pytest.param("UPDATE _row_drill_items SET cells = x'c1' WHERE id = {1}", id="a state that cannot be read"),
        pytest.param("UPDATE _row_drill_items SET cells = x'95c0c0c0c0c0' WHERE id = {1}", id="a state of other types"),
        pytest.param("UPDATE _row_drill_items SET generation = 3 WHERE id = {0}", id="a generation"),
    ],
)
def test_a_row_that_fails_its_own_hash_is_left_out_of_a_snapshot_and_told_of(
    here: Replica, there: Replica, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    here.write(*(insert_item(number, title=f"item {number}") for number in range(1, 7)))
    here.write("UPDATE drill_items SET title = 'edited' WHERE id = x'00000000000000000000000000000005'")
    everything = {row_id(number) for number in range(1, 7)}
    assert sent(here) == everything
    number = 3 if "{0}" in damage else 5
    vandalise(here, damage.format(f"x'{row_id(3).hex()}'", f"x'{row_id(5).hex()}'"))
    with caplog.at_level(logging.ERROR):
        assert sent(here) == everything - {row_id(number)}
    assert [record.message for record in caplog.records] == [
        "a row that is not what its hash says was left out of a page"
    ]
    there.pull_snapshot(here, FILES)
    assert there.store.view().stream(FILES).digest != here.store.view().stream(FILES).digest
    check_digests(there)


def test_a_row_that_is_sent_unverified_would_be_noticed(here: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
    here.write(insert_item(1, title="as it was written"))
    vandalise(here, "UPDATE drill_items SET title = 'changed'")
    assert sent(here) == set()
    stored = here.query("SELECT hash FROM _row_drill_items")[0][0]
    monkeypatch.setattr(row_spelling, "hash_runs", lambda *_: [stored])
    assert sent(here) == {row_id(1)}


@pytest.mark.parametrize("per_transaction", [1, 3, 40, 100])
def test_rows_come_over_however_many_of_them_were_born_together(
    here: Replica, there: Replica, per_transaction: int
) -> None:
    for first in range(1, 101, per_transaction):
        numbers = range(first, min(101, first + per_transaction))
        here.write(*(insert_item(number, title=f"item {number}", uses=number % 3) for number in numbers))
    there.write(insert_item(50, title="of two devices"))
    there.pull_snapshot(here, FILES, bytes_max=8_192)
    here.pull(there)
    assert there.store.view() == here.store.view()
    columns = "SELECT r.id, hlc, o.origin, seq, hash FROM _row_drill_items r JOIN _origin o ON o.number = r.origin"
    assert there.query(f"{columns} ORDER BY r.id") == here.query(f"{columns} ORDER BY r.id")
    check_digests(there)

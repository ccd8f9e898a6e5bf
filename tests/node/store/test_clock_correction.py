"""What a device wrote while its clock was far ahead is written again, and flows."""

import pytest

from node.errors import StorageError
from node.store.incarnations import Cause
from sync.batch import read_header
from sync.frontier import EMPTY_FRONTIER
from sync.streams import Stream
from tests.support.realm import Realm, Replica, check_digests, insert_item, row_id

DAY = 86_400_000
FILES = Stream.FILES


def count_ahead(replica: Replica) -> int:
    return replica.store.chains.batches_ahead(replica.time.milliseconds)


def correct(replica: Replica) -> int:
    return replica.store.chains.correct_times(replica.roster, replica.time.milliseconds)


@pytest.fixture
def ahead(realm: Realm, here: Replica) -> Replica:
    """A device that wrote something in time, then as much with its clock a year ahead, and is right again."""
    here.write(insert_item(1, title="in time", tags='["old"]', uses=1))
    realm.exchange()
    here.offset_milliseconds = 365 * DAY
    here.reopen()
    here.write(
        insert_item(2, title="ahead"),
        "INSERT INTO drill_settings (id, key) VALUES (x'00000000000000000000000000000007', 'k')",
    )
    here.write("UPDATE drill_items SET title = title || '!', tags = '[\"new\"]', uses = uses + 10")
    here.offset_milliseconds = 0
    here.reopen()
    here.write("UPDATE drill_items SET uses = uses + 100")
    return here


def test_peers_hold_back_what_is_ahead_until_it_is_corrected(realm: Realm, ahead: Replica, there: Replica) -> None:
    report = there.receive(ahead.batches(FILES))
    assert (report.applied, len(report.held)) == (0, 3)
    assert count_ahead(ahead) == 4
    assert correct(ahead) == 4
    assert count_ahead(ahead) == 0
    assert ahead.store.last_minted().cause is Cause.CLOCK_CORRECTED
    realm.exchange()
    for replica in realm.replicas:
        assert replica.query("SELECT title, tags, uses FROM drill_items ORDER BY id") == [
            ("in time!", '["new"]', 111),
            ("ahead!", '["new"]', 110),
        ]
        check_digests(replica)


def test_what_is_written_afterwards_bears_times_of_now_and_wins(realm: Realm, ahead: Replica, there: Replica) -> None:
    correct(ahead)
    realm.exchange()
    there.write("UPDATE drill_items SET title = 'there'")
    realm.exchange()
    ahead.write("UPDATE drill_items SET title = 'here'")
    ahead.reopen()
    realm.exchange()
    assert there.query("SELECT DISTINCT title FROM drill_items") == [("here",)]
    assert count_ahead(ahead) == 0


def test_batches_of_one_transaction_keep_sharing_their_time_and_group(ahead: Replica) -> None:
    correct(ahead)
    headers = [
        read_header(batch.raw)
        for stream in Stream
        for batch in ahead.store.read_batches(stream, EMPTY_FRONTIER, 2**27)
        if read_header(batch.raw).group
    ]
    assert len({(header.hlc, header.group) for header in headers}) == 1
    assert len(headers) == 2


def test_a_device_that_took_them_all_the_same_follows(realm: Realm, ahead: Replica, there: Replica) -> None:
    there.store.apply_batches(ahead.batches(FILES), there.roster, realm.time.milliseconds + 366 * DAY)
    assert there.query("SELECT title FROM drill_items WHERE id = ?", row_id(2)) == [("ahead!",)]
    correct(ahead)
    there.pull(ahead)
    realm.exchange()
    assert there.query("SELECT uses FROM drill_items ORDER BY id") == [(111,), (110,)]


def test_a_right_clock_has_nothing_to_correct(here: Replica) -> None:
    here.write(insert_item(1))
    origin = here.store.origin
    assert (count_ahead(here), correct(here)) == (0, 0)
    assert here.store.origin == origin


def test_what_others_wrote_ahead_as_well_is_not_overtaken(realm: Realm, ahead: Replica, there: Replica) -> None:
    there.offset_milliseconds = 366 * DAY
    there.reopen()
    there.write(insert_item(9))
    ahead.store.apply_batches(there.batches(FILES), ahead.roster, realm.time.milliseconds + 366 * DAY)
    before = ahead.store.view()
    with pytest.raises(StorageError, match="other devices"):
        correct(ahead)
    assert ahead.store.view() == before

"""Snapshots between sessions: placed, resumed after a cut, by another sender too, one at a time, never in circles."""

import pytest

from sync.effects import AdoptSnapshot, ApplyPage, OpenSnapshot, ReadPage, StreamComplete, StreamReadable
from sync.errors import RemoteProtocolError
from sync.limits import PAGE_BYTES_TARGET
from sync.messages import Ack, SnapshotBegin, SnapshotEnd, SnapshotFrom, SnapshotPage
from sync.session_arrivals import READABLE_ROWS
from sync.session_sending import SNAPSHOTS_PER_STREAM_MAX
from sync.snapshot import START, RowKey
from sync.streams import Stream
from tests.support.hostile_member import HostileMember
from tests.support.memory_replica import SNAPSHOT_ID, MemoryReplica, key_of
from tests.support.realm_factory import found_realm
from tests.support.session_pair import End, SessionPair, make_end, make_pair

REALM = found_realm(devices=3)
MEMORIES = Stream.MEMORIES
ROWS = 40


def compacted(device: int, count: int = ROWS, size: int = PAGE_BYTES_TARGET // 8) -> MemoryReplica:
    """Return a replica whose log is gone and whose rows take several pages."""
    replica = MemoryReplica(REALM.devices[device].device_id)
    for number in range(count):
        replica.write(MEMORIES, b"%05d" % number + b"." * size)
    replica.drop_log(MEMORIES)
    return replica


def pages_read(end: End) -> list[ReadPage]:
    return [effect for effect in end.effects if isinstance(effect, ReadPage)]


def cut_after_pages(pair: SessionPair, pages: int) -> SessionPair:
    """Lose every frame from the moment at which the responder has committed so many pages."""

    def tamper(_sender: End, frame: bytes) -> list[bytes]:
        committed = sum(isinstance(effect, ApplyPage) for effect in pair.responder.effects)
        return [frame] if committed < pages else []

    pair.tamper = tamper
    return pair


def test_a_snapshot_that_was_cut_goes_on_where_it_was() -> None:
    source = compacted(0)
    cut = cut_after_pages(make_pair(REALM, source), 2).connect()
    newcomer = cut.responder.replica
    assert 0 < newcomer.rows_received < ROWS
    resumed = make_pair(REALM, source, newcomer).connect()
    assert resumed.responder.status().in_sync
    assert newcomer.rows_received == ROWS


def test_a_snapshot_goes_on_from_another_sender_and_claims_what_both_had() -> None:
    first = compacted(0)
    second = make_pair(REALM, first).connect().responder.replica
    first.write(MEMORIES, b"only the first has heard of this")
    cut = cut_after_pages(
        SessionPair(
            initiator=make_end(REALM, 0, initiator=True, replica=first), responder=make_end(REALM, 2, initiator=False)
        ),
        2,
    ).connect()
    newcomer = cut.responder.replica
    resumed = SessionPair(
        initiator=make_end(REALM, 1, initiator=True, replica=second),
        responder=make_end(REALM, 2, initiator=False, replica=newcomer),
    ).connect()
    assert resumed.responder.error is None
    assert newcomer.view().stream(MEMORIES).frontier == second.view().stream(MEMORIES).frontier
    assert newcomer.rows_received <= ROWS + 1
    final = SessionPair(
        initiator=make_end(REALM, 0, initiator=True, replica=first),
        responder=make_end(REALM, 2, initiator=False, replica=newcomer),
    ).connect()
    assert final.responder.status().in_sync


def test_a_snapshot_that_could_not_reach_the_other_senders_log_is_begun_anew_and_ends_in_one() -> None:
    first = compacted(0)
    second = make_pair(REALM, first).connect().responder.replica
    for number in range(3):
        second.write(MEMORIES, b"%05d only the second has heard of this" % number)
    second.drop_log(MEMORIES)
    newcomer = cut_after_pages(
        SessionPair(
            initiator=make_end(REALM, 0, initiator=True, replica=first), responder=make_end(REALM, 2, initiator=False)
        ),
        2,
    ).connect()
    resumed = SessionPair(
        initiator=make_end(REALM, 1, initiator=True, replica=second),
        responder=make_end(REALM, 2, initiator=False, replica=newcomer.responder.replica),
    ).connect()
    assert resumed.responder.status().in_sync
    assert len([effect for effect in resumed.initiator.effects if isinstance(effect, OpenSnapshot)]) == 1
    assert pages_read(resumed.initiator)[0].cursor == START


def test_what_is_written_during_a_snapshot_follows_it_as_batches() -> None:
    source = compacted(0)
    pair = make_pair(REALM, source)
    written = [False]

    def write_once(sender: End, frame: bytes) -> list[bytes]:
        if not written[0] and any(isinstance(effect, ApplyPage) for effect in pair.responder.effects):
            written[0] = True
            for end, text in ((pair.initiator, b"by the sender"), (pair.responder, b"by the receiver")):
                end.replica.write(MEMORIES, text)
                end.changed()
        return [frame]

    pair.tamper = write_once
    pair.connect()
    assert pair.initiator.replica.view() == pair.responder.replica.view()
    assert {b"by the sender", b"by the receiver"} <= pair.responder.replica.payloads(MEMORIES)
    assert pair.responder.status().in_sync


def test_a_more_urgent_stream_overtakes_a_snapshot() -> None:
    source = compacted(0)
    pair = make_pair(REALM, source)
    pages_before_profile: list[int] = []

    def write_once(_sender: End, frame: bytes) -> list[bytes]:
        pages = sum(isinstance(effect, ApplyPage) for effect in pair.responder.effects)
        if pages == 1 and not source.payloads(Stream.PROFILE):
            source.write(Stream.PROFILE, b"urgent")
            pair.initiator.changed()
        if not pages_before_profile and pair.responder.replica.payloads(Stream.PROFILE):
            pages_before_profile.append(pages)
        return [frame]

    pair.tamper = write_once
    pair.connect()
    assert pages_before_profile
    assert pages_before_profile[0] < len(pages_read(pair.initiator))


def test_while_one_session_receives_a_stream_another_is_told_to_wait_and_then_lacks_nothing() -> None:
    source = compacted(0)
    pair = make_pair(REALM, source)
    pair.responder.replica.busy = True
    pair.connect()
    assert pair.responder.replica.payloads(MEMORIES) == set()
    assert pair.responder.replica.placed_count == 1
    pair.responder.replica.busy = False
    pair.initiator.tick(1.0)
    pair.settle()
    assert pair.responder.status().in_sync


def test_a_person_can_read_before_everything_is_here() -> None:
    pair = make_pair(REALM, compacted(0, READABLE_ROWS * 3, PAGE_BYTES_TARGET // 250)).connect()
    told = (ApplyPage, StreamReadable, StreamComplete)
    kinds = [type(effect) for effect in pair.responder.effects if isinstance(effect, told)]
    assert kinds == [ApplyPage, StreamReadable, ApplyPage, ApplyPage, StreamComplete]
    assert [effect for effect in pair.responder.effects if isinstance(effect, StreamComplete)] == [
        StreamComplete(stream=MEMORIES, rows=READABLE_ROWS * 3)
    ]
    assert not [effect for effect in pair.initiator.effects if isinstance(effect, StreamReadable | StreamComplete)]


def test_a_stream_of_few_rows_is_readable_and_complete_at_once_and_later_writes_are_no_event() -> None:
    source = MemoryReplica(REALM.devices[0].device_id)
    source.write(Stream.PROFILE, b"a name")
    pair = make_pair(REALM, source).connect()
    source.write(Stream.PROFILE, b"another")
    pair.initiator.changed()
    pair.settle()
    arrivals = [effect for effect in pair.responder.effects if isinstance(effect, StreamReadable | StreamComplete)]
    assert arrivals == [StreamReadable(stream=Stream.PROFILE, rows=1), StreamComplete(stream=Stream.PROFILE, rows=1)]


def test_a_receiver_that_never_moves_on_gets_a_stream_only_so_often() -> None:
    pair = make_pair(REALM, compacted(0, 3))
    pair.responder.replica.adopts = False
    pair.connect()
    for second in range(10):
        pair.initiator.tick(float(second))
        pair.settle()
    opened = [effect for effect in pair.initiator.effects if isinstance(effect, OpenSnapshot)]
    assert len(opened) == SNAPSHOTS_PER_STREAM_MAX


BEGIN = SnapshotBegin(stream=MEMORIES, snapshot_id=SNAPSHOT_ID, frontier=[], rows=0, log_base=[])


def test_a_page_before_its_place_was_told_is_refused() -> None:
    hostile = HostileMember().greet()
    hostile.victim.replica.busy = True
    hostile.say(BEGIN).say(SnapshotPage(number=1, envelope=hostile.envelope(b"\x90")))
    assert isinstance(hostile.victim.error, RemoteProtocolError)
    assert not [effect for effect in hostile.victim.effects if isinstance(effect, ApplyPage | AdoptSnapshot)]


def test_an_end_under_a_wrong_number_is_refused() -> None:
    hostile = HostileMember().greet().say(BEGIN).say(SnapshotEnd(number=2, snapshot_id=SNAPSHOT_ID, pages=0))
    assert isinstance(hostile.victim.error, RemoteProtocolError)


class HostileReceiver(HostileMember):
    """A member that is offered a snapshot and answers as it likes."""

    def __init__(self) -> None:
        super().__init__()
        for number in range(3):
            self.victim.replica.write(MEMORIES, b"%d" % number)
        self.victim.replica.drop_log(MEMORIES)
        self.victim.changed(push=False)
        self.greet()


@pytest.mark.parametrize(
    "after",
    [RowKey("", bytes(16)), RowKey("payloads", b""), RowKey("payloads", bytes(15))],
    ids=["no table", "no row", "short row"],
)
def test_a_place_that_is_none_is_refused(after: RowKey) -> None:
    hostile = HostileReceiver().say(SnapshotFrom(snapshot_id=SNAPSHOT_ID, after=after))
    assert isinstance(hostile.victim.error, RemoteProtocolError)
    assert not pages_read(hostile.victim)


def test_a_second_answer_is_refused() -> None:
    hostile = HostileReceiver().say(SnapshotFrom(snapshot_id=SNAPSHOT_ID, after=START))
    assert pages_read(hostile.victim)
    assert hostile.victim.error is None
    hostile.say(SnapshotFrom(snapshot_id=SNAPSHOT_ID, after=START))
    assert isinstance(hostile.victim.error, RemoteProtocolError)


def test_a_place_behind_the_last_row_gives_an_empty_page_and_the_end() -> None:
    hostile = HostileReceiver()
    last = min((key_of(payload) for payload in hostile.victim.replica.payloads(MEMORIES)), key=lambda key: key.row_id)
    hostile.say(SnapshotFrom(snapshot_id=SNAPSHOT_ID, after=last)).say(Ack(number=2, positions=[]))
    assert hostile.victim.error is None
    assert len(pages_read(hostile.victim)) == 1

"""Two sessions that mean well: what they exchange, in which order, how little of it, and what they say about it."""

from sync.effects import (
    ApplyBatches,
    ApplyStatements,
    ClockDiffers,
    OpenSnapshot,
    PeerIdentified,
    ReadBatches,
)
from sync.limits import BUNDLE_BYTES_TARGET
from sync.session import Phase
from sync.session_sending import ENVELOPES_IN_FLIGHT_MAX, NEWCOMER_BATCHES_MAX
from sync.streams import Stream
from tests.support.memory_replica import MemoryReplica, spell_batch
from tests.support.realm_factory import NOW_MILLISECONDS, found_realm
from tests.support.session_pair import End, SessionPair, make_end, make_pair

REALM = found_realm(devices=3)
HANDSHAKE_BYTES = 48 + 96 + 64
DAY_MILLISECONDS = 24 * 3600 * 1000


def replica_with(device: int, stream: Stream, *payloads: bytes) -> MemoryReplica:
    replica = MemoryReplica(REALM.devices[device].device_id)
    for payload in payloads:
        replica.write(stream, payload)
    return replica


def assert_agreed(pair: SessionPair) -> None:
    for end in (pair.initiator, pair.responder):
        assert end.error is None
        assert end.status().in_sync
        assert end.status().why == ""
    assert pair.initiator.replica.view() == pair.responder.replica.view()


def test_both_ends_name_the_device_that_the_handshake_proved() -> None:
    pair = make_pair(REALM).connect()
    assert pair.initiator.effects[0] == PeerIdentified(device_id=pair.responder.device_id)
    assert pair.responder.effects[0] == PeerIdentified(device_id=pair.initiator.device_id)
    assert pair.initiator.session.peer == pair.responder.device_id


def test_each_end_receives_what_it_lacks() -> None:
    pair = make_pair(
        REALM,
        replica_with(0, Stream.MEMORIES, b"walk the dog", b"call Ada"),
        replica_with(1, Stream.CONVERSATIONS, b"good morning"),
    ).connect()
    assert_agreed(pair)
    assert pair.responder.replica.payloads(Stream.MEMORIES) == {b"walk the dog", b"call Ada"}
    assert pair.initiator.replica.payloads(Stream.CONVERSATIONS) == {b"good morning"}


def test_two_equal_replicas_exchange_one_hello_each_and_at_most_300_bytes() -> None:
    first = make_pair(REALM, replica_with(0, Stream.MEMORIES, *(b"%d" % number for number in range(50)))).connect()
    again = make_pair(REALM, first.initiator.replica, first.responder.replica).connect()
    assert_agreed(again)
    assert again.initiator.sent_bytes + again.responder.sent_bytes - HANDSHAKE_BYTES <= 300
    assert not [effect for effect in again.initiator.effects if isinstance(effect, ReadBatches)]


def test_what_is_urgent_is_sent_first() -> None:
    replica = MemoryReplica(REALM.devices[0].device_id)
    for stream in (Stream.VECTORS, Stream.KNOWLEDGE, Stream.MEMORIES, Stream.PROFILE):
        replica.write(stream, stream.title.encode())
    pair = make_pair(REALM, replica).connect()
    order = [effect.stream for effect in pair.initiator.effects if isinstance(effect, ReadBatches)]
    assert order == [Stream.PROFILE, Stream.MEMORIES, Stream.KNOWLEDGE, Stream.VECTORS]


def test_many_batches_travel_in_few_envelopes() -> None:
    replica = replica_with(0, Stream.MEMORIES, b"first")
    pair = make_pair(REALM, replica).connect()
    pair.responder.effects.clear()
    for number in range(1000):
        replica.write(Stream.MEMORIES, b"%05d" % number + b"." * 1000)
    pair.initiator.changed()
    pair.settle()
    assert_agreed(pair)
    bundles = [effect for effect in pair.responder.effects if isinstance(effect, ApplyBatches)]
    assert len(bundles) == 1_000 * 1_060 // BUNDLE_BYTES_TARGET + 1


def test_no_more_than_the_window_is_sent_without_an_acknowledgement() -> None:
    replica = replica_with(0, Stream.MEMORIES, *(b"%05d" % number + b"." * 100_000 for number in range(40)))
    pair = make_pair(REALM, replica)
    responder = pair.responder
    pair.initiator.perform(pair.initiator.session.start())
    delivered_handshake = 0
    while pair.initiator.outbox or (responder.outbox and delivered_handshake < 3):
        if responder.outbox and delivered_handshake < 3:
            pair.initiator.receive(responder.outbox.popleft())
            delivered_handshake += 1
        if pair.initiator.outbox:
            responder.receive(pair.initiator.outbox.popleft())
    assert sum(isinstance(effect, ReadBatches) for effect in pair.initiator.effects) == ENVELOPES_IN_FLIGHT_MAX
    pair.settle()
    assert_agreed(pair)


def test_the_largest_batch_passes_through() -> None:
    pair = make_pair(REALM, replica_with(0, Stream.MEDIA, b"m" * (8 * 2**20 - 200))).connect()
    assert_agreed(pair)


def test_a_local_write_is_pushed_at_once() -> None:
    pair = make_pair(REALM).connect()
    pair.responder.replica.write(Stream.MEMORIES, b"milk")
    pair.responder.changed()
    pair.settle()
    assert pair.initiator.replica.payloads(Stream.MEMORIES) == {b"milk"}
    assert_agreed(pair)


def test_a_batch_that_the_peer_reported_as_held_is_not_forwarded() -> None:
    pair = make_pair(REALM).connect()
    raw = spell_batch(MemoryReplica(REALM.devices[2].device_id).origin, Stream.MEMORIES, 1, b"from the third device")
    for end in (pair.initiator, pair.responder):
        end.replica.apply((raw,))
        end.changed(push=False)
    pair.settle()
    for end in (pair.initiator, pair.responder):
        end.changed(push=True)
    pair.settle()
    assert_agreed(pair)
    assert not any(isinstance(effect, ReadBatches) for effect in pair.initiator.effects + pair.responder.effects)


def test_a_third_devices_batches_are_forwarded() -> None:
    through = make_pair(REALM, replica_with(0, Stream.MEMORIES, b"from afar")).connect()
    onward = SessionPair(
        initiator=make_end(REALM, 1, initiator=True, replica=through.responder.replica),
        responder=make_end(REALM, 2, initiator=False),
    ).connect()
    assert_agreed(onward)
    assert onward.responder.replica.payloads(Stream.MEMORIES) == {b"from afar"}


def test_a_broken_connection_resumes_where_the_commits_ended() -> None:
    replica = replica_with(0, Stream.MEMORIES, *(b"%05d" % number + b"." * 100_000 for number in range(40)))
    cut = make_pair(REALM, replica)
    frames_left = [70]

    def lose_the_rest(_sender: End, frame: bytes) -> list[bytes]:
        frames_left[0] -= 1
        return [frame] if frames_left[0] > 0 else []

    cut.tamper = lose_the_rest
    cut.connect()
    arrived = cut.responder.replica.applied_count
    assert 0 < arrived < 40
    resumed = make_pair(REALM, replica, cut.responder.replica).connect()
    assert_agreed(resumed)
    assert resumed.responder.replica.applied_count == 40


def test_a_peer_behind_the_log_gets_a_snapshot_and_keeps_its_own_unsent_work() -> None:
    replica = replica_with(0, Stream.MEMORIES, *(b"%05d" % number + b"." * 2_000 for number in range(600)))
    replica.drop_log(Stream.MEMORIES)
    replica.write(Stream.MEMORIES, b"after the snapshot")
    newcomer = replica_with(1, Stream.MEMORIES, b"mine, unsent")
    pair = make_pair(REALM, replica, newcomer).connect()
    assert_agreed(pair)
    assert len(newcomer.payloads(Stream.MEMORIES)) == 602
    assert newcomer.log_base(Stream.MEMORIES).covers_all(replica.log_base(Stream.MEMORIES))


def test_a_newcomer_gets_rows_where_there_is_much_history_and_batches_where_there_is_little() -> None:
    replica = replica_with(0, Stream.MEMORIES, *(b"%d" % number for number in range(NEWCOMER_BATCHES_MAX + 1)))
    replica.write(Stream.PROFILE, b"little")
    pair = make_pair(REALM, replica).connect()
    assert_agreed(pair)
    assert [effect.stream for effect in pair.initiator.effects if isinstance(effect, OpenSnapshot)] == [Stream.MEMORIES]
    assert [effect.stream for effect in pair.initiator.effects if isinstance(effect, ReadBatches)] == [Stream.PROFILE]


def test_a_snapshot_without_rows_still_moves_the_frontier() -> None:
    replica = replica_with(0, Stream.MEMORIES, b"soon gone")
    replica.drop_log(Stream.MEMORIES)
    pair = make_pair(REALM, replica)
    assert_agreed(pair.connect())


def test_a_batch_that_came_too_early_is_held_and_applied_once_what_was_missing_is_there() -> None:
    author = MemoryReplica(REALM.devices[2].device_id).origin
    first, second = (spell_batch(author, Stream.MEMORIES, seq, b"part %d" % seq) for seq in (1, 2))
    pair = make_pair(REALM).connect()
    pair.initiator.replica.apply((first, second))
    pair.initiator.replica.lose_first_batch(Stream.MEMORIES)
    pair.initiator.changed()
    pair.settle()
    assert pair.responder.replica.payloads(Stream.MEMORIES) == set()
    assert pair.responder.status().why == "1 change held back: an earlier batch is missing"
    pair.responder.replica.apply((first,))
    pair.responder.changed()
    pair.responder.tick(2.0)
    pair.settle()
    assert_agreed(pair)


def test_a_refused_batch_is_named_and_stops_nothing_else() -> None:
    pair = make_pair(REALM, replica_with(0, Stream.MEMORIES, b"refuse me")).connect()
    pair.initiator.replica.write(Stream.KNOWLEDGE, b"still welcome")
    pair.initiator.changed()
    pair.settle()
    assert pair.responder.replica.payloads(Stream.KNOWLEDGE) == {b"still welcome"}
    assert pair.responder.status().why == "a change was refused: it asked for it"
    assert not pair.initiator.status().in_sync
    assert pair.initiator.status().why == "1 change to send"


def test_clocks_that_differ_by_more_than_a_day_are_reported_before_any_data() -> None:
    pair = SessionPair(
        initiator=make_end(REALM, 0, initiator=True, now_milliseconds=NOW_MILLISECONDS + 2 * DAY_MILLISECONDS),
        responder=make_end(REALM, 1, initiator=False, replica=replica_with(1, Stream.MEMORIES, b"data")),
    ).connect()
    skews = [effect for effect in pair.responder.effects if isinstance(effect, ClockDiffers)]
    assert skews == [ClockDiffers(ahead_milliseconds=2 * DAY_MILLISECONDS)]


def test_a_session_ends_after_a_day_for_the_sake_of_fresh_keys() -> None:
    pair = make_pair(REALM).connect()
    pair.initiator.tick(24 * 3600 + 1.0)
    assert pair.initiator.session.phase() is Phase.CLOSED
    assert "fresh keys" in (pair.initiator.closed_because() or "")


def test_pending_counts_what_is_still_to_come_and_to_go() -> None:
    pair = make_pair(REALM).connect()
    assert pair.initiator.session.pending() == {}
    pair.initiator.replica.write(Stream.MEMORIES, b"one")
    pair.initiator.replica.write(Stream.MEMORIES, b"two")
    pair.initiator.changed(push=False)
    pending = pair.initiator.session.pending()[Stream.MEMORIES]
    assert (pending.incoming, pending.outgoing) == (0, 2)


def test_statements_go_before_batches_so_that_a_new_key_epoch_can_be_opened() -> None:
    realm = found_realm(devices=2, seed="epochs")
    before = list(realm.statements)
    realm.mint(0)
    replica = MemoryReplica(realm.devices[0].device_id)
    replica.write(Stream.MEMORIES, b"under the new epoch")
    old_secrets = make_end(realm, 1, initiator=False, statements=before).membership().discovery_secrets()
    pair = SessionPair(
        initiator=make_end(realm, 0, initiator=True, replica=replica, discovery_secrets=old_secrets),
        responder=make_end(realm, 1, initiator=False, statements=before),
    ).connect()
    assert_agreed(pair)
    assert sorted(pair.responder.statements) == sorted(realm.statements)
    kinds = [type(effect) for effect in pair.responder.effects]
    assert kinds.index(ApplyStatements) < kinds.index(ApplyBatches)


def test_statements_learned_during_a_session_are_passed_on_at_once() -> None:
    realm = found_realm(devices=2, seed="news")
    pair = make_pair(realm).connect()
    realm.mint(0)
    pair.initiator.statements = list(realm.statements)
    pair.initiator.perform(pair.initiator.session.membership_changed(pair.initiator.membership()))
    pair.settle()
    assert pair.responder.statements == realm.statements
    assert not pair.initiator.outbox


def test_nothing_is_sent_without_a_usable_key_epoch_and_all_of_it_afterwards() -> None:
    realm = found_realm(devices=2, seed="stale epoch")
    realm.add_device()
    replica = MemoryReplica(realm.devices[0].device_id)
    replica.write(Stream.MEMORIES, b"not for the old epoch")
    pair = make_pair(realm, replica).connect()
    assert pair.responder.replica.payloads(Stream.MEMORIES) == set()
    assert pair.initiator.status().why == "waiting for a new key epoch before sending"
    realm.mint(0)
    pair.initiator.statements = list(realm.statements)
    pair.initiator.perform(pair.initiator.session.membership_changed(pair.initiator.membership()))
    pair.settle()
    assert_agreed(pair)

"""Sessions with a peer that is a stranger, broken or hostile: refused, closed, nothing applied, nothing told."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from sync.channel import PIECE_BYTES_MAX
from sync.effects import AdoptSnapshot, ApplyBatches, ApplyPage, Effect, PeerStatus
from sync.envelope import seal_envelope
from sync.errors import LocalProtocolError, RemoteProtocolError, UnknownKeyEpoch
from sync.limits import FRAME_BYTES_MAX
from sync.messages import (
    Ack,
    Bundle,
    Hello,
    Message,
    Position,
    Resend,
    SnapshotBegin,
    SnapshotDecline,
    SnapshotEnd,
    SnapshotFrom,
    SnapshotPage,
    State,
    StatementHashes,
    Statements,
    decode_message,
    encode_message,
)
from sync.session import GREETING_SECONDS_MAX, Phase
from sync.snapshot import REPAIR_ID, START
from sync.streams import Stream
from tests.support.hostile_member import REALM, HostileMember
from tests.support.memory_replica import SNAPSHOT_ID, MemoryReplica, spell_batch
from tests.support.realm_factory import NOW_MILLISECONDS, found_realm
from tests.support.session_pair import End, SessionPair, make_end, make_pair


def applied(end: End) -> list[Effect]:
    return [effect for effect in end.effects if isinstance(effect, ApplyBatches | ApplyPage | AdoptSnapshot)]


def assert_refused(end: End) -> None:
    assert isinstance(end.error, RemoteProtocolError)
    assert end.session.phase() is Phase.CLOSED
    assert not applied(end)
    assert end.session.receive_frame(b"anything later") == []


def a_batch(seq: int = 1) -> bytes:
    return spell_batch(MemoryReplica(REALM.devices[1].device_id).origin, Stream.MEMORIES, seq, b"payload %d" % seq)


def test_the_hostile_member_is_believed_while_it_behaves() -> None:
    hostile = HostileMember().greet()
    hostile.say(Bundle(number=1, envelope=hostile.envelope(a_batch())))
    assert hostile.victim.error is None
    assert hostile.victim.replica.payloads(Stream.MEMORIES) == {b"payload 1"}


@pytest.mark.parametrize("first_frame", [b"", b"\x00", b"GET / HTTP/1.1", bytes(48), bytes(96), bytes(FRAME_BYTES_MAX)])
def test_a_stranger_gets_silence(first_frame: bytes) -> None:
    listener = make_end(REALM, 0, initiator=False)
    listener.receive(first_frame)
    assert_refused(listener)
    assert not listener.outbox


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.binary(max_size=200))
def test_any_first_frame_is_refused_and_raises_nothing_else(frame: bytes) -> None:
    listener = make_end(REALM, 0, initiator=False)
    listener.receive(frame)
    assert_refused(listener)


def test_a_device_with_another_realms_discovery_secret_gets_silence() -> None:
    other_realm = found_realm(devices=2, seed="other realm")
    pair = SessionPair(
        initiator=make_end(other_realm, 0, initiator=True), responder=make_end(REALM, 1, initiator=False)
    ).connect()
    assert_refused(pair.responder)
    assert pair.responder.sent_bytes == 0


def test_a_device_that_only_knows_the_previous_discovery_secret_is_let_in() -> None:
    realm = found_realm(devices=2, seed="previous secret")
    before = list(realm.statements)
    realm.mint(0)
    pair = SessionPair(
        initiator=make_end(realm, 1, initiator=True, statements=before),
        responder=make_end(realm, 0, initiator=False),
    ).connect()
    assert pair.initiator.status().in_sync
    assert pair.responder.status().in_sync


@pytest.mark.parametrize("index", range(3))
@pytest.mark.parametrize("position", [0, 31, 47])
def test_a_flipped_bit_in_any_handshake_frame_ends_the_handshake(index: int, position: int) -> None:
    pair = make_pair(REALM)
    seen = [0]

    def flip(_sender: End, frame: bytes) -> list[bytes]:
        seen[0] += 1
        flipped = bytes(byte ^ (0x01 if at == position else 0) for at, byte in enumerate(frame))
        return [flipped if seen[0] == index + 1 else frame]

    pair.tamper = flip
    pair.connect()
    assert pair.initiator.error is not None or pair.responder.error is not None
    assert not applied(pair.initiator)
    assert not applied(pair.responder)


@pytest.mark.parametrize(
    "tamper",
    [
        pytest.param(lambda frame: [frame[:-1]], id="truncated"),
        pytest.param(lambda frame: [frame + b"\x00"], id="extended"),
        pytest.param(lambda frame: [frame, frame], id="replayed"),
        pytest.param(lambda frame: [b""], id="emptied"),
        pytest.param(lambda frame: [frame.ljust(FRAME_BYTES_MAX + 1, b"\x00")], id="over the limit"),
        pytest.param(lambda frame: [bytes([frame[0] ^ 1]) + frame[1:]], id="one bit flipped"),
    ],
)
def test_a_damaged_frame_closes_the_session_and_applies_nothing(tamper: Callable[[bytes], list[bytes]]) -> None:
    pair = make_pair(REALM)
    pair.connect()
    victim = pair.responder
    pair.tamper = lambda sender, frame: tamper(frame) if sender is pair.initiator else [frame]
    pair.initiator.replica.write(Stream.MEMORIES, b"never arrives")
    pair.initiator.changed()
    # The first frame on its way carries only the position: at most that is believed before the damage is seen.
    pair.settle()
    assert_refused(victim)
    assert victim.replica.payloads(Stream.MEMORIES) == set()


def test_frames_in_another_order_are_refused() -> None:
    pair = make_pair(REALM).connect()
    pair.initiator.replica.write(Stream.MEMORIES, b"x" * 200_000)
    pair.initiator.changed()
    pair.initiator.outbox.rotate(1)
    pair.settle()
    assert_refused(pair.responder)


def test_a_replayed_envelope_has_no_second_effect_under_a_new_number() -> None:
    hostile = HostileMember().greet()
    envelope = hostile.envelope(a_batch())
    hostile.say(Bundle(number=1, envelope=envelope)).say(Bundle(number=2, envelope=envelope))
    assert hostile.victim.error is None
    assert hostile.victim.replica.applied_count == 1


def test_a_replayed_envelope_is_refused_under_its_old_number() -> None:
    hostile = HostileMember().greet()
    envelope = hostile.envelope(a_batch())
    hostile.say(Bundle(number=1, envelope=envelope)).say(Bundle(number=1, envelope=envelope))
    assert isinstance(hostile.victim.error, RemoteProtocolError)
    assert hostile.victim.replica.applied_count == 1


def test_an_envelope_of_another_key_or_realm_is_refused() -> None:
    stranger = HostileMember().greet()
    stranger.say(Bundle(number=1, envelope=stranger.envelope(a_batch(), epoch_key=bytes(32))))
    assert isinstance(stranger.victim.error, UnknownKeyEpoch)
    assert_refused(stranger.victim)
    other = HostileMember().greet()
    foreign = seal_envelope(realm_id=bytes(32), epoch_key=other.epoch_key, nonce=bytes(24), items=[a_batch()])
    assert_refused(other.say(Bundle(number=1, envelope=foreign)).victim)


def test_a_truncated_envelope_is_refused() -> None:
    hostile = HostileMember().greet()
    assert_refused(hostile.say(Bundle(number=1, envelope=hostile.envelope(a_batch())[:-1])).victim)


END = SnapshotEnd(number=1, snapshot_id=SNAPSHOT_ID, pages=1)
BEGIN = SnapshotBegin(stream=Stream.MEMORIES, snapshot_id=SNAPSHOT_ID, frontier=[], rows=0, log_base=[])


@pytest.mark.parametrize(
    "messages",
    [
        pytest.param([Hello(version=1, now_milliseconds=0, summary=bytes(32))], id="a second Hello"),
        pytest.param([State(roster_digest=bytes(32), positions=[])], id="a second State"),
        pytest.param([StatementHashes(hashes=[])], id="the roster asked for although it is equal"),
        pytest.param([Ack(number=1, positions=[])], id="an acknowledgement of nothing"),
        pytest.param([SnapshotEnd(number=1, snapshot_id=SNAPSHOT_ID, pages=0)], id="the end of no snapshot"),
        pytest.param([BEGIN, BEGIN], id="a snapshot inside another"),
        pytest.param([replace(BEGIN, snapshot_id=REPAIR_ID)], id="rows of a repair announced as a snapshot"),
        pytest.param([BEGIN, END], id="a snapshot with a page missing"),
        pytest.param(
            [replace(BEGIN, log_base=[(bytes(40), 1, bytes(8))])],
            id="a log that begins behind what its device holds",
        ),
        pytest.param(
            [BEGIN, SnapshotEnd(number=1, snapshot_id=b"\x01" * 16, pages=0)], id="the end of another snapshot"
        ),
        pytest.param([SnapshotFrom(snapshot_id=SNAPSHOT_ID, after=START)], id="a place for no snapshot"),
        pytest.param([SnapshotDecline(snapshot_id=SNAPSHOT_ID)], id="a no to no snapshot"),
        pytest.param(
            [Ack(number=0, positions=[Position(stream=Stream.MEMORIES, entries=[(b"short", 1, bytes(8))],
                                               digest=bytes(32), rows=0)])],
            id="a malformed frontier",
        ),
        pytest.param([Statements(statements=[bytes(20_000)], last=True)], id="a statement over the limit"),
    ],
)  # fmt: skip
def test_what_an_open_session_may_not_hear_closes_it(messages: list[Message]) -> None:
    hostile = HostileMember().greet()
    for message in messages:
        hostile.say(message)
    assert_refused(hostile.victim)


def test_a_page_outside_a_snapshot_is_refused() -> None:
    hostile = HostileMember().greet()
    assert_refused(hostile.say(SnapshotPage(number=1, envelope=hostile.envelope(b"\x90"))).victim)


@pytest.mark.parametrize(
    "message",
    [
        Ack(number=0, positions=[]),
        Resend(),
        BEGIN,
        State(roster_digest=bytes(32), positions=[]),
        Bundle(number=1, envelope=b"x"),
    ],
)
def test_nothing_but_a_greeting_is_heard_before_the_greeting(message: Message) -> None:
    assert_refused(HostileMember().say(message).victim)


def test_a_peer_of_another_version_is_told_goodbye() -> None:
    hostile = HostileMember().say(Hello(version=2, now_milliseconds=NOW_MILLISECONDS, summary=bytes(32)))
    assert hostile.victim.closed_because() == "the peer speaks version 2 of the protocol, this device 1"


def test_a_revoked_device_gets_no_byte_after_the_handshake() -> None:
    realm = found_realm(devices=2, seed="revoked")
    before = list(realm.statements)
    realm.revoke(1)
    replica = MemoryReplica(realm.devices[0].device_id)
    replica.write(Stream.MEMORIES, b"secret")
    pair = SessionPair(
        initiator=make_end(realm, 1, initiator=True, statements=before),
        responder=make_end(realm, 0, initiator=False, replica=replica),
    ).connect()
    assert pair.responder.closed_because() == "the peer is not a member any more"
    assert pair.responder.sent_bytes == 96
    assert not applied(pair.initiator)


def test_a_device_that_is_revoked_during_a_session_is_cut_off_at_once() -> None:
    realm = found_realm(devices=2, seed="revoked live")
    pair = make_pair(realm).connect()
    realm.revoke(1)
    pair.initiator.statements = list(realm.statements)
    pair.initiator.perform(pair.initiator.session.membership_changed(pair.initiator.membership()))
    pair.initiator.replica.write(Stream.MEMORIES, b"secret")
    pair.initiator.changed()
    assert pair.initiator.closed_because() == "the peer is not a member any more"
    assert not pair.initiator.outbox


def newcomer_pair() -> SessionPair:
    """Device 1 was added and knows it; device 0 has not heard. Both still know the old discovery secret."""
    realm = found_realm(devices=1, seed="newcomer")
    before = list(realm.statements)
    secrets = realm.membership(0).discovery_secrets()
    realm.add_device()
    realm.mint(0)
    replica = MemoryReplica(realm.devices[0].device_id)
    replica.write(Stream.MEMORIES, b"for members only")
    return SessionPair(
        initiator=make_end(realm, 1, initiator=True, discovery_secrets=secrets),
        responder=make_end(realm, 0, initiator=False, replica=replica, statements=before),
    )


def test_an_unknown_device_hears_nothing_until_its_statements_prove_that_it_belongs() -> None:
    pair = newcomer_pair().connect()
    assert pair.responder.session.phase() is Phase.UNKNOWN_PEER
    assert pair.responder.sent_bytes == 96
    pair.initiator.tick(1.5)
    pair.settle()
    assert pair.responder.session.phase() is Phase.OPEN
    assert pair.initiator.status().in_sync
    assert pair.initiator.replica.payloads(Stream.MEMORIES) == {b"for members only"}


def test_an_unknown_device_that_proves_nothing_is_let_go() -> None:
    pair = newcomer_pair().connect()
    pair.responder.tick(GREETING_SECONDS_MAX + 1)
    assert pair.responder.session.phase() is Phase.CLOSED
    assert pair.responder.sent_bytes == 96


def test_an_unknown_device_may_only_send_a_little() -> None:
    pair = newcomer_pair().connect()
    flood = Statements(statements=[bytes(16_000)] * 4, last=False)
    for frame in [
        *pair.initiator.session._open_channel().seal(flood),
        *pair.initiator.session._open_channel().seal(flood),
    ]:
        pair.responder.receive(frame)
    assert_refused(pair.responder)


def test_our_own_address_is_recognised() -> None:
    pair = SessionPair(initiator=make_end(REALM, 0, initiator=True), responder=make_end(REALM, 0, initiator=False))
    pair.connect()
    assert pair.initiator.closed_because() == "this is our own address"


def test_the_runtime_may_not_answer_what_was_not_asked() -> None:
    pair = make_pair(REALM).connect()
    with pytest.raises(LocalProtocolError):
        pair.initiator.session.page_read(envelope=b"", next_cursor=None)


def test_status_before_the_comparison_is_not_in_sync() -> None:
    hostile = HostileMember().say(Hello(version=1, now_milliseconds=NOW_MILLISECONDS, summary=bytes(32)))
    assert hostile.victim.status() == PeerStatus(in_sync=False, why="comparing what both devices hold")


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.binary(max_size=64)
    | st.lists(st.integers() | st.binary(max_size=40), max_size=5).map(lambda value: bytes(str(value), "ascii"))
)
def test_any_bytes_decode_to_a_message_or_are_refused(raw: bytes) -> None:
    try:
        message = decode_message(raw)
    except RemoteProtocolError:
        return
    assert decode_message(encode_message(message)) == message


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.binary(min_size=1, max_size=80), min_size=1, max_size=4))
def test_any_plaintext_of_a_member_is_a_message_or_is_refused(plaintexts: list[bytes]) -> None:
    hostile = HostileMember()
    for plaintext in plaintexts:
        hostile.victim.receive(hostile.channel._transport.encrypt(plaintext))
    assert not applied(hostile.victim)


def test_a_message_that_never_ends_is_refused_at_its_limit() -> None:
    hostile = HostileMember().greet()
    hostile.victim.session._open_channel().message_bytes_max = 3 * PIECE_BYTES_MAX
    for _ in range(4):
        hostile.victim.receive(hostile.channel._transport.encrypt(b"\x01" + bytes(PIECE_BYTES_MAX)))
    assert_refused(hostile.victim)


def test_a_short_piece_that_is_not_the_last_is_refused() -> None:
    hostile = HostileMember().greet()
    hostile.victim.receive(hostile.channel._transport.encrypt(b"\x01" + bytes(100)))
    assert_refused(hostile.victim)

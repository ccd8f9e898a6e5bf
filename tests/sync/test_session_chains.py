"""Two ends that hold two versions of one chain find the first batch that differs, and believe nothing unasked."""

import pytest

from crdt.identifiers import Origin, make_origin
from sync.effects import Diverged, ForkFound
from sync.errors import RemoteProtocolError
from sync.limits import CHAIN_ASKS_MAX, CHAIN_BATCHES_MAX
from sync.messages import ChainAnswer, ChainAsk
from sync.session import Phase
from sync.streams import Stream
from tests.support.hostile_member import HostileMember
from tests.support.memory_replica import MemoryReplica, spell_batch
from tests.support.realm_factory import found_realm
from tests.support.session_pair import End, make_pair

AWAY: Origin = make_origin(b"a device that is away".ljust(32), bytes(8))
NOTES = Stream.KNOWLEDGE


def chain(version: str, forked_at: int, length: int, origin: Origin = AWAY) -> list[bytes]:
    """Return a chain whose batches from `forked_at` on are of one version alone."""
    said = [("both" if seq < forked_at else version) for seq in range(1, length + 1)]
    return [spell_batch(origin, NOTES, seq, f"{who} {seq}".encode()) for seq, who in enumerate(said, start=1)]


def replica_of(device: int, raws: list[bytes]) -> MemoryReplica:
    replica = MemoryReplica(found_realm(devices=2).devices[device].device_id)
    replica.apply(tuple(raws))
    return replica


def forks(end: End) -> list[ForkFound]:
    return [effect for effect in end.effects if isinstance(effect, ForkFound)]


@pytest.mark.parametrize(("forked_at", "length"), [(1, 1), (3, 3), (1, 300), (217, 300), (300, 300)])
def test_both_ends_find_the_first_batch_that_differs(forked_at: int, length: int) -> None:
    one, other = chain("one", forked_at, length), chain("other", forked_at, length)
    pair = make_pair(found_realm(devices=2), replica_of(0, one), replica_of(1, other)).connect()
    for end, theirs in ((pair.initiator, other), (pair.responder, one)):
        assert [(fork.stream, fork.origin, fork.seq) for fork in forks(end)] == [(NOTES, AWAY, forked_at)]
        assert forks(end)[0].evidence == theirs[forked_at - 1]
        assert forks(end)[0].ours != forks(end)[0].theirs
        assert not end.status().in_sync
        assert f"two versions of its changes of knowledge from number {forked_at} on" in end.status().why
        for second in (1.0, 2.0, 3.0):
            end.tick(second)
        assert not any(isinstance(effect, Diverged) for effect in end.effects)


def test_a_chain_of_the_asked_device_is_compared_by_both_and_said_in_its_own_words() -> None:
    realm = found_realm(devices=2)
    own = make_origin(realm.devices[0].device_id, b"lifetime")
    first = replica_of(0, chain("one", 4, 9, own))
    second = replica_of(1, chain("other", 4, 9, own))
    pair = make_pair(realm, first, second).connect()
    assert [fork.seq for fork in forks(pair.initiator)] == [4]
    assert "this device wrote two versions" in pair.initiator.status().why
    whys = [getattr(effect, "why", "") for effect in pair.initiator.effects]
    assert any("it was set back, or a copy of it is in use" in why for why in whys)


def test_an_end_whose_log_was_compacted_concludes_nothing() -> None:
    first, second = replica_of(0, chain("one", 2, 5)), replica_of(1, chain("other", 2, 5))
    second.drop_log(NOTES)
    pair = make_pair(found_realm(devices=2), first, second).connect()
    assert forks(pair.initiator) == forks(pair.responder) == []
    assert not pair.initiator.status().in_sync


def test_equal_chains_are_not_compared() -> None:
    raws = chain("one", 2, 5)
    pair = make_pair(found_realm(devices=2), replica_of(0, raws), replica_of(1, raws)).connect()
    assert pair.initiator.status().in_sync
    assert forks(pair.initiator) == []


@pytest.mark.parametrize(
    "message",
    [
        ChainAnswer(stream=NOTES, origin=AWAY, hashes=[], envelope=b""),
        ChainAnswer(stream=NOTES, origin=AWAY, hashes=[(1, bytes(32))], envelope=b""),
    ],
)
def test_an_answer_that_nobody_asked_for_ends_the_session(message: ChainAnswer) -> None:
    hostile = HostileMember().greet().say(message)
    assert isinstance(hostile.victim.error, RemoteProtocolError)
    assert hostile.victim.session.phase() is Phase.CLOSED
    assert forks(hostile.victim) == []


def test_a_question_about_a_chain_that_nobody_holds_is_answered_with_nothing() -> None:
    hostile = HostileMember().greet()
    ask = ChainAsk(stream=NOTES, origin=AWAY, seqs=[1, 2, 3], batch=3)
    hostile.say(ask).say(ask)
    assert hostile.victim.error is None
    assert forks(hostile.victim) == []


def test_a_question_about_the_asked_devices_own_chain_makes_it_believe_nothing() -> None:
    victim = HostileMember()
    own = victim.victim.replica.origin
    victim.victim.replica.write(NOTES, b"mine")
    victim.greet().say(ChainAsk(stream=NOTES, origin=own, seqs=[1], batch=0))
    assert victim.victim.error is None
    assert forks(victim.victim) == []


@pytest.mark.parametrize(("batch", "questions"), [(1, CHAIN_BATCHES_MAX), (0, CHAIN_ASKS_MAX)])
def test_a_member_that_asks_about_chains_without_end_is_closed(batch: int, questions: int) -> None:
    hostile = HostileMember().greet()
    question = ChainAsk(stream=NOTES, origin=AWAY, seqs=[1], batch=batch)
    for _ in range(questions):
        hostile.say(question)
    open_until_now = hostile.victim.error is None
    hostile.say(question)
    assert open_until_now
    assert isinstance(hostile.victim.error, RemoteProtocolError)
    assert hostile.victim.session.phase() is Phase.CLOSED

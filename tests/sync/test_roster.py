"""Who belongs: what counts, what does not, and that a set of statements means the same in every order."""

from random import Random

import pytest

from crdt.identifiers import DeviceId, make_origin
from sync.errors import RemoteProtocolError
from sync.identifiers import RealmId
from sync.roster import FRESH_MILLISECONDS, RosterState, evaluate, may_send
from sync.statements import statement_hash
from sync.streams import Stream
from tests.support.realm_factory import NOW_MILLISECONDS, FoundedRealm, SeededEntropy, device_keys, found_realm
from tests.support.roster_scenarios import INCARNATION, add, beat, epoch, frontiers, recovery_seed, revoke, rotate, seen

ROOT_SEED = recovery_seed()


@pytest.fixture
def realm() -> FoundedRealm:
    return found_realm(devices=3)


def ids(realm: FoundedRealm) -> list[DeviceId]:
    return [keys.device_id for keys in realm.devices]


def grown(realm: FoundedRealm, *raws: bytes) -> RosterState:
    return evaluate(realm.realm_id, [*realm.statements, *raws])


def test_the_state_does_not_depend_on_order_or_repetition(realm: FoundedRealm) -> None:
    realm.revoke(2)
    realm.mint(0)
    expected = realm.state()
    for seed in range(20):
        shuffled = [*realm.statements, *realm.statements[:3]]
        Random(seed).shuffle(shuffled)
        assert evaluate(realm.realm_id, shuffled) == expected


def test_statements_without_the_genesis_are_refused(realm: FoundedRealm) -> None:
    with pytest.raises(RemoteProtocolError):
        evaluate(realm.realm_id, realm.statements[1:])
    with pytest.raises(RemoteProtocolError):
        evaluate(RealmId(bytes(32)), realm.statements)


def test_a_stolen_device_can_neither_add_nor_revoke(realm: FoundedRealm) -> None:
    thief, accomplice = realm.devices[2], device_keys(realm.entropy)
    state = realm.state()
    added = add(state, accomplice, thief.sign_seed)
    removed = revoke(state, ids(realm)[0], thief.sign_seed)
    after = grown(realm, added, removed)
    assert after.active == state.active
    assert after.digest == state.digest
    assert set(after.ignored) == {statement_hash(added), statement_hash(removed)}


def test_an_add_without_the_device_s_own_signature_is_ignored(realm: FoundedRealm) -> None:
    newcomer, other = device_keys(realm.entropy), device_keys(realm.entropy)
    state = realm.state()
    honest = add(state, newcomer, realm.owner_seed)
    assert newcomer.device_id in grown(realm, honest).active
    forged = honest[:-64] + add(state, other, realm.owner_seed)[-64:]
    assert newcomer.device_id not in grown(realm, forged).active


def test_a_revoked_device_never_returns(realm: FoundedRealm) -> None:
    victim = realm.devices[2]
    realm.revoke(2)
    again = add(realm.state(), victim, realm.owner_seed)
    state = grown(realm, again)
    assert victim.device_id not in state.active
    assert victim.device_id in state.revocation_by_device
    assert state.sign_public(victim.device_id) == victim.public.sign


def test_two_revocations_made_apart_both_hold(realm: FoundedRealm) -> None:
    state = realm.state()
    one, two = (revoke(state, device, realm.owner_seed) for device in ids(realm)[1:])
    assert grown(realm, one, two).active == {ids(realm)[0]}
    assert grown(realm, two, one).digest == grown(realm, one, two).digest


def test_what_active_devices_had_merged_of_a_revoked_one_counts(realm: FoundedRealm) -> None:
    first, witness, victim = realm.devices
    origin = make_origin(victim.device_id, INCARNATION)
    removed = revoke(realm.state(), victim.device_id, realm.owner_seed, cut_seq=3)
    state = grown(realm, removed)
    assert state.accepts(Stream.MEMORIES, origin, 3)
    assert not state.accepts(Stream.MEMORIES, origin, 4)
    assert not state.accepts(Stream.PROFILE, origin, 1)
    witnessed = seen(state, witness, statement_hash(removed), frontiers(victim.device_id, 7))
    foreign = seen(state, witness, statement_hash(removed), frontiers(first.device_id, 7))
    by_victim = seen(state, victim, statement_hash(removed), frontiers(victim.device_id, 99))
    state = grown(realm, removed, witnessed, foreign, by_victim)
    assert state.accepts(Stream.MEMORIES, origin, 7)
    assert not state.accepts(Stream.MEMORIES, origin, 8)
    assert set(state.revocation_by_device[victim.device_id].accepted[Stream.MEMORIES].entries) == {origin}
    larger = revoke(state, victim.device_id, realm.owner_seed, cut_seq=9)
    assert grown(realm, removed, larger).accepts(Stream.MEMORIES, origin, 9)


def test_a_device_may_revoke_itself_but_its_cut_yields_to_the_owner_s(realm: FoundedRealm) -> None:
    victim = realm.devices[2]
    origin = make_origin(victim.device_id, INCARNATION)
    own = revoke(realm.state(), victim.device_id, victim.sign_seed, cut_seq=1000)
    assert victim.device_id not in grown(realm, own).active
    assert grown(realm, own).accepts(Stream.MEMORIES, origin, 1000)
    owners = revoke(realm.state(), victim.device_id, realm.owner_seed, cut_seq=5)
    assert not grown(realm, own, owners).accepts(Stream.MEMORIES, origin, 6)


def test_a_seen_counts_once_its_revoke_is_known(realm: FoundedRealm) -> None:
    victim = realm.devices[2]
    removed = revoke(realm.state(), victim.device_id, realm.owner_seed)
    answer = seen(grown(realm, removed), realm.devices[1], statement_hash(removed), frontiers(victim.device_id, 2))
    assert statement_hash(answer) in grown(realm, answer).ignored
    assert not grown(realm, answer, removed).ignored


def test_an_epoch_number_cannot_be_made_up(realm: FoundedRealm) -> None:
    state = realm.state()
    for number in (4, 2**63 - 1):
        jumped = epoch(state, realm.devices[1], state.active, realm.entropy, number=number)
        assert statement_hash(jumped) in grown(realm, jumped).ignored
    following = epoch(state, realm.devices[1], state.active, realm.entropy)
    assert not grown(realm, following).ignored


def test_only_the_latest_beat_of_a_device_is_kept(realm: FoundedRealm) -> None:
    state = realm.state()
    beats = [beat(state, realm.devices[1], NOW_MILLISECONDS + day) for day in range(5)]
    assert grown(realm, *beats).digest == grown(realm, beats[-1]).digest != state.digest
    assert len(grown(realm, *beats).superseded) == 4
    assert grown(realm, beats[-1]).heads == state.heads


def test_the_recovery_code_takes_the_realm_back_from_a_stolen_owner_key(realm: FoundedRealm) -> None:
    before = realm.state()
    accomplice = device_keys(realm.entropy)
    stolen_add = add(before, accomplice, realm.owner_seed)
    stolen_revoke = revoke(before, ids(realm)[1], realm.owner_seed)
    assert grown(realm, stolen_add, stolen_revoke).active == {ids(realm)[0], ids(realm)[2], accomplice.device_id}
    rotation, owner_seed, _ = rotate(
        before, ROOT_SEED, realm.entropy, cut=before.heads, disown=[statement_hash(stolen_revoke)]
    )
    after = grown(realm, stolen_add, stolen_revoke, rotation)
    assert after.active == before.active
    assert after.owner_public != before.owner_public
    # Its batches still verify, so that those which count can be told from those which do not.
    assert after.sign_public(accomplice.device_id) == accomplice.public.sign
    late = add(after, device_keys(realm.entropy), realm.owner_seed)
    assert grown(realm, stolen_add, stolen_revoke, rotation, late).active == before.active
    newcomer = device_keys(realm.entropy)
    assert newcomer.device_id in grown(realm, rotation, add(after, newcomer, owner_seed)).active


def test_a_rotation_keeps_revocations_that_it_does_not_disown(realm: FoundedRealm) -> None:
    before = realm.state()
    removed = revoke(before, ids(realm)[2], realm.owner_seed)
    rotation, _, _ = rotate(before, ROOT_SEED, realm.entropy, cut=before.heads)
    assert grown(realm, removed, rotation).active == set(ids(realm)[:2])


def test_a_voided_add_stays_void_under_a_second_rotation_that_names_it(realm: FoundedRealm) -> None:
    before = realm.state()
    stolen = add(before, device_keys(realm.entropy), realm.owner_seed)
    first, _, second_root = rotate(before, ROOT_SEED, realm.entropy, cut=before.heads)
    middle = grown(realm, stolen, first)
    second, _, _ = rotate(middle, second_root, realm.entropy, cut=middle.heads)
    assert grown(realm, stolen, first, second).active == before.active


def test_owner_rotations_need_the_root_key_and_two_made_apart_have_one_winner(realm: FoundedRealm) -> None:
    state = realm.state()
    forged, _, _ = rotate(state, realm.owner_seed, realm.entropy, cut=state.heads)
    assert grown(realm, forged).owner_public == state.owner_public
    one, _, _ = rotate(state, ROOT_SEED, realm.entropy, cut=state.heads)
    two, _, _ = rotate(state, ROOT_SEED, realm.entropy, cut=state.heads)
    winner = max(one, two, key=statement_hash)
    both = grown(realm, one, two)
    assert both == grown(realm, two, one)
    assert both.authority.hash == statement_hash(winner)
    orphan, _, _ = rotate(state, ROOT_SEED, realm.entropy, cut=state.heads, previous=statement_hash(b"unknown"))
    assert statement_hash(orphan) in grown(realm, orphan).ignored


def test_junk_changes_nothing_and_is_listed(realm: FoundedRealm) -> None:
    state = realm.state()
    junk = [
        b"",
        b"\xc1",
        realm.statements[1][:-1],
        realm.statements[1] + b"\0",
        found_realm(devices=2, seed="o").statements[0],
    ]
    after = grown(realm, *junk)
    assert after.digest == state.digest
    assert set(after.ignored) == {statement_hash(raw) for raw in junk}


def test_a_device_long_out_of_touch_only_receives(realm: FoundedRealm) -> None:
    me, peer, other = ids(realm)
    later = NOW_MILLISECONDS + FRESH_MILLISECONDS + 1
    state = realm.state()
    assert may_send(state, peer, NOW_MILLISECONDS, other)
    assert not may_send(state, other, later, peer)
    # The peer's own sign of life proves nothing: it may be the device that was revoked meanwhile.
    assert not may_send(grown(realm, beat(state, realm.devices[1], later)), me, later, peer)
    assert may_send(grown(realm, beat(state, realm.devices[2], later)), me, later, peer)
    assert not may_send(grown(realm, beat(state, realm.devices[2], later * 2)), me, later, peer)
    assert may_send(state, me, later, peer, in_touch_at_milliseconds=later - FRESH_MILLISECONDS)
    realm.revoke(1)
    assert not may_send(realm.state(), me, NOW_MILLISECONDS, peer)
    assert may_send(realm.state(), me, later, other), "with two devices there is nobody else to ask"


def test_what_a_revoked_device_mints_is_not_built_upon(realm: FoundedRealm) -> None:
    thief = realm.devices[2]
    state = realm.state()
    minted = epoch(state, thief, state.active - {thief.device_id}, SeededEntropy("thief"))
    removed = revoke(state, thief.device_id, realm.owner_seed)
    after = grown(realm, minted, removed)
    assert statement_hash(minted) not in after.heads
    assert after.usable_epochs == ()

"""Key epochs open for exactly the devices they were minted for, and only honest ones are sent under."""

import pytest

from sync.crypto import aead_encrypt, seal
from sync.envelope import epoch_key_id
from sync.errors import LocalProtocolError
from sync.key_epoch import (
    EPOCH_MILLISECONDS_MAX,
    epoch_is_due,
    mint_entropy_bytes,
    mint_epoch,
    minting_rank,
    open_epochs,
    sending_epoch,
    wrapped,
)
from sync.roster import evaluate
from sync.statements import Epoch, Wrap, decode_statement, sign_statement
from tests.support.realm_factory import NOW_MILLISECONDS, FoundedRealm, SeededEntropy, found_realm
from tests.support.roster_scenarios import epoch, recovery_seed, revoke, rotate


@pytest.fixture
def realm() -> FoundedRealm:
    return found_realm(devices=3)


def test_every_active_device_opens_the_same_secret_and_it_is_not_shown(realm: FoundedRealm) -> None:
    state = realm.state()
    chosen = [sending_epoch(state, open_epochs(state, keys.device_id, keys.seal_secret)) for keys in realm.devices]
    assert chosen[0] is not None
    assert chosen[1] == chosen[2] == chosen[0]
    assert chosen[0].key != chosen[0].discovery_secret
    assert chosen[0].key.hex() not in repr(chosen[0])
    assert repr(chosen[0].key) not in repr(chosen[0])


def test_a_revoked_device_gets_no_wrap_and_opens_nothing_new(realm: FoundedRealm) -> None:
    victim = realm.devices[2]
    realm.revoke(2)
    assert realm.state().usable_epochs == ()
    realm.mint(0)
    state = realm.state()
    newest = state.usable_epochs[-1]
    assert newest.recipients == state.active == {keys.device_id for keys in realm.devices[:2]}
    assert newest.hash not in {secret.hash for secret in open_epochs(state, victim.device_id, victim.seal_secret)}


def test_an_add_makes_a_new_epoch_due_which_the_newcomer_shares_without_the_older(realm: FoundedRealm) -> None:
    assert not epoch_is_due(realm.state(), NOW_MILLISECONDS)
    newcomer = realm.add_device()
    assert epoch_is_due(realm.state(), NOW_MILLISECONDS)
    realm.mint(1)
    state = realm.state()
    assert not epoch_is_due(state, NOW_MILLISECONDS)
    assert [secret.n for secret in open_epochs(state, newcomer.device_id, newcomer.seal_secret)] == [3]
    assert epoch_is_due(state, NOW_MILLISECONDS + EPOCH_MILLISECONDS_MAX)


def test_a_wrap_for_one_device_given_to_another_does_not_open(realm: FoundedRealm) -> None:
    state = realm.state()
    author, other = realm.devices[0], realm.devices[1]
    raw = epoch(state, author, state.active, SeededEntropy("wraps"))
    body = decode_statement(raw).body
    assert isinstance(body, Epoch)
    ordered = [wrap.sealed for wrap in body.wraps]
    swapped = tuple(Wrap(w.device_id, s) for w, s in zip(body.wraps, [*ordered[1:], ordered[0]], strict=True))
    forged = sign_statement(_with_wraps(body, swapped), realm.realm_id, author.sign_seed)
    grown = evaluate(realm.realm_id, [*realm.statements, forged])
    for keys in realm.devices:
        assert open_epochs(grown, keys.device_id, keys.seal_secret) == open_epochs(
            state, keys.device_id, keys.seal_secret
        )
    assert other.device_id in grown.active


def test_a_wrap_with_another_secret_recipient_or_realm_than_stated_does_not_open(realm: FoundedRealm) -> None:
    state = realm.state()
    author, victim = realm.devices[0], realm.devices[1]
    honest = epoch(state, author, state.active, SeededEntropy("minter"))
    body = decode_statement(honest).body
    assert isinstance(body, Epoch)
    minted = evaluate(realm.realm_id, [*realm.statements, honest])
    right = open_epochs(minted, victim.device_id, victim.seal_secret)[-1].key
    key, other_realm = bytes(32), found_realm(devices=1, seed="other").realm_id
    for plaintext in (
        wrapped(state.realm_id, body.key_id, victim.device_id, key),
        wrapped(state.realm_id, epoch_key_id(key), victim.device_id, key),
        wrapped(other_realm, body.key_id, victim.device_id, right),
        wrapped(state.realm_id, epoch_key_id(key), victim.device_id, right),
        wrapped(state.realm_id, body.key_id, author.device_id, right),
        aead_encrypt(key, bytes(24), bytes(132), b""),
    ):
        sealed = seal(victim.public.seal, bytes([9]) * 32, plaintext)
        wraps = tuple(Wrap(w.device_id, sealed if w.device_id == victim.device_id else w.sealed) for w in body.wraps)
        forged = sign_statement(_with_wraps(body, wraps), realm.realm_id, author.sign_seed)
        grown = evaluate(realm.realm_id, [*realm.statements, forged])
        assert open_epochs(grown, victim.device_id, victim.seal_secret) == open_epochs(
            state, victim.device_id, victim.seal_secret
        )
        # The others can open it, so the two sides choose differently only until the next epoch; nothing leaks.
        assert not grown.ignored


def _with_wraps(body: Epoch, wraps: tuple[Wrap, ...]) -> Epoch:
    return Epoch(
        author=body.author,
        number=body.number,
        key_id=body.key_id,
        minted_at_milliseconds=body.minted_at_milliseconds,
        wraps=wraps,
        heads=body.heads,
    )


def test_an_epoch_minted_beforehand_by_a_thief_is_never_sent_under(realm: FoundedRealm) -> None:
    thief, honest = realm.devices[2], realm.devices[0]
    state = realm.state()
    planted = epoch(state, thief, state.active - {thief.device_id}, SeededEntropy("thief"))
    removed = revoke(state, thief.device_id, realm.owner_seed)
    grown = evaluate(realm.realm_id, [*realm.statements, planted, removed])
    secrets = open_epochs(grown, honest.device_id, honest.seal_secret)
    assert max(secrets, key=lambda secret: secret.n).n == 3, "it opens, so that nothing sent under it is lost"
    assert sending_epoch(grown, secrets) is None


def test_taking_the_realm_back_makes_a_new_epoch_due_though_the_members_stay(realm: FoundedRealm) -> None:
    state = realm.state()
    rotation, _, _ = rotate(state, recovery_seed(), realm.entropy, cut=state.heads)
    grown = evaluate(realm.realm_id, [*realm.statements, rotation])
    assert grown.active == state.active
    assert epoch_is_due(grown, NOW_MILLISECONDS)


def test_concurrent_epochs_are_all_readable_and_all_choose_the_same_one(realm: FoundedRealm) -> None:
    state = realm.state()
    both = [
        mint_epoch(state, keys, entropy=realm.entropy.take(mint_entropy_bytes(3)), now_milliseconds=NOW_MILLISECONDS)
        for keys in realm.devices[:2]
    ]
    grown = evaluate(realm.realm_id, [*realm.statements, *both])
    chosen = {sending_epoch(grown, open_epochs(grown, keys.device_id, keys.seal_secret)) for keys in realm.devices}
    assert len(chosen) == 1
    assert chosen != {None}
    assert {epoch.hash for epoch in grown.epochs} == {
        secret.hash for secret in open_epochs(grown, realm.devices[0].device_id, realm.devices[0].seal_secret)
    } | {grown.epochs[0].hash}


def test_minting_needs_an_active_author_and_the_exact_entropy(realm: FoundedRealm) -> None:
    state = realm.state()
    with pytest.raises(LocalProtocolError):
        mint_epoch(state, realm.devices[0], entropy=bytes(32), now_milliseconds=0)
    realm.revoke(2)
    with pytest.raises(LocalProtocolError):
        mint_epoch(realm.state(), realm.devices[2], entropy=bytes(96), now_milliseconds=0)
    assert sorted(minting_rank(state, keys.device_id) for keys in realm.devices) == [0, 1, 2]

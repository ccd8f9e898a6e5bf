"""A device that knows the code, but is not what it claims: what the newcomer must not believe."""

from collections.abc import Sequence

import pytest

from crdt.identifiers import DeviceId
from sync.crypto import sign_keypair
from sync.errors import RemoteProtocolError
from sync.identifiers import RealmId
from sync.identity import Certificate
from sync.pairing import Joined
from sync.pairing_messages import Admit, Message, Propose, roster_parts
from sync.statements import Add, encode_body, sign_body
from tests.support.pairing_pair import PairingPair, make_pair
from tests.support.realm_factory import FoundedRealm, SeededEntropy, device_keys, found_realm
from tests.support.roster_scenarios import epoch, recovery_seed, revoke, rotate


@pytest.fixture
def pair() -> PairingPair:
    """Both people have been asked, and the newcomer's said yes."""
    ready = make_pair(found_realm(devices=2))
    ready.start()
    ready.newcomer_accepts()
    return ready


def send(
    pair: PairingPair,
    *,
    statements: Sequence[bytes] | None = None,
    certificate: Certificate | None = None,
    owner_seed: bytes | None = None,
    named_owner: bytes | None = None,
    sponsor: DeviceId | None = None,
    label: str = "add",
    realm_id: RealmId | None = None,
) -> None:
    """Send roster and proposal from the sponsor's end of the channel, with whatever part of them a test replaces."""
    realm = pair.realm
    seed = owner_seed or realm.owner_seed
    body = encode_body(
        Add(
            owner_public=named_owner or sign_keypair(seed).public,
            certificate=certificate or pair.newcomer._certificate,
            sponsor=sponsor or realm.devices[0].device_id,
            added_at_milliseconds=1,
            heads=realm.state().heads,
        )
    )
    signature = sign_body(seed, label, realm_id or realm.realm_id, body)
    parts = roster_parts(realm.statements if statements is None else statements)
    messages: list[Message] = [*parts, Propose(body, signature)]
    for message in messages:
        [effect] = pair.sponsor._seal(message)
        pair.newcomer_effects.extend(pair.newcomer.receive(getattr(effect, "frame", b"")))


def test_the_honest_messages_are_countersigned(pair: PairingPair) -> None:
    send(pair)
    assert not pair.newcomer.over


def test_a_proposal_for_another_certificate_is_refused(pair: PairingPair) -> None:
    own = pair.newcomer._certificate
    renamed = Certificate(sign=own.sign, noise=own.noise, seal=own.seal, name="Other", platform=own.platform)
    with pytest.raises(RemoteProtocolError, match="something else"):
        send(pair, certificate=renamed)


def test_a_proposal_that_the_owner_in_force_did_not_sign_is_refused(pair: PairingPair) -> None:
    for replaced in (
        {"owner_seed": bytes([3]) * 32},
        {"owner_seed": bytes([3]) * 32, "named_owner": pair.realm.state().owner_public},
        {"label": "add-device"},
        {"realm_id": RealmId(bytes(32))},
    ):
        fresh = make_pair(pair.realm)
        fresh.start()
        with pytest.raises(RemoteProtocolError):
            send(fresh, **replaced)
        assert fresh.newcomer.over


def test_an_owner_key_that_was_replaced_admits_nobody(pair: PairingPair) -> None:
    state = pair.realm.state()
    rotation, _, _ = rotate(state, recovery_seed(), pair.realm.entropy, cut=state.heads)
    with pytest.raises(RemoteProtocolError, match="owner"):
        send(pair, statements=[*pair.realm.statements, rotation])


def test_a_roster_of_another_realm_or_with_junk_in_it_is_refused(pair: PairingPair) -> None:
    foreign = found_realm(devices=1, seed="foreign").statements
    for statements in (foreign, [], [*pair.realm.statements, b"junk"], [*pair.realm.statements, foreign[1]]):
        fresh = make_pair(pair.realm)
        fresh.start()
        with pytest.raises(RemoteProtocolError):
            send(fresh, statements=statements)


def test_a_sponsor_that_was_revoked_or_never_added_or_names_another_is_refused(pair: PairingPair) -> None:
    realm = pair.realm
    removed = revoke(realm.state(), realm.devices[0].device_id, realm.owner_seed)
    with pytest.raises(RemoteProtocolError, match="does not belong"):
        send(pair, statements=[*realm.statements, removed])
    fresh = make_pair(realm)
    fresh.start()
    with pytest.raises(RemoteProtocolError, match="another sponsor"):
        send(fresh, sponsor=realm.devices[1].device_id)


def test_an_epoch_that_the_newcomer_cannot_send_under_is_refused(pair: PairingPair) -> None:
    realm: FoundedRealm = pair.realm
    state = realm.state()
    without_newcomer = epoch(state, realm.devices[0], state.active, SeededEntropy("old"))
    stranger = device_keys(SeededEntropy("stranger"))
    unsigned = epoch(state, stranger, state.active, SeededEntropy("stranger"))
    for admitted in (without_newcomer, unsigned, realm.statements[-1], b"junk"):
        fresh = make_pair(realm)
        fresh.start()
        fresh.newcomer_accepts()
        send(fresh)
        [effect] = fresh.sponsor._seal(Admit(admitted, ()))
        with pytest.raises(RemoteProtocolError):
            fresh.newcomer.receive(getattr(effect, "frame", b""))
        assert not any(isinstance(effect, Joined) for effect in fresh.newcomer_effects)

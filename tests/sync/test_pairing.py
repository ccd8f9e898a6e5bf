"""Pairing: what two honest sides end up with, and everything that somebody in the middle or a mistake can do."""

from dataclasses import replace

import pytest

from sync.crypto import hash256, sign
from sync.errors import LocalProtocolError, ProtocolError, Rejected, RemoteProtocolError
from sync.identity import Certificate, DeviceKeys
from sync.key_epoch import open_epochs, sending_epoch
from sync.noise import NoiseHandshake
from sync.pairing import (
    Cancelled,
    CancelReason,
    CompareDigits,
    Joined,
    Paired,
    PairingClosed,
    PairingCode,
    PairingWindow,
    StoreStatements,
    make_code,
)
from sync.pairing_messages import (
    PROLOGUE,
    Contribute,
    Introduce,
    comparison_digits,
    decode_message,
    encode_message,
    introduction_message,
)
from sync.roster import evaluate
from tests.support.pairing_pair import PairingPair, make_newcomer, make_pair, make_sponsor
from tests.support.realm_factory import FoundedRealm, device_keys, found_realm
from tests.support.roster_scenarios import revoke


@pytest.fixture
def realm() -> FoundedRealm:
    return found_realm(devices=2)


def complete(pair: PairingPair) -> Joined:
    pair.start()
    pair.newcomer_accepts()
    pair.sponsor_accepts()
    [shown, joined] = pair.newcomer_effects
    assert isinstance(shown, CompareDigits)
    assert isinstance(joined, Joined)
    return joined


def test_a_newcomer_joins_and_both_sides_hold_the_same_roster(realm: FoundedRealm) -> None:
    pair = make_pair(realm)
    joined = complete(pair)
    shown, store, paired = pair.sponsor_effects
    assert isinstance(shown, CompareDigits)
    assert isinstance(store, StoreStatements)
    assert isinstance(paired, Paired)
    assert shown == pair.newcomer_effects[0]
    assert shown.certificate.name == "Grace's tablet"
    assert len(shown.digits) == 6
    assert shown.digits.isdigit()
    assert paired.device_id == pair.newcomer_keys.device_id
    after = evaluate(realm.realm_id, [*realm.statements, *store.statements])
    assert joined.state == after
    assert after.active == {*(keys.device_id for keys in realm.devices), pair.newcomer_keys.device_id}
    assert joined.sponsor.device_id == realm.devices[0].device_id
    assert pair.sponsor.over
    assert pair.newcomer.over


def test_all_active_devices_and_the_newcomer_send_under_the_new_epoch_and_it_reads_no_older_one(
    realm: FoundedRealm,
) -> None:
    before = realm.state()
    pair = make_pair(realm)
    joined = complete(pair)
    for keys in [*realm.devices, pair.newcomer_keys]:
        secrets = open_epochs(joined.state, keys.device_id, keys.seal_secret)
        assert sending_epoch(joined.state, secrets) == joined.epoch
    assert open_epochs(joined.state, pair.newcomer_keys.device_id, pair.newcomer_keys.seal_secret) == [joined.epoch]
    old = open_epochs(before, realm.devices[1].device_id, realm.devices[1].seal_secret)
    assert joined.older_discovery_secrets[0] == old[-1].discovery_secret
    assert not {secret.key for secret in old} & set(joined.older_discovery_secrets)


@pytest.mark.parametrize("newcomer_first", [True, False])
def test_both_people_must_agree_in_either_order(realm: FoundedRealm, newcomer_first: bool) -> None:
    pair = make_pair(realm)
    pair.start()
    (pair.newcomer_accepts if newcomer_first else pair.sponsor_accepts)()
    assert not any(isinstance(effect, StoreStatements | Joined) for effect in pair.sponsor_effects)
    (pair.sponsor_accepts if newcomer_first else pair.newcomer_accepts)()
    assert isinstance(pair.newcomer_effects[-1], Joined)


def test_a_no_on_either_side_adds_nothing_and_tells_the_other(realm: FoundedRealm) -> None:
    pair = make_pair(realm)
    pair.start()
    pair.to_newcomer(pair.sponsor.refuse())
    assert pair.newcomer_effects[-1] == Cancelled(reason=CancelReason.PERSON_REFUSED)
    with pytest.raises(PairingClosed):
        make_sponsor(realm, pair.code, pair.window)
    pair = make_pair(realm)
    pair.start()
    pair.to_sponsor(pair.newcomer.refuse())
    assert pair.sponsor_effects[-1] == Cancelled(reason=CancelReason.PERSON_REFUSED)
    with pytest.raises(LocalProtocolError):
        pair.sponsor_accepts()


def test_a_window_that_closes_before_both_have_answered_is_told_to_the_newcomer(realm: FoundedRealm) -> None:
    pair = make_pair(realm)
    pair.start()
    pair.newcomer_accepts()
    pair.to_newcomer(pair.sponsor.give_up())
    assert pair.newcomer_effects[-1] == Cancelled(reason=CancelReason.WINDOW_CLOSED)
    assert pair.sponsor.over
    assert pair.sponsor.give_up() == []
    early = make_sponsor(realm, pair.code, PairingWindow(opened_at=0.0))
    assert early.give_up() == []


def test_without_the_owner_key_in_force_nobody_is_added(realm: FoundedRealm) -> None:
    pair = make_pair(realm)
    pair.start()
    pair.newcomer_accepts()
    with pytest.raises(LocalProtocolError):
        pair.sponsor_accepts(owner_seed=bytes(32))
    assert not any(isinstance(effect, StoreStatements) for effect in pair.sponsor_effects)


def test_a_wrong_code_gets_no_answer_at_all(realm: FoundedRealm) -> None:
    pair = make_pair(realm)
    stranger = make_newcomer(PairingCode(secret=bytes(16)), realm.entropy)
    with pytest.raises(Rejected):
        pair.to_sponsor(stranger.start())
    assert pair.sponsor_effects == []
    assert pair.sponsor.over


def test_a_scanned_code_names_the_sponsor_and_no_other_device_can_answer(realm: FoundedRealm) -> None:
    pair = make_pair(realm)
    code = make_code(secret=pair.code.secret, sponsor_noise_public=realm.devices[1].public.noise)
    pair.newcomer = make_newcomer(code, realm.entropy)
    with pytest.raises(RemoteProtocolError, match="not the one that showed the code"):
        pair.start()


def relay(realm: FoundedRealm) -> tuple[CompareDigits, CompareDigits]:
    """Stand in the middle with the code, newcomer to one and sponsor to the other; return what both show."""
    pair = make_pair(realm)
    pair.newcomer = make_newcomer(PairingCode(secret=pair.code.secret), realm.entropy, pair.newcomer_keys)
    middle_realm = found_realm(devices=1, seed="middle")
    there = make_sponsor(middle_realm, pair.code, PairingWindow(opened_at=0.0))
    here = make_newcomer(pair.code, realm.entropy)
    victim = replace(pair, sponsor=there, sponsor_effects=[], newcomer_effects=[])
    attacker = replace(pair, newcomer=here, sponsor_effects=[], newcomer_effects=[])
    victim.start()
    attacker.start()
    shown_by_newcomer, shown_by_sponsor = victim.newcomer_effects[0], attacker.sponsor_effects[0]
    assert isinstance(shown_by_newcomer, CompareDigits)
    assert isinstance(shown_by_sponsor, CompareDigits)
    return shown_by_newcomer, shown_by_sponsor


def test_somebody_in_the_middle_who_knows_the_code_makes_the_digits_differ(realm: FoundedRealm) -> None:
    shown_by_newcomer, shown_by_sponsor = relay(realm)
    assert shown_by_newcomer.digits != shown_by_sponsor.digits


def test_the_digits_depend_on_all_that_was_agreed(realm: FoundedRealm) -> None:
    certificate = make_pair(realm).newcomer._certificate
    renamed = Certificate(
        sign=certificate.sign, noise=certificate.noise, seal=certificate.seal, name="Other", platform="linux"
    )
    one, two = bytes([1]) * 32, bytes([2]) * 32
    variants = [
        comparison_digits(b"h" * 64, sponsor_nonce=one, newcomer_nonce=two, certificate=certificate),
        comparison_digits(b"i" * 64, sponsor_nonce=one, newcomer_nonce=two, certificate=certificate),
        comparison_digits(b"h" * 64, sponsor_nonce=two, newcomer_nonce=two, certificate=certificate),
        comparison_digits(b"h" * 64, sponsor_nonce=one, newcomer_nonce=one, certificate=certificate),
        comparison_digits(b"h" * 64, sponsor_nonce=one, newcomer_nonce=two, certificate=renamed),
    ]
    assert len(set(variants)) == len(variants)


def test_a_commitment_opened_with_another_number_ends_the_pairing(realm: FoundedRealm) -> None:
    pair = make_pair(realm)

    def swap_nonce_after_commit(sender: str, frame: bytes) -> bytes:
        if sender == "sponsor" and pair.frames == 5:
            pair.sponsor._nonce = hash256(frame, person=b"test")
        return frame

    pair.hook = swap_nonce_after_commit
    with pytest.raises(RemoteProtocolError, match="commitment"):
        pair.start()
    assert pair.newcomer_effects == []


class RawNewcomer:
    """A newcomer that knows the code and says in the channel whatever a test wants."""

    def __init__(self, pair: PairingPair, keys: DeviceKeys) -> None:
        self.pair, self.keys = pair, keys
        self.noise = NoiseHandshake(
            initiator=True,
            static_secret=keys.noise_secret,
            ephemeral_secret=pair.realm.entropy.take(32),
            psk=pair.code.psk,
            prologue=PROLOGUE,
        )
        [answer] = self.send(self.noise.write_message())
        self.noise.read_message(answer)
        self.send(self.noise.write_message())
        self.transport = self.noise.split()

    def send(self, frame: bytes) -> list[bytes]:
        effects = self.pair.sponsor.receive(frame, now=0.0, now_milliseconds=0)
        return [getattr(effect, "frame", b"") for effect in effects]

    def introduce(self, certificate: Certificate, signer: DeviceKeys, channel: bytes | None = None) -> None:
        message = introduction_message(self.pair.realm.realm_id, channel or self.noise.handshake_hash, certificate)
        introduce = Introduce(certificate, sign(signer.sign_seed, message))
        self.send(self.transport.encrypt(encode_message(introduce)))


def certificate_of(keys: DeviceKeys, name: str = "tablet") -> Certificate:
    public = keys.public
    return Certificate(sign=public.sign, noise=public.noise, seal=public.seal, name=name, platform="linux")


def test_an_introduction_must_fit_the_handshake(realm: FoundedRealm) -> None:
    keys, other = device_keys(realm.entropy), device_keys(realm.entropy)
    mixed = Certificate(
        sign=keys.public.sign, noise=other.public.noise, seal=keys.public.seal, name="tablet", platform="linux"
    )
    attempts: list[tuple[Certificate, DeviceKeys, bytes | None]] = [
        (certificate_of(other), other, None),
        (mixed, keys, None),
        (certificate_of(keys), other, None),
        (certificate_of(keys), keys, b"another channel"),
        (certificate_of(keys, "line\nbreak"), keys, None),
        (certificate_of(keys, "right\u202eleft"), keys, None),
        (certificate_of(keys, "x" * 10_000), keys, None),
    ]
    for certificate, signer, channel in attempts:
        pair = make_pair(realm)
        with pytest.raises(RemoteProtocolError):
            RawNewcomer(pair, keys).introduce(certificate, signer, channel)
        assert pair.sponsor.over
        assert pair.sponsor_effects == []
    RawNewcomer(make_pair(realm), keys).introduce(certificate_of(keys), keys)


def test_messages_out_of_turn_end_the_pairing(realm: FoundedRealm) -> None:
    pair = make_pair(realm)
    raw = RawNewcomer(pair, device_keys(realm.entropy))
    with pytest.raises(RemoteProtocolError):
        raw.send(raw.transport.encrypt(encode_message(Contribute(bytes(32)))))
    with pytest.raises(RemoteProtocolError):
        raw.send(raw.transport.encrypt(encode_message(Contribute(bytes(32)))))


def test_a_removed_device_cannot_pair_again_with_its_old_keys(realm: FoundedRealm) -> None:
    removed = realm.devices[1]
    realm.statements.append(revoke(realm.state(), removed.device_id, realm.owner_seed))
    pair = make_pair(realm, keys=removed)
    with pytest.raises(RemoteProtocolError, match="removed"):
        pair.start()


def test_an_interrupted_newcomer_pairs_again_with_the_same_keys(realm: FoundedRealm) -> None:
    first = make_pair(realm)
    complete(first)
    stored = first.sponsor_effects[1]
    assert isinstance(stored, StoreStatements)
    realm.statements.extend(stored.statements)
    joined = complete(make_pair(realm, keys=first.newcomer_keys))
    assert first.newcomer_keys.device_id in joined.state.active
    assert len(joined.state.active) == 3


def test_every_flipped_byte_of_every_frame_ends_the_pairing_without_a_new_member(realm: FoundedRealm) -> None:
    honest = make_pair(realm)
    complete(honest)
    for target in range(1, honest.frames):
        for position in (0, -1):
            pair = make_pair(realm)

            def flip(sender: str, frame: bytes, pair: PairingPair = pair, at: int = target, p: int = position) -> bytes:
                flipped = bytearray(frame)
                flipped[p] ^= 1
                return bytes(flipped) if pair.frames == at else frame

            pair.hook = flip
            with pytest.raises(ProtocolError):
                complete(pair)
            assert not any(isinstance(effect, Joined | Paired) for effect in pair.newcomer_effects)


def test_pairing_messages_that_are_not_canonical_are_refused() -> None:
    raw = encode_message(Contribute(bytes(32)))
    assert decode_message(raw) == Contribute(bytes(32))
    for broken in (raw + b"\0", raw[:-1], b"", b"\xc1", b"\x92\xcc\x03" + raw[2:], b"\x92\x63" + raw[2:]):
        with pytest.raises(RemoteProtocolError):
            decode_message(broken)

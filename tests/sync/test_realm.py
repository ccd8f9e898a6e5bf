"""Founding a realm, and the code that can take it back."""

import pytest

from sync.crockford import MalformedCode
from sync.crypto import sign_keypair, x25519_keypair
from sync.errors import LocalProtocolError
from sync.identity import UnusableName
from sync.key_epoch import open_epochs, sending_epoch
from sync.realm import CreatedRealm, create_realm, root_keys, spell_recovery_code
from tests.support.realm_factory import SeededEntropy, device_keys

KEYS = device_keys(SeededEntropy("first device"))


def create(name: str = "Ada's laptop") -> CreatedRealm:
    return create_realm(
        keys=KEYS,
        name=name,
        platform="linux",
        owner_seed=bytes([1]) * 32,
        recovery_secret=bytes(range(20)),
        recovery_salt=bytes([2]) * 16,
        epoch_entropy=bytes(range(64)),
        now_milliseconds=5,
    )


def test_a_new_realm_has_one_device_that_can_send() -> None:
    realm = create()
    assert realm.state.active == {KEYS.device_id}
    assert realm.state.certificate_by_device[KEYS.device_id] == realm.certificate
    assert realm.state.genesis_raw == realm.genesis_raw
    assert not realm.state.ignored
    secrets = open_epochs(realm.state, KEYS.device_id, KEYS.seal_secret)
    assert sending_epoch(realm.state, secrets) is not None
    assert realm.recovery_code not in repr(realm)
    with pytest.raises(UnusableName):
        create(name="bad\nname")


def test_the_recovery_code_alone_gives_back_the_root_keys() -> None:
    realm = create()
    keys = realm.state.authority.keys
    root = root_keys(realm.recovery_code.lower().replace("-", " "), keys.recovery_salt)
    assert sign_keypair(root.sign_seed).public == keys.root_public
    assert x25519_keypair(root.seal_secret).public == keys.root_seal_public
    other = root_keys(spell_recovery_code(bytes(20)), keys.recovery_salt)
    assert sign_keypair(other.sign_seed).public != keys.root_public


def test_a_recovery_code_has_eight_groups_and_check_characters_that_notice_mistakes() -> None:
    code = spell_recovery_code(bytes(range(20)))
    assert [len(group) for group in code.split("-")] == [5] * 8
    for position, character in enumerate(code):
        if character != "-":
            mistyped = code[:position] + ("7" if character != "7" else "8") + code[position + 1 :]
            with pytest.raises(MalformedCode):
                root_keys(mistyped, bytes(16))
    with pytest.raises(LocalProtocolError):
        spell_recovery_code(bytes(19))

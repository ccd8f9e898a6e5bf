"""The names on the local network: members recognise each other, strangers and former members learn nothing."""

from hashlib import blake2b

from sync.discovery_names import DAY_MILLISECONDS, day_of, device_name, expected_names, greeting_secrets, shown_names
from sync.limits import DISCOVERY_SECRETS_MAX
from tests.support.realm_factory import FoundedRealm, found_realm

NOW = 20_000 * DAY_MILLISECONDS + 1


def recognised(realm: FoundedRealm, shown: tuple[str, ...], by: int, now: int = NOW) -> set[int]:
    """Return which devices one device recognises behind names."""
    expected = expected_names(realm.membership(by), (), now)
    number_by_device = {keys.device_id: number for number, keys in enumerate(realm.devices)}
    return {number_by_device[expected[name]] for name in shown if name in expected}


def test_a_name_is_a_keyed_hash_of_day_and_device_and_nothing_else() -> None:
    realm = found_realm(devices=2)
    secret, device_id = bytes(range(32)), realm.devices[0].device_id
    context = b"\x00\x00\x00\x04" + (20_000).to_bytes(4, "big") + b"\x00\x00\x00\x20" + device_id
    digest = blake2b(
        len(context).to_bytes(4, "big") + context, digest_size=32, key=secret, person=b"mdns".ljust(16, b"\0")
    )
    assert device_name(secret, 20_000, device_id) == digest.digest()[:8].hex()


def test_members_recognise_each_other_and_nobody_recognises_itself() -> None:
    realm = found_realm(devices=3)
    for shower in range(3):
        shown = shown_names(realm.membership(shower), NOW)
        for reader in range(3):
            assert recognised(realm, shown, reader) == ({shower} if reader != shower else set())


def test_each_device_shows_as_many_names_however_many_secrets_it_holds() -> None:
    realm = found_realm(devices=2)
    counts = []
    for _ in range(5):
        counts.append(len(set(shown_names(realm.membership(0), NOW))))
        realm.mint(0)
    assert counts == [DISCOVERY_SECRETS_MAX] * 5


def test_names_are_others_tomorrow_and_yesterdays_are_still_understood() -> None:
    realm = found_realm(devices=2)
    today, tomorrow, in_two_days = (
        shown_names(realm.membership(0), NOW + days * DAY_MILLISECONDS) for days in range(3)
    )
    assert not {*today} & {*tomorrow}
    assert recognised(realm, tomorrow, 1) == {0}
    assert recognised(realm, today, 1, NOW + DAY_MILLISECONDS) == {0}
    assert recognised(realm, in_two_days, 1) == set()


def test_a_stranger_and_another_realm_recognise_nothing() -> None:
    realm, other = found_realm(devices=2, seed="one"), found_realm(devices=2, seed="other")
    shown = shown_names(realm.membership(0), NOW)
    assert not {*shown} & {*expected_names(other.membership(0), (), NOW)}


def test_a_device_that_was_away_is_found_by_the_older_secret_that_it_still_shows() -> None:
    realm = found_realm(devices=2)
    away = list(realm.statements)
    realm.mint(0)
    shown = shown_names(realm.membership(1, away), NOW)
    expected = expected_names(realm.membership(0), (), NOW)
    assert realm.devices[1].device_id in {expected.get(name) for name in shown}


def test_a_newcomer_recognises_a_device_that_has_not_heard_of_it_by_what_it_was_given() -> None:
    realm = found_realm(devices=2)
    unaware, older = list(realm.statements), realm.membership(1).discovery_secrets()
    realm.add_device()
    realm.mint(0)
    shown = shown_names(realm.membership(1, unaware), NOW)
    newcomer = realm.membership(2)
    assert not {*shown} & {*expected_names(newcomer, (), NOW)}
    assert {*shown} & {*expected_names(newcomer, older, NOW)}
    assert len(greeting_secrets(newcomer, older)) <= DISCOVERY_SECRETS_MAX


def test_a_revoked_device_recognises_nobody_once_the_revocation_is_known() -> None:
    realm = found_realm(devices=3)
    before = list(realm.statements)
    stolen = expected_names(realm.membership(2, before), (), NOW)
    assert {*shown_names(realm.membership(0), NOW)} & {*stolen}
    realm.revoke(2)
    assert not {*shown_names(realm.membership(0), NOW)} & {*stolen}
    realm.mint(0)
    assert not {*shown_names(realm.membership(0), NOW)} & {*stolen}
    assert recognised(realm, shown_names(realm.membership(0), NOW), 1) == {0}
    assert realm.devices[2].device_id not in set(expected_names(realm.membership(0), (), NOW).values())


def test_a_clock_before_1970_names_day_zero() -> None:
    realm = found_realm(devices=2)
    assert day_of(-5) == 0
    assert recognised(realm, shown_names(realm.membership(0), -5), 1, 0) == {0}

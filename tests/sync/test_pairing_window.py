"""A code is used once, within five minutes, by one device."""

import pytest

from sync.errors import Rejected
from sync.pairing import PairingClosed, PairingCode, PairingWindow
from sync.pairing_window import CONFIRMATION_SECONDS, WINDOW_SECONDS
from tests.support.pairing_pair import make_newcomer, make_pair, make_sponsor
from tests.support.realm_factory import found_realm


def test_the_window_closes_after_five_minutes() -> None:
    window = PairingWindow(opened_at=100.0)
    window.check_open(100.0 + WINDOW_SECONDS - 0.1)
    with pytest.raises(PairingClosed, match="time"):
        window.check_open(100.0 + WINDOW_SECONDS)
    with pytest.raises(PairingClosed):
        window.check_open(100.0)


def test_a_pairing_begun_in_time_may_be_confirmed_a_little_later() -> None:
    window = PairingWindow(opened_at=0.0)
    window.claim(WINDOW_SECONDS - 1)
    window.check_going_on(WINDOW_SECONDS + 100)
    with pytest.raises(PairingClosed):
        window.check_going_on(WINDOW_SECONDS - 1 + CONFIRMATION_SECONDS)


def test_three_wrong_codes_close_the_window_for_the_right_one() -> None:
    realm = found_realm(devices=1)
    pair = make_pair(realm)
    for _ in range(3):
        sponsor = make_sponsor(realm, pair.code, pair.window)
        [call] = make_newcomer(PairingCode(secret=bytes(16)), realm.entropy).start()
        with pytest.raises(Rejected):
            sponsor.receive(getattr(call, "frame", b""), now=0.0, now_milliseconds=0)
    with pytest.raises(PairingClosed, match="wrong code"):
        make_sponsor(realm, pair.code, pair.window)
    with pytest.raises(PairingClosed):
        pair.start()


def test_a_used_code_takes_nobody_else() -> None:
    realm = found_realm(devices=1)
    pair = make_pair(realm)
    pair.start()
    with pytest.raises(PairingClosed, match="already used"):
        make_sponsor(realm, pair.code, pair.window)


def test_two_devices_racing_for_one_code_both_lose() -> None:
    window = PairingWindow(opened_at=0.0)
    window.claim(1.0)
    with pytest.raises(PairingClosed, match="Two devices"):
        window.claim(1.0)
    with pytest.raises(PairingClosed, match="Two devices"):
        window.check_going_on(2.0)

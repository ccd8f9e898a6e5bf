"""Whom a device calls where, and when: the plan alone, on a clock that the test turns."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdt.identifiers import DeviceId
from node.discovery.call_plan import (
    CALLS_TO_ONE_DEVICE_MAX,
    REMEMBERED_REST_SECONDS_MAX,
    REST_SECONDS_MAX,
    REST_SECONDS_MIN,
    SIGHTED_ADDRESSES_MAX,
    STAGGER_SECONDS,
    TRIAL_SECONDS,
    TRIALS_AT_ONCE_MAX,
    YIELD_SECONDS,
    CallPlan,
    Outcome,
    rest_seconds,
)
from node.transport.address import Address

LOW, MIDDLE, HIGH = (DeviceId(bytes([number]) * 32) for number in (1, 2, 3))
HOME, OFFICE, CABLE = (Address(f"10.0.{net}.7", 4711) for net in range(3))
ELSEWHERE = [Address(f"10.9.{number // 250}.{number % 250 + 1}", 4000) for number in range(1000)]


@dataclass
class Caller:
    """A device of the middle id, and a clock that jumps from call to call."""

    plan: CallPlan = field(default_factory=lambda: CallPlan(MIDDLE))
    now: float = 100.0
    calls: list[tuple[float, Address]] = field(default_factory=list)

    def run(self, seconds: float, outcome: Outcome = Outcome.UNREACHABLE) -> list[tuple[float, Address]]:
        """Let time pass; every call that becomes due ends at once, and so. Return what was called when."""
        until, before = self.now + seconds, len(self.calls)
        while True:
            for address in self.plan.due(self.now):
                self.calls.append((self.now, address))
                self.plan.ended(address, outcome, None, self.now, 1.0)
            following = self.plan.next_seconds(self.now)
            if following is None or following > until:
                self.now = until
                return self.calls[before:]
            assert len(self.calls) < 100_000, "the plan spins"
            self.now = following


def test_an_address_that_the_person_named_is_called_at_once_and_again_for_ever() -> None:
    caller = Caller()
    caller.plan.configure(HOME, caller.now)
    calls = caller.run(3600)
    assert calls[0] == (100.0, HOME)
    assert len(calls) > 50
    assert calls[-1][0] - calls[-2][0] == REST_SECONDS_MAX


def test_pauses_double_up_to_a_minute_and_are_shortened_by_up_to_half_at_random() -> None:
    for failures in range(100):
        longest = min(REST_SECONDS_MAX, REST_SECONDS_MIN * 2**failures)
        assert rest_seconds(failures, 1.0) == longest
        assert rest_seconds(failures, 0.0) == longest / 2


def test_a_device_that_is_connected_is_not_called_and_one_that_is_lost_is_called_at_once() -> None:
    caller = Caller()
    caller.plan.remember(HIGH, HOME, caller.now)
    assert caller.plan.due(caller.now) == [HOME]
    caller.plan.connected(HIGH, HOME)
    assert caller.plan.next_seconds(caller.now) is None
    caller.now += 3600
    caller.plan.disconnected(HIGH, caller.now, steady=True)
    assert caller.plan.due(caller.now) == [HOME]


def test_a_session_that_fails_at_once_is_not_begun_in_a_circle() -> None:
    caller = Caller()
    caller.plan.remember(HIGH, HOME, caller.now)
    calls = 0
    while caller.now < 100 + 600:
        calls += len(caller.plan.due(caller.now))
        caller.plan.connected(HIGH, HOME)
        caller.plan.disconnected(HIGH, caller.now, steady=False)
        caller.plan.ended(HOME, Outcome.BRIEF, HIGH, caller.now, 1.0)
        following = caller.plan.next_seconds(caller.now)
        assert following is not None
        caller.now = following
    assert calls < 20


def test_remembered_addresses_come_before_sighted_ones_and_the_next_follows_without_waiting_for_the_first() -> None:
    caller = Caller()
    caller.plan.sight(HIGH, "eth0", [OFFICE], caller.now)
    caller.plan.remember(HIGH, HOME, caller.now)
    assert caller.plan.due(caller.now) == [HOME]
    assert caller.plan.due(caller.now + STAGGER_SECONDS) == [OFFICE]


def test_one_device_is_called_at_few_places_at_once() -> None:
    caller = Caller()
    for address in (HOME, OFFICE, CABLE):
        caller.plan.remember(HIGH, address, caller.now)
    begun = [address for step in range(100) for address in caller.plan.due(caller.now + step)]
    assert len(begun) == CALLS_TO_ONE_DEVICE_MAX


def test_the_lower_id_calls_first_and_the_higher_one_only_if_nothing_came_of_it() -> None:
    caller = Caller()
    caller.plan.sight(HIGH, "eth0", [HOME], caller.now)
    assert caller.plan.due(caller.now) == [HOME]
    caller.plan.sight(LOW, "eth0", [OFFICE], caller.now)
    assert caller.plan.due(caller.now) == []
    assert caller.plan.due(caller.now + YIELD_SECONDS) == [OFFICE]


def test_what_the_person_named_is_known_to_this_end_alone_so_it_yields_to_nobody() -> None:
    caller = Caller()
    caller.plan.configure(HOME, caller.now)
    caller.plan.due(caller.now)
    caller.plan.connected(LOW, HOME)
    caller.now += 60
    caller.plan.disconnected(LOW, caller.now, steady=True)
    assert caller.plan.due(caller.now) == [HOME]


def test_calls_that_a_session_made_needless_are_named_so_that_they_end() -> None:
    caller = Caller()
    caller.plan.remember(HIGH, HOME, caller.now)
    caller.plan.remember(HIGH, OFFICE, caller.now)
    caller.plan.due(caller.now)
    caller.plan.due(caller.now + STAGGER_SECONDS)
    assert caller.plan.connected(HIGH, OFFICE) == [HOME]


def test_a_thousand_forged_records_cost_a_bounded_number_of_calls_and_of_addresses() -> None:
    caller = Caller()
    for number, address in enumerate(ELSEWHERE):
        caller.plan.sight(HIGH, f"eth{number}", [address], caller.now)
        caller.run(0.06)
    assert len(caller.plan.addresses()) <= SIGHTED_ADDRESSES_MAX
    assert len(caller.calls) <= TRIALS_AT_ONCE_MAX + 60 / TRIAL_SECONDS + 1


def test_a_bottomless_allowance_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.discovery.call_plan._Trials.take", lambda *_: None)
    with pytest.raises(AssertionError):
        test_a_thousand_forged_records_cost_a_bounded_number_of_calls_and_of_addresses()


def test_a_place_where_a_device_was_once_is_called_less_and_less_often() -> None:
    caller = Caller()
    caller.plan.remember(HIGH, HOME, caller.now)
    calls = caller.run(24 * 3600)
    assert calls[-1][0] - calls[-2][0] == REMEMBERED_REST_SECONDS_MAX
    assert len(calls) < 320


def test_forged_records_do_not_keep_a_device_from_being_called_where_it_was_met() -> None:
    caller = Caller()
    for number, address in enumerate(ELSEWHERE):
        caller.plan.sight(HIGH, f"eth{number}", [address], caller.now)
    caller.run(60)
    caller.plan.remember(HIGH, HOME, caller.now)
    assert HOME in [address for _, address in caller.run(1)]


def test_a_sighting_takes_the_place_of_what_the_same_interface_said_before() -> None:
    caller = Caller()
    caller.plan.sight(HIGH, "eth0", [HOME], caller.now)
    caller.plan.sight(HIGH, "wlan0", [HOME, CABLE], caller.now)
    caller.plan.sight(HIGH, "eth0", [OFFICE], caller.now)
    assert set(caller.plan.addresses()) == {HOME, CABLE, OFFICE}
    caller.plan.forget_source("wlan0")
    assert set(caller.plan.addresses()) == {OFFICE}
    caller.plan.withdraw(HIGH, "eth0")
    assert caller.plan.addresses() == []


def test_a_sighted_address_where_nobody_is_is_forgotten_and_a_remembered_one_is_not() -> None:
    caller = Caller()
    caller.plan.sight(HIGH, "eth0", [OFFICE], caller.now)
    caller.plan.remember(HIGH, HOME, caller.now)
    caller.run(600)
    assert caller.plan.addresses() == [HOME]


def test_a_device_that_announces_itself_again_is_called_within_a_second_although_it_failed_often() -> None:
    caller = Caller()
    caller.plan.remember(HIGH, HOME, caller.now)
    caller.run(600)
    caller.plan.sight(HIGH, "eth0", [HOME], caller.now)
    assert caller.run(1.0) == [(caller.now, HOME)]


def test_a_device_that_announces_itself_where_the_person_said_is_called_there_within_a_second() -> None:
    caller = Caller()
    caller.plan.configure(HOME, caller.now)
    caller.run(3600)
    caller.plan.sight(HIGH, "eth0", [HOME], caller.now)
    assert [address for _, address in caller.run(1.0)] == [HOME]


def test_a_changed_network_ends_every_rest() -> None:
    caller = Caller()
    caller.plan.configure(HOME, caller.now)
    caller.plan.remember(HIGH, OFFICE, caller.now)
    caller.run(3600)
    caller.plan.network_changed(caller.now)
    assert set(caller.plan.due(caller.now)) == {HOME, OFFICE}


def test_a_connection_in_doubt_is_called_beside_where_it_was_met_until_it_is_replaced() -> None:
    caller = Caller()
    caller.plan.remember(HIGH, HOME, caller.now)
    caller.plan.due(caller.now)
    caller.plan.connected(HIGH, HOME)
    caller.plan.doubt(HIGH, caller.now)
    assert caller.plan.due(caller.now) == [HOME]
    caller.plan.connected(HIGH, HOME)
    assert caller.plan.next_seconds(caller.now) is None
    # The end of the first session is told late; the second one is not affected by it.
    caller.plan.ended(HOME, Outcome.MET, HIGH, caller.now, 1.0)
    assert caller.plan.next_seconds(caller.now) is None


def test_a_revoked_device_is_called_nowhere() -> None:
    caller = Caller()
    caller.plan.remember(HIGH, HOME, caller.now)
    caller.plan.sight(HIGH, "eth0", [OFFICE], caller.now)
    caller.plan.keep_only([MIDDLE, LOW])
    assert caller.plan.addresses() == []


def test_an_own_address_is_not_called_again_although_it_is_sighted() -> None:
    caller = Caller()
    caller.plan.sight(HIGH, "eth0", [HOME], caller.now)
    caller.run(1, Outcome.OURSELVES)
    caller.plan.sight(HIGH, "eth0", [HOME], caller.now)
    assert caller.plan.addresses() == []


ADDRESSES = [HOME, OFFICE, CABLE, *ELSEWHERE[:6]]
DEVICES = (LOW, HIGH)
DEVICE = st.integers(0, 1)
STEP = st.one_of(
    st.tuples(st.just("sight"), DEVICE, st.sampled_from(ADDRESSES), st.sampled_from("ab")),
    st.tuples(st.just("withdraw"), DEVICE, st.sampled_from("ab")),
    st.tuples(st.just("remember"), DEVICE, st.sampled_from(ADDRESSES)),
    st.tuples(st.just("configure"), st.sampled_from(ADDRESSES)),
    st.tuples(st.just("connect"), DEVICE),
    st.tuples(st.just("disconnect"), DEVICE, st.booleans()),
    st.tuples(st.just("doubt"), DEVICE),
    st.tuples(st.just("network")),
    st.tuples(st.just("pass"), st.floats(0, 100)),
    st.tuples(st.just("end"), st.integers(0, 5), st.sampled_from(list(Outcome)[2:]), DEVICE),
)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.lists(STEP, max_size=40))
def test_whatever_happens_a_plan_calls_nobody_twice_never_spins_and_calls_every_absent_device_it_can(
    steps: list[tuple[object, ...]],
) -> None:
    plan, now, calling, connected = CallPlan(MIDDLE), 0.0, list[Address](), set[DeviceId]()
    for step in steps:
        match step:
            case ("sight", int() as device, Address() as address, str() as source):
                plan.sight(DEVICES[device], source, [address], now)
            case ("withdraw", int() as device, str() as source):
                plan.withdraw(DEVICES[device], source)
            case ("remember", int() as device, Address() as address):
                plan.remember(DEVICES[device], address, now)
            case ("configure", Address() as address):
                plan.configure(address, now)
            case ("connect", int() as device):
                plan.connected(DEVICES[device], None)
                connected.add(DEVICES[device])
            case ("disconnect", int() as device, bool() as steady):
                plan.disconnected(DEVICES[device], now, steady=steady)
                connected.discard(DEVICES[device])
            case ("doubt", int() as device):
                plan.doubt(DEVICES[device], now)
            case ("network",):
                plan.network_changed(now)
            case ("pass", float() as seconds):
                now += seconds
            case ("end", int() as which, Outcome() as outcome, int() as device) if calling:
                met = DEVICES[device] if outcome is Outcome.NEEDLESS else None
                plan.ended(calling.pop(which % len(calling)), outcome, met, now, 0.5)
        begun = plan.due(now)
        assert len({*begun, *calling}) == len(begun) + len(calling)
        calling += begun
        assert plan.due(now) == []
        following = plan.next_seconds(now)
        assert following is None or following > now
    for address in calling:
        plan.ended(address, Outcome.UNREACHABLE, None, now, 0.5)
    for absent in (LOW, HIGH):
        if absent not in connected and plan.met_addresses(absent):
            assert plan.next_seconds(now) is not None

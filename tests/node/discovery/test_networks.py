"""Interfaces, the addresses worth a call, and noticing that the network changed or the machine slept."""

import asyncio
import subprocess
from ipaddress import IPv4Interface, IPv6Interface

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.clock import SystemClock
from node.discovery.interfaces import Interface, hosts_of, interfaces, is_on_link
from node.discovery.network_watch import SLEPT_SECONDS, Look, NetworkWatch, SleepDetector
from node.transport.address import Address, plain_host

WIRE = Interface(
    name="eth0",
    index=2,
    addresses=(IPv4Interface("192.168.1.7/24"), IPv6Interface("fd00::7/64"), IPv6Interface("fe80::7/64")),
    loopback=False,
    multicast=True,
)
RADIO = Interface(name="wlan0", index=3, addresses=(IPv4Interface("10.0.0.7/8"),), loopback=False, multicast=True)


@pytest.mark.parametrize("host", ["192.168.1.20", "10.200.3.4", "fd00::20", "fe80::20%2", "fe80::20%eth0"])
def test_a_neighbour_is_worth_a_call(host: str) -> None:
    assert is_on_link(Address(host, 4711), [WIRE, RADIO])


@pytest.mark.parametrize(
    "host",
    ["8.8.8.8", "192.168.2.20", "2001:db8::1", "fe80::20", "fe80::20%3", "fe80::20%wlan0", "224.0.0.251", "ff02::fb",
     "0.0.0.0", "::",  # noqa: S104
     "127.0.0.1", "example.org", ""],
)  # fmt: skip
def test_an_address_that_no_neighbour_can_have_is_not(host: str) -> None:
    assert not is_on_link(Address(host, 4711), [WIRE, RADIO])


def test_a_port_of_zero_is_none() -> None:
    assert not is_on_link(Address("192.168.1.20", 0), [WIRE])


def test_the_hosts_of_interfaces_are_bare_addresses() -> None:
    assert hosts_of([WIRE, RADIO]) == {"192.168.1.7", "fd00::7", "fe80::7", "10.0.0.7"}


@pytest.mark.parametrize(
    ("host", "plain"),
    [("::ffff:10.0.0.7", "10.0.0.7"), ("FE80:0::7%eth0", "fe80::7%eth0"), ("10.0.0.7", "10.0.0.7"), ("desk", "desk")],
)
def test_one_address_has_one_spelling(host: str, plain: str) -> None:
    assert plain_host(host) == plain


def test_this_machine_has_interfaces_and_each_has_an_address() -> None:
    found = interfaces()
    assert any(one.loopback and "127.0.0.1" in one.hosts for one in found)
    assert all(one.addresses for one in found)


@given(st.lists(st.floats(0.1, 60.0), max_size=20), st.floats(-1.0, 1.0))
@settings(derandomize=True)
def test_clocks_that_run_alike_are_no_sleep(steps: list[float], drift: float) -> None:
    asleep, steady, wall = SleepDetector(60.0), 50.0, 1_700_000_000_000.0
    for step in steps:
        assert not asleep.look(steady, int(wall))
        steady += step
        wall += (step + drift) * 1000


@given(st.floats(SLEPT_SECONDS + 1, 1e6))
@settings(derandomize=True)
def test_a_monotonic_clock_that_stood_still_is_sleep_and_so_is_a_look_that_came_late(slept: float) -> None:
    standing, late = SleepDetector(2.0), SleepDetector(2.0)
    standing.look(50.0, 0)
    late.look(50.0, 0)
    assert standing.look(52.0, int((2.0 + slept) * 1000))
    assert late.look(52.0 + slept, int((2.0 + slept) * 1000))
    assert not standing.look(54.0, int((4.0 + slept) * 1000))


def test_a_wall_clock_that_is_set_by_hours_counts_as_sleep_in_both_directions() -> None:
    asleep = SleepDetector(2.0)
    asleep.look(50.0, 10_000_000)
    assert asleep.look(52.0, 1_000)
    assert asleep.look(54.0, 10_000_000)


class Sleeper(SystemClock):
    """A wall clock that goes on while the monotonic one stands still."""

    slept_milliseconds = 0

    def now_milliseconds(self) -> int:
        return super().now_milliseconds() + self.slept_milliseconds


async def test_a_machine_that_slept_tells_so_within_one_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.discovery.network_watch.TOLD_SECONDS", 0.05)
    monkeypatch.setattr("node.discovery.network_watch.POLL_SECONDS", 0.05)
    clock, looks = Sleeper(), asyncio.Queue[Look]()
    watch = NetworkWatch(clock, lambda _present, look: looks.put_nowait(look))
    task = asyncio.create_task(watch.run())
    await asyncio.sleep(0)  # the first look
    clock.slept_milliseconds = 3_600_000
    while await asyncio.wait_for(looks.get(), 5) is not Look.WOKE:
        pass
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_a_look_at_the_interfaces_needs_no_other_program(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise AssertionError("a program was started")

    monkeypatch.setattr(subprocess, "Popen", refused)
    assert interfaces()

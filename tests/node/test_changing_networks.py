"""Connections that hang, networks that change, and the last write before silence: real nodes over loopback."""

import asyncio
from pathlib import Path
from random import Random

import pytest

from node.doubts import LEFT_NETWORK, PROBE_SECONDS, QUIET_SECONDS
from node.transport.link import SILENT
from node.transport.liveness import ANSWER_SECONDS, HEARTBEAT_SECONDS
from tests.support.hanging_cable import hanging_cable
from tests.support.nodes import Node, SteppedClock, live_realm, make_node, running, until

HERE = frozenset({"127.0.0.1"})


async def test_a_connection_that_hangs_is_given_up_when_a_ping_is_not_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.runtime.TICK_SECONDS", 0.01)
    realm, clock = live_realm(2), SteppedClock()
    first, second = make_node(realm, 0, tmp_path), make_node(realm, 1, tmp_path, clock=clock)
    async with running(first, second), hanging_cable(first.runtime.listen_address) as cable:
        second.runtime.dial(cable.address)
        await until(second.in_sync_with_all)
        cable.hang()
        cable.silence(on=True)
        clock.ahead_seconds += HEARTBEAT_SECONDS + 1
        link = second.runtime._link_by_device[first.keys.device_id]
        await until(link.is_silent)
        assert second.runtime.peers()[0].connected
        clock.ahead_seconds += ANSWER_SECONDS + 1
        await until(lambda: not second.runtime.peers()[0].connected)
        assert SILENT in second.why(first)


async def test_a_quiet_connection_that_answers_is_kept_for_hours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.runtime.TICK_SECONDS", 0.01)
    realm, clock = live_realm(2), SteppedClock()
    first, second = make_node(realm, 0, tmp_path), make_node(realm, 1, tmp_path, clock=clock)
    async with running(first, second):
        second.runtime.dial(first.runtime.listen_address)
        await until(second.in_sync_with_all)
        link = second.runtime._link_by_device[first.keys.device_id]
        for _ in range(50):
            asked = link._liveness._asked
            clock.ahead_seconds += HEARTBEAT_SECONDS + 1
            await until(lambda asked=asked: link._liveness._answered > asked)  # type: ignore[misc]
        assert second.runtime._link_by_device[first.keys.device_id] is link


@pytest.mark.parametrize("dialler", [0, 1])
async def test_when_the_network_returns_a_connection_that_hangs_is_replaced_within_a_second(
    tmp_path: Path, dialler: int
) -> None:
    realm = live_realm(2)
    nodes = [make_node(realm, device, tmp_path) for device in range(2)]
    caller, called = nodes[dialler], nodes[1 - dialler]
    async with running(*nodes), hanging_cable(called.runtime.listen_address) as cable:
        caller.runtime.dial(cable.address)
        await until(caller.in_sync_with_all)
        cable.hang()
        caller.remember("written into a connection that hangs")
        began = asyncio.get_running_loop().time()
        caller.runtime.doubts.network_changed(HERE)
        await until(lambda: called.texts() == {"written into a connection that hangs"})
        assert asyncio.get_running_loop().time() - began < PROBE_SECONDS + 1.0
        await until(lambda: caller.in_sync_with_all() and called.in_sync_with_all())


async def test_without_doubts_a_connection_that_hangs_would_keep_what_was_written_into_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.doubts.Doubts._doubt", lambda *_: None)
    with pytest.raises((AssertionError, TimeoutError)):
        async with asyncio.timeout(PROBE_SECONDS + 2.0):
            await test_when_the_network_returns_a_connection_that_hangs_is_replaced_within_a_second(tmp_path, 0)


async def test_a_change_of_the_network_does_not_cost_a_connection_that_answers(tmp_path: Path) -> None:
    realm = live_realm(2)
    first, second = make_node(realm, 0, tmp_path), make_node(realm, 1, tmp_path)
    async with running(first, second), hanging_cable(first.runtime.listen_address) as cable:
        second.runtime.dial(cable.address)
        await until(second.in_sync_with_all)
        kept = second.runtime._link_by_device[first.keys.device_id]
        second.runtime.doubts.network_changed(HERE)
        await until(lambda: not kept.is_silent())
        await asyncio.sleep(PROBE_SECONDS * 1.5)
        assert second.runtime._link_by_device[first.keys.device_id] is kept
        assert cable.connections == 1


async def test_a_device_that_announces_itself_although_it_is_connected_is_asked_whether_it_still_is(
    tmp_path: Path,
) -> None:
    realm, clock = live_realm(2), SteppedClock()
    first, second = make_node(realm, 0, tmp_path), make_node(realm, 1, tmp_path, clock=clock)
    async with running(first, second), hanging_cable(first.runtime.listen_address) as cable:
        second.runtime.dial(cable.address)
        await until(second.in_sync_with_all)
        second.runtime.doubts.announced(first.keys.device_id)
        kept = second.runtime._link_by_device[first.keys.device_id]
        assert not kept.is_unanswered(), "a device that speaks is not asked"
        cable.hang()
        clock.ahead_seconds += QUIET_SECONDS + 1
        second.runtime.doubts.announced(first.keys.device_id)
        await until(lambda: second.runtime._link_by_device.get(first.keys.device_id) not in (None, kept))
        await until(lambda: first.in_sync_with_all() and second.in_sync_with_all())


async def test_a_connection_of_an_address_that_this_device_no_longer_has_is_over_at_once(tmp_path: Path) -> None:
    realm = live_realm(2)
    first, second = make_node(realm, 0, tmp_path), make_node(realm, 1, tmp_path)
    async with running(first, second), hanging_cable(first.runtime.listen_address) as cable:
        second.runtime.dial(cable.address)
        await until(second.in_sync_with_all)
        cable.silence(on=True)
        second.runtime.doubts.network_changed(frozenset({"192.0.2.7"}))
        assert not second.runtime.peers()[0].connected
        assert LEFT_NETWORK in second.why(first)


async def test_the_last_write_before_silence_arrives_however_the_connection_broke_around_it(tmp_path: Path) -> None:
    realm, chance = live_realm(2), Random("the last write")
    first, second = make_node(realm, 0, tmp_path), make_node(realm, 1, tmp_path)
    written = set()
    async with running(first, second), hanging_cable(first.runtime.listen_address) as cable:
        second.runtime.dial(cable.address)
        await until(second.in_sync_with_all)
        for number in range(24):
            steps = [_write(chance.choice([first, second]), f"note {number}"), _break(cable.cut, cable.hang, chance)]
            chance.shuffle(steps)
            for step in steps:
                for _ in range(chance.choice([0, 1, 3, 10, 30, 100])):
                    await asyncio.sleep(0)
                await step
            written.add(f"note {number}")
            # Nobody writes any more: what was lost on the way is not pushed along by what comes later.
            second.runtime.doubts.network_changed(HERE)
            await until(lambda: first.texts() == second.texts() == written)
        await until(lambda: first.in_sync_with_all() and second.in_sync_with_all())


async def _write(node: Node, text: str) -> None:
    node.remember(text)


async def _break(cut: object, hang: object, chance: Random) -> None:
    if chance.random() < 0.6:
        assert callable(cut)
        await cut()
    else:
        assert callable(hang)
        hang()


async def test_two_nodes_that_call_each_other_again_and_again_always_end_with_one_and_the_same_link(
    tmp_path: Path,
) -> None:
    realm, chance = live_realm(2), Random("races")
    first, second = make_node(realm, 0, tmp_path), make_node(realm, 1, tmp_path)
    lower, higher = sorted((first, second), key=lambda node: node.keys.device_id)
    async with running(first, second):
        first.runtime.dial(second.runtime.listen_address)
        second.runtime.dial(first.runtime.listen_address)
        for _ in range(12):
            await until(lambda: first.in_sync_with_all() and second.in_sync_with_all())
            await until(lambda: first.runtime.link_count() == second.runtime.link_count() == 1)
            assert lower.runtime.opened_link_to(higher.keys.device_id) is not higher.runtime.opened_link_to(
                lower.keys.device_id
            )
            nodes = [first, second]
            chance.shuffle(nodes)
            for node in nodes:
                for link in list(node.runtime._links):
                    link.close("the test pulled the cable")
                node.runtime.doubts.network_changed(HERE)
                for _ in range(chance.choice([0, 1, 5, 20])):
                    await asyncio.sleep(0)

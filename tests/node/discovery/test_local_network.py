"""Real multicast on the loopback interface: nodes that are told no address find each other, and strangers do not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from ipaddress import IPv4Interface
from pathlib import Path

import pytest

from node.clock import SystemClock
from node.discovery.call_plan import SIGHTED_ADDRESSES_MAX, TRIALS_AT_ONCE_MAX
from node.discovery.interfaces import interfaces
from node.discovery.local_network import LocalNetwork
from node.discovery.mdns import Outlet, Shown, Wish
from node.discovery.network_watch import Look
from node.discovery.pairing_search import searching
from node.discovery.report import DiscoveryState
from node.entropy import SystemEntropy
from node.requests import Notice
from node.transport.address import Address, parse_address
from sync.discovery_names import PAIRING_SERVICE, SESSION_SERVICE, shown_names
from sync.pairing_code import PairingCode
from tests.support.forged_mdns import announcement, send
from tests.support.nodes import Node, live_realm, make_node, now_milliseconds, running, until
from tests.support.realm_factory import found_realm

LOOPBACK = next(interface for interface in interfaces() if interface.loopback)


@asynccontextmanager
async def discovering(*nodes: Node) -> AsyncIterator[list[LocalNetwork]]:
    """Run the nodes, and let each look for others on the loopback interface, where all of them listen."""
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(running(*nodes))
        found = []
        for node in nodes:
            replication = node.runtime.replication
            network = LocalNetwork(
                membership=lambda replication=replication: replication.membership,  # type: ignore[misc]
                older_discovery_secrets=(),
                listening=parse_address(node.runtime.listen_address),
                calling=node.runtime.calling,
                moved=node.runtime.doubts.network_changed,
                announced=node.runtime.doubts.announced,
                tell=lambda text, node=node: node.events.append(Notice(text=text)),  # type: ignore[misc]
                clock=SystemClock(),
                entropy=SystemEntropy(),
            )
            await network.start()
            stack.push_async_callback(network.stop)
            replication.membership_moved.append(lambda _, network=network: network.membership_changed())  # type: ignore[misc]
            found.append(network)
        yield found


class Eavesdropper:
    """A stranger on the same network, who hears every name of a service and where it is said to be."""

    def __init__(self, service: str = SESSION_SERVICE) -> None:
        self._service = service
        self.heard: dict[str, tuple[Address, ...]] = {}
        addresses = tuple(address for address in LOOPBACK.addresses if address.version == 4)
        self.outlet = Outlet(
            LOOPBACK,
            addresses,
            wanted=lambda _: True,
            sighted=lambda _, shown, addresses: self.heard.update({shown.name: addresses}),
            monotonic_seconds=SystemClock().monotonic_seconds,
        )

    @asynccontextmanager
    async def listening(self, *shown: Shown, port: int = 9, host: str = "stranger") -> AsyncIterator[None]:
        assert await self.outlet.open(), self.outlet.state.error
        try:
            await self.outlet.wish(
                Wish(shown=frozenset(shown), host=host, port=port, browsed=frozenset({self._service}))
            )
            yield
        finally:
            await self.outlet.close(farewell=True)


async def test_two_nodes_that_are_told_no_address_find_each_other_and_agree(tmp_path: Path) -> None:
    realm = live_realm(2)
    first, second = make_node(realm, 0, tmp_path), make_node(realm, 1, tmp_path)
    first.remember("found without an address")
    async with discovering(first, second) as networks:
        await until(lambda: first.in_sync_with_all() and second.in_sync_with_all())
        assert second.texts() == {"found without an address"}
        await until(lambda: first.runtime.link_count() == second.runtime.link_count() == 1)
        assert networks[0].report().state is not DiscoveryState.BLOCKED


async def test_a_node_that_comes_back_at_another_port_is_found_again(tmp_path: Path) -> None:
    realm = live_realm(2)
    first = make_node(realm, 0, tmp_path)
    async with discovering(first):
        async with discovering(make_node(realm, 1, tmp_path)):
            await until(first.in_sync_with_all)
        await until(lambda: not first.runtime.peers()[0].connected)
        first.remember("while it was away")
        back = make_node(realm, 1, tmp_path)
        async with discovering(back):
            await until(lambda: back.texts() == {"while it was away"})


async def test_devices_of_another_realm_are_not_even_called(tmp_path: Path) -> None:
    ours, theirs = live_realm(2), found_realm(devices=2, seed="theirs", now_milliseconds=now_milliseconds())
    (tmp_path / "theirs").mkdir()
    mine, other = make_node(ours, 0, tmp_path), make_node(theirs, 0, tmp_path / "theirs")
    stranger = Eavesdropper()
    async with stranger.listening(), discovering(mine, other):
        await until(lambda: len(stranger.heard) >= 6)
        assert mine.runtime.called() == other.runtime.called() == []
        assert mine.runtime.link_count() == other.runtime.link_count() == 0


async def test_a_lone_device_says_nothing_on_the_network_until_it_has_another(tmp_path: Path) -> None:
    realm, others = live_realm(1), found_realm(devices=2, seed="others", now_milliseconds=now_milliseconds())
    (tmp_path / "others").mkdir()
    alone, paired = make_node(realm, 0, tmp_path), make_node(others, 0, tmp_path / "others")
    stranger = Eavesdropper()
    async with stranger.listening(), discovering(alone, paired) as (network, _):
        assert network.report().state is DiscoveryState.UNPAIRED
        await until(lambda: len(stranger.heard) >= 3)
        assert set(stranger.heard) == set(shown_names(others.membership(0), now_milliseconds()))
        realm.add_device()
        alone.store.add_statements(realm.statements)
        alone.runtime.roster_changed()
        await until(lambda: len(stranger.heard) == 6)
        assert network.report().state is not DiscoveryState.UNPAIRED


async def test_what_a_stranger_hears_holds_no_name_of_the_realm_its_devices_or_this_machine(tmp_path: Path) -> None:
    realm = live_realm(2)
    node = make_node(realm, 0, tmp_path)
    stranger = Eavesdropper()
    async with stranger.listening(), discovering(node):
        await until(lambda: len(stranger.heard) == 3)
        assert set(stranger.heard) == set(shown_names(realm.membership(0), now_milliseconds()))
        assert stranger.outlet._zeroconf is not None
        cache = stranger.outlet._zeroconf.zeroconf.cache
        told = repr([record for name in cache.names() for record in cache.entries_with_name(name)]).lower()
    port = parse_address(node.runtime.listen_address).port
    assert str(port) in told
    for secret in (realm.realm_id.hex(), realm.devices[0].device_id.hex(), "device 0", *_machine_names()):
        assert secret.lower() not in told
        assert secret.lower()[:12] not in told


def _machine_names() -> list[str]:
    import socket

    return [name for name in (socket.gethostname(), socket.getfqdn()) if name != "localhost"]


async def test_a_thousand_forged_records_of_a_devices_name_cost_few_calls(tmp_path: Path) -> None:
    realm = live_realm(2)
    node = make_node(realm, 0, tmp_path)
    names = shown_names(realm.membership(1), now_milliseconds())
    calls: list[asyncio.StreamWriter] = []

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        calls.append(writer)
        writer.close()

    async with discovering(node) as (network,):
        await until(lambda: any(state.heard_own for state in network._outlets.states()))
        servers = [await asyncio.start_server(answer, "127.0.0.1", 0) for _ in range(20)]
        ports = [server.sockets[0].getsockname()[1] for server in servers]
        for number in range(1000):
            hosts = ["127.0.0.1", *(f"198.51.100.{host}" for host in range(number % 7))]
            send(announcement(SESSION_SERVICE, names[number % 3], ports[number % 20], hosts, f"forged{number}"))
            if number % 50 == 0:
                await asyncio.sleep(0.02)  # the flood lasts as long as it takes to be heard
        await until(lambda: len(calls) > 0)
        # The HTTP client tries once more where a server hangs up without a word.
        assert len(calls) <= 2 * TRIALS_AT_ONCE_MAX
        assert len(node.runtime.called()) <= SIGHTED_ADDRESSES_MAX
        assert all(address.startswith("127.0.0.1:") for address in node.runtime.called())
        for server in servers:
            server.close()
            await server.wait_closed()
        for call in calls:
            call.transport.abort()


async def test_names_that_nobody_expects_are_not_even_looked_up(tmp_path: Path) -> None:
    realm = live_realm(2)
    node = make_node(realm, 0, tmp_path)
    async with discovering(node) as (network,):
        await until(lambda: any(state.heard_own for state in network._outlets.states()))
        for number in range(300):
            send(announcement(SESSION_SERVICE, f"{number:016x}", 4711, ["127.0.0.1"], f"forged{number}"))
            if number % 50 == 0:
                await asyncio.sleep(0.02)
        (outlet,) = network._outlets._outlet_by_key.values()
        assert outlet._zeroconf is not None
        cache = outlet._zeroconf.zeroconf.cache
        await until(lambda: len(cache.entries_with_name(f"{SESSION_SERVICE}.local.")) >= 300)
        assert outlet._gathering == set()
        assert node.runtime.called() == []


async def test_a_true_device_is_met_in_the_middle_of_a_flood_of_forged_records(tmp_path: Path) -> None:
    realm = live_realm(2)
    first, second = make_node(realm, 0, tmp_path), make_node(realm, 1, tmp_path)
    names = shown_names(realm.membership(1), now_milliseconds())
    async with discovering(first), asyncio.TaskGroup() as group:

        async def flood() -> None:
            for number in range(200):
                send(announcement(SESSION_SERVICE, names[number % 3], 1 + number, ["127.0.0.1"], f"forged{number}"))
                await asyncio.sleep(0.005)

        group.create_task(flood())
        async with discovering(second):
            await until(lambda: first.in_sync_with_all() and second.in_sync_with_all())


async def test_a_pairing_window_is_found_by_its_code_and_only_while_it_is_open(tmp_path: Path) -> None:
    realm = live_realm(1)
    node = make_node(realm, 0, tmp_path)
    code, other = PairingCode(secret=bytes(range(16))), PairingCode(secret=bytes(16))
    stranger = Eavesdropper(PAIRING_SERVICE)
    async with stranger.listening(), discovering(node) as (network,):
        async with (
            searching(other.rendezvous, SystemClock()) as wrong,
            searching(code.rendezvous, SystemClock()) as right,
        ):
            assert await right.next(0.3) is None
            network.announce_pairing(code.rendezvous)
            assert await right.next(10) == parse_address(node.runtime.listen_address)
            assert wrong.found_already() is None
        await until(lambda: bool(stranger.heard.get(code.rendezvous)))
        network.announce_pairing(None)
        await until(lambda: not stranger.heard[code.rendezvous])


async def test_a_new_key_epoch_adds_a_name_and_those_of_older_secrets_stay_where_they_are(tmp_path: Path) -> None:
    realm = live_realm(2)
    node = make_node(realm, 0, tmp_path)
    stranger = Eavesdropper()
    async with stranger.listening(), discovering(node):
        await until(lambda: len(stranger.heard) == 3)
        before = set(stranger.heard)
        node.runtime.replication.mint_epoch()
        after = set(shown_names(node.runtime.replication.membership, now_milliseconds()))
        assert len(before & after) == 2, "the names of the two older secrets; what nobody expected gives way"
        await until(lambda: {name for name, addresses in stranger.heard.items() if addresses} == after)


async def test_that_multicast_cannot_be_used_is_told_once_and_again_only_after_it_could(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    realm = live_realm(2)
    node = make_node(realm, 0, tmp_path)

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    with monkeypatch.context() as patched:
        patched.setattr("node.discovery.mdns.AsyncZeroconf", refused)
        async with discovering(node) as (network,):
            await until(lambda: len(node.events) == 1)
            for _ in range(3):
                network._tell_if_blocked()
            (told,) = node.events
            assert isinstance(told, Notice)
            assert "Multicast cannot be used here (lo: Operation not permitted)" in told.text
            assert "--peer HOST:PORT" in told.text
            patched.undo()
            network._unsettled.set()
            await until(lambda: any(state.heard_own for state in network._outlets.states()))
            assert network.report().state is DiscoveryState.STARTING
            assert len(node.events) == 1


async def test_after_sleep_the_groups_are_joined_anew_and_devices_are_called_at_once(tmp_path: Path) -> None:
    realm = live_realm(2)
    first, second = make_node(realm, 0, tmp_path), make_node(realm, 1, tmp_path)
    async with discovering(first, second) as (network, _):
        await until(lambda: first.in_sync_with_all() and second.in_sync_with_all())
        before = list(network._outlets._outlet_by_key.values())
        network._looked(network._watch.present, Look.WOKE)
        link = first.runtime._link_by_device[second.keys.device_id]
        assert link.is_unanswered(), "a connection is asked whether it outlived the sleep"
        await until(lambda: not link.is_unanswered())
        await until(lambda: network._outlets._outlet_by_key != {} and not {*before} & {*_outlets(network)})
        await until(lambda: any(state.heard_own for state in network._outlets.states()))
        assert first.in_sync_with_all()


def _outlets(network: LocalNetwork) -> list[Outlet]:
    return list(network._outlets._outlet_by_key.values())


async def test_names_of_a_new_day_take_the_place_of_yesterdays(tmp_path: Path) -> None:
    realm = live_realm(2)
    node = make_node(realm, 0, tmp_path)
    stranger = Eavesdropper()
    async with stranger.listening(), discovering(node) as (network,):
        await until(lambda: len(stranger.heard) == 3)
        yesterday = dict(stranger.heard)
        network._clock = Tomorrow()
        network._unsettled.set()
        await until(lambda: len(stranger.heard) == 6 and not any(stranger.heard[name] for name in yesterday))
        assert sum(1 for addresses in stranger.heard.values() if addresses) == 3


class Tomorrow(SystemClock):
    def now_milliseconds(self) -> int:
        return super().now_milliseconds() + 86_400_000


async def test_an_interface_that_cannot_be_used_is_told_with_its_reason() -> None:
    nowhere = (IPv4Interface("192.0.2.1/24"),)
    outlet = Outlet(
        replace(LOOPBACK, addresses=nowhere),
        nowhere,
        wanted=lambda _: True,
        sighted=lambda *_: None,
        monotonic_seconds=SystemClock().monotonic_seconds,
    )
    assert not await outlet.open()
    assert outlet.state.error

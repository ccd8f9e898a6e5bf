"""Two real devices over real sockets on loopback: joining, and everything that must end without a new device."""

import asyncio
import shutil
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from node.api.client import Client, connect
from node.clock import SystemClock
from node.composition import init_home, open_home, open_service
from node.config import NodeConfig, PassphraseCost
from node.entropy import SystemEntropy
from node.errors import HostError, RefusedError, TransportError, UsageError, WrongPassphraseError
from node.home import Home
from node.joining import Joined, JoinEvent, SasShown, Synced, join_realm
from node.keys.key_file import unlock_key_file
from node.operations.table import LocalCaller
from node.pairing_host import PairingHost
from node.requests import (
    DEVICES,
    LIST,
    PAIR,
    PAIR_ANSWER,
    REMEMBER,
    STATUS,
    CodeShown,
    ConfirmAsked,
    DevicesRequest,
    ListRequest,
    PairAnswerRequest,
    Paired,
    PairEvent,
    PairRequest,
    RememberRequest,
    StatusReport,
    StatusRequest,
)
from node.running import Ready, run_node
from node.service import closing
from node.transport.address import parse_address
from node.transport.dialer import connect_for_pairing
from sync.pairing_code import PairingCode
from sync.pairing_window import WINDOW_SECONDS

PASSPHRASE = "a passphrase of the device"
OWNER_PASSPHRASE = "a passphrase of the owner"
NEW_PASSPHRASE = "a passphrase of the newcomer"
CHEAP = PassphraseCost.INTERACTIVE
#: Well formed, and shown by nobody.
OTHER_CODE = PairingCode(secret=bytes(16)).typed


def config_of(directory: Path) -> NodeConfig:
    return NodeConfig(home_directory=directory, device_cost=CHEAP, owner_cost=CHEAP)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("template") / "home"
    init_home(config_of(directory), name="Laptop", passphrase=PASSPHRASE, owner_passphrase=OWNER_PASSPHRASE)
    return directory


@pytest.fixture
def laptop(tmp_path: Path, template: Path) -> NodeConfig:
    return config_of(Path(shutil.copytree(template, tmp_path / "laptop")))


@pytest.fixture
def phone(tmp_path: Path) -> Home:
    return Home(tmp_path / "phone")


@asynccontextmanager
async def node(config: NodeConfig, passphrase: str = PASSPHRASE, *peers: str) -> AsyncIterator[tuple[Client, Ready]]:
    """Run a node and reach it as a command does."""
    stop = asyncio.Event()
    events = run_node(config, passphrase=passphrase, stop=stop, listen="127.0.0.1:0", peers=peers)
    ready = await anext(events)
    assert isinstance(ready, Ready)

    async def watch() -> None:
        async for _ in events:
            pass

    watching = asyncio.create_task(watch())
    try:
        async with connect(Home(config.home_directory)) as client:
            yield client, ready
    finally:
        stop.set()
        await watching


def pairing_at(client: Client, passphrase: str = OWNER_PASSPHRASE) -> AsyncGenerator[PairEvent, None]:
    return client.stream(PAIR, PairRequest(owner_passphrase=passphrase))


async def code_of(pairing: AsyncGenerator[PairEvent, None]) -> CodeShown:
    code = await anext(pairing)
    assert isinstance(code, CodeShown)
    return code


@dataclass
class Persons:
    """What the persons at both screens do; the one at the laptop is asked through the node's API."""

    client: Client
    pairing: AsyncGenerator[PairEvent, None]
    at_laptop: bool = True
    at_phone: bool = True
    asked: ConfirmAsked | None = None

    async def compare(self, sas: str) -> bool:
        asked = await anext(self.pairing)
        assert isinstance(asked, ConfirmAsked)
        assert asked.sas == sas
        self.asked = asked
        await self.client.call(PAIR_ANSWER, PairAnswerRequest(accept=self.at_laptop))
        return self.at_phone


async def join(
    home: Home, code: str, confirm: Callable[[str], Awaitable[bool]], *peers: str, name: str = "Phone"
) -> list[JoinEvent]:
    events = join_realm(home, code=code, name=name, passphrase=NEW_PASSPHRASE, confirm=confirm, peers=peers, cost=CHEAP)
    async with aclosing(events):
        return [event async for event in events]


async def never_asked(sas: str) -> bool:
    raise AssertionError("the person was asked although the code was not accepted")


async def device_names(client: Client) -> list[str]:
    return [device.name for device in (await client.call(DEVICES, DevicesRequest())).devices if device.active]


async def expect_no_device(client: Client, home: Home) -> None:
    """Nothing came of it: no second device in the roster, no file at the newcomer, and the node answers."""
    assert await device_names(client) == ["Laptop"]
    assert not home.directory.exists()


async def test_a_device_joins_by_scanned_code_and_holds_everything(laptop: NodeConfig, phone: Home) -> None:
    async with node(laptop) as (client, _):
        for number in range(3):
            await client.call(REMEMBER, RememberRequest(text=f"memory {number}"))
        pairing = pairing_at(client)
        persons = Persons(client, pairing)
        first, joined, *_, synced = await join(phone, (await code_of(pairing)).code, persons.compare)
        paired = await anext(pairing)
        assert isinstance(first, SasShown)
        assert isinstance(joined, Joined)
        assert isinstance(synced, Synced)
        assert synced.rows == 3
        assert persons.asked is not None
        assert persons.asked.name == "Phone"
        assert paired == Paired(device_id=joined.device_id, name="Phone")
        with pytest.raises(StopAsyncIteration):
            await anext(pairing)
        assert sorted(await device_names(client)) == ["Laptop", "Phone"]
        laptop_status = await client.call(STATUS, StatusRequest())
    async with opened(config_of(phone.directory)) as caller:
        phone_status = await caller.call(STATUS, StatusRequest())
        assert len((await caller.call(LIST, ListRequest())).memories) == 3
    assert phone_status.realm_id == laptop_status.realm_id
    assert digests(phone_status) == digests(laptop_status)


@asynccontextmanager
async def opened(config: NodeConfig) -> AsyncIterator[LocalCaller]:
    with open_home(config, passphrase=NEW_PASSPHRASE) as service:
        yield LocalCaller(service)


def digests(report: StatusReport) -> dict[str, tuple[int, str]]:
    return {stream.name: (stream.rows, stream.digest) for stream in report.streams}


async def test_a_typed_code_needs_an_address_and_works_with_one(laptop: NodeConfig, phone: Home) -> None:
    async with node(laptop) as (client, ready):
        pairing = pairing_at(client)
        typed = (await code_of(pairing)).typed
        with pytest.raises(UsageError, match="--peer"):
            await join(phone, typed, never_asked)
        await join(phone, typed.lower().replace("-", " "), Persons(client, pairing).compare, ready.listen)
        assert sorted(await device_names(client)) == ["Laptop", "Phone"]


async def test_a_joined_device_finds_the_one_it_joined_through_without_being_told_again(
    laptop: NodeConfig, phone: Home
) -> None:
    async with node(laptop) as (client, ready):
        pairing = pairing_at(client)
        await join(phone, (await code_of(pairing)).code, Persons(client, pairing).compare)
        async with node(config_of(phone.directory), NEW_PASSPHRASE) as (at_phone, _):
            (peer,) = (await at_phone.call(STATUS, StatusRequest(wait_seconds=20))).peers
            assert (peer.name, peer.connected, peer.in_sync) == ("Laptop", True, True)
        assert ready.listen not in (phone.directory / "device.key").read_text()


async def test_both_devices_keep_in_sync_after_they_were_started_again(laptop: NodeConfig, phone: Home) -> None:
    async with node(laptop) as (client, _):
        pairing = pairing_at(client)
        await join(phone, (await code_of(pairing)).code, Persons(client, pairing).compare)
    async with (
        node(laptop) as (at_laptop, ready),
        node(config_of(phone.directory), NEW_PASSPHRASE, ready.listen) as (at_phone, _),
    ):
        for number, client in enumerate((at_laptop, at_phone)):
            await client.call(STATUS, StatusRequest(wait_seconds=20))
            await client.call(REMEMBER, RememberRequest(text=f"written apart {number}"))
        reports = [await client.call(STATUS, StatusRequest(wait_seconds=20)) for client in (at_laptop, at_phone)]
        assert all(peer.in_sync and peer.connected for report in reports for peer in report.peers)
        while len((await at_laptop.call(LIST, ListRequest())).memories) < 2:
            await at_laptop.call(STATUS, StatusRequest(wait_seconds=20))
        assert digests(await at_laptop.call(STATUS, StatusRequest())) == digests(
            await at_phone.call(STATUS, StatusRequest())
        )


@pytest.mark.parametrize(("at_laptop", "at_phone"), [(False, True), (True, False), (False, False)])
async def test_a_no_on_either_screen_changes_nothing_on_both(
    laptop: NodeConfig, phone: Home, at_laptop: bool, at_phone: bool
) -> None:
    async with node(laptop) as (client, _):
        pairing = pairing_at(client)
        code = await code_of(pairing)
        with pytest.raises(RefusedError):
            await join(phone, code.code, Persons(client, pairing, at_laptop=at_laptop, at_phone=at_phone).compare)
        with pytest.raises(RefusedError):
            await anext(pairing)
        await expect_no_device(client, phone)
        with pytest.raises(RefusedError, match="not accepted"):
            await join(phone, code.code, never_asked)


async def test_a_used_code_is_refused(laptop: NodeConfig, phone: Home, tmp_path: Path) -> None:
    async with node(laptop) as (client, _):
        pairing = pairing_at(client)
        code = (await code_of(pairing)).code
        await join(phone, code, Persons(client, pairing).compare)
        with pytest.raises(RefusedError, match="not accepted"):
            await join(Home(tmp_path / "tablet"), code, never_asked)
        assert sorted(await device_names(client)) == ["Laptop", "Phone"]


async def test_a_code_dies_with_the_command_that_showed_it(laptop: NodeConfig, phone: Home) -> None:
    async with node(laptop) as (client, _):
        pairing = pairing_at(client)
        code = (await code_of(pairing)).code
        await pairing.aclose()
        # The node learns that the command is gone when it next looks at that connection.
        async with asyncio.timeout(10):
            while True:
                again = pairing_at(client)
                try:
                    assert (await code_of(again)).code != code
                    break
                except RefusedError:
                    await again.aclose()
        with pytest.raises(RefusedError, match="not accepted"):
            await join(phone, code, never_asked)
        await again.aclose()
        await expect_no_device(client, phone)


@pytest.mark.parametrize("mistake", ["", "NUT1:", "NUT1:AAAA", "0000-0000", "not a code at all"])
async def test_a_mistyped_code_is_told_before_anybody_is_called(phone: Home, mistake: str) -> None:
    with pytest.raises(UsageError):
        await join(phone, mistake, never_asked, "127.0.0.1:1")
    assert not phone.directory.exists()


async def test_three_wrong_codes_close_the_window_and_the_person_is_told(laptop: NodeConfig, phone: Home) -> None:
    async with node(laptop) as (client, ready):
        pairing = pairing_at(client)
        shown = await code_of(pairing)
        for _ in range(3):
            with pytest.raises(RefusedError, match="not accepted"):
                await join(phone, OTHER_CODE, never_asked, ready.listen)
        with pytest.raises(RefusedError, match="Three attempts"):
            await anext(pairing)
        with pytest.raises(RefusedError):
            await join(phone, shown.code, never_asked)
        await expect_no_device(client, phone)


async def test_without_an_open_window_nobody_gets_an_answer(laptop: NodeConfig, phone: Home) -> None:
    async with node(laptop) as (client, ready):
        with pytest.raises(RefusedError):
            await join(phone, OTHER_CODE, never_asked, ready.listen)
        async with connect_for_pairing(parse_address(ready.listen)) as link:
            assert await link.receive() is None
        await expect_no_device(client, phone)


async def test_garbage_on_the_pairing_path_counts_as_a_wrong_code_and_the_node_lives(
    laptop: NodeConfig, phone: Home
) -> None:
    async with node(laptop) as (client, ready):
        pairing = pairing_at(client)
        await code_of(pairing)
        for garbage in (b"", b"x", b"\0" * 65_000):
            async with connect_for_pairing(parse_address(ready.listen)) as link:
                await link.send(garbage)
                assert await link.receive() is None
        with pytest.raises(RefusedError):
            await anext(pairing)
        await expect_no_device(client, phone)


async def test_a_caller_who_hangs_up_before_the_digits_leaves_the_code_usable(laptop: NodeConfig, phone: Home) -> None:
    async with node(laptop) as (client, ready):
        pairing = pairing_at(client)
        code = (await code_of(pairing)).code
        async with connect_for_pairing(parse_address(ready.listen)):
            pass
        await join(phone, code, Persons(client, pairing).compare)
        assert sorted(await device_names(client)) == ["Laptop", "Phone"]


async def test_a_newcomer_who_vanishes_while_the_person_looks_ends_the_pairing(laptop: NodeConfig, phone: Home) -> None:
    async with node(laptop) as (client, _):
        pairing = pairing_at(client)
        joining = join_realm(
            phone,
            code=(await code_of(pairing)).code,
            name="Phone",
            passphrase=NEW_PASSPHRASE,
            confirm=never_asked,
            cost=CHEAP,
        )
        assert isinstance(await anext(joining), SasShown)
        assert isinstance(await anext(pairing), ConfirmAsked)
        await joining.aclose()
        with pytest.raises(RefusedError, match="hung up"):
            await anext(pairing)
        await expect_no_device(client, phone)


async def test_a_second_device_with_the_code_is_refused_while_the_first_is_compared(
    laptop: NodeConfig, phone: Home, tmp_path: Path
) -> None:
    async with node(laptop) as (client, _):
        pairing = pairing_at(client)
        code = (await code_of(pairing)).code
        persons = Persons(client, pairing)

        async def compare_while_another_tries(sas: str) -> bool:
            with pytest.raises(RefusedError, match="not accepted"):
                await join(Home(tmp_path / "thief"), code, never_asked, name="Thief")
            return await persons.compare(sas)

        await join(phone, code, compare_while_another_tries)
        assert sorted(await device_names(client)) == ["Laptop", "Phone"]


class SkippingClock(SystemClock):
    """The system's clocks, moved on by a test."""

    skipped_seconds = 0.0

    def monotonic_seconds(self) -> float:
        return super().monotonic_seconds() + self.skipped_seconds


async def test_a_code_that_nobody_used_in_five_minutes_is_over(laptop: NodeConfig) -> None:
    clock, home = SkippingClock(), Home(laptop.home_directory)
    keys = unlock_key_file(home.key_file, passphrase=PASSPHRASE)
    with home.locked(), closing(open_service(home, keys, clock, SystemEntropy())) as service:
        host = PairingHost(service, hints=lambda: ["127.0.0.1:1"], roster_changed=lambda: None)
        pairing = host.pair(OWNER_PASSPHRASE)
        await code_of(pairing)
        clock.skipped_seconds = WINDOW_SECONDS + 1
        with pytest.raises(RefusedError, match="time"):
            await anext(pairing)
        again = host.pair(OWNER_PASSPHRASE)
        await code_of(again)
        await again.aclose()


async def test_a_wrong_owner_passphrase_shows_no_code(laptop: NodeConfig) -> None:
    async with node(laptop) as (client, _):
        for wrong in (PASSPHRASE, "x"):
            with pytest.raises(WrongPassphraseError):
                await anext(pairing_at(client, wrong))
        pairing = pairing_at(client)
        await code_of(pairing)
        with pytest.raises(RefusedError, match="going on already"):
            await anext(pairing_at(client))
        with pytest.raises(RefusedError, match="No device is waiting"):
            await client.call(PAIR_ANSWER, PairAnswerRequest(accept=True))
        await pairing.aclose()


async def test_a_home_that_holds_a_device_does_not_join(laptop: NodeConfig) -> None:
    before = {path.name: path.read_bytes() for path in laptop.home_directory.iterdir()}
    with pytest.raises(RefusedError, match="already holds a device"):
        await join(Home(laptop.home_directory), OTHER_CODE, never_asked, "127.0.0.1:1")
    assert {path.name: path.read_bytes() for path in laptop.home_directory.iterdir()} == before


async def test_nobody_at_the_address_is_told(phone: Home, unused_tcp_port: int) -> None:
    with pytest.raises(TransportError):
        await join(phone, OTHER_CODE, never_asked, f"127.0.0.1:{unused_tcp_port}")
    assert not phone.directory.exists()


@pytest.mark.parametrize(("name", "passphrase"), [("Phone\n", NEW_PASSPHRASE), ("", NEW_PASSPHRASE), ("Phone", "")])
async def test_a_name_or_passphrase_that_cannot_be_used_is_told_before_the_code_is_spent(
    laptop: NodeConfig, phone: Home, name: str, passphrase: str
) -> None:
    async with node(laptop) as (client, _):
        pairing = pairing_at(client)
        code = (await code_of(pairing)).code
        joining = join_realm(phone, code=code, name=name, passphrase=passphrase, confirm=never_asked, cost=CHEAP)
        with pytest.raises(UsageError):
            await anext(joining)
        await join(phone, code, Persons(client, pairing).compare)


async def test_a_port_in_use_is_told_and_the_home_is_free_again(laptop: NodeConfig) -> None:
    async with taken_port() as taken:
        for listen, api in ((taken, "127.0.0.1:0"), ("127.0.0.1:0", taken)):
            events = run_node(laptop, passphrase=PASSPHRASE, stop=asyncio.Event(), listen=listen, api=api)
            with pytest.raises(HostError, match=taken):
                await anext(events)
    async with node(laptop) as (client, _):
        assert await device_names(client) == ["Laptop"]


@asynccontextmanager
async def taken_port() -> AsyncIterator[str]:
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_the_peer_port_refuses_a_browser(laptop: NodeConfig) -> None:
    async with node(laptop) as (client, ready), aiohttp.ClientSession() as session:
        for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}):
            async with session.get(f"http://{ready.listen}/v1/pair", headers=headers) as response:
                assert response.status == 403
        assert await device_names(client) == ["Laptop"]

"""Two real devices over real sockets on loopback: everything that must end without a new device."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from node.clock import SystemClock
from node.composition import open_service
from node.config import NodeConfig
from node.entropy import SystemEntropy
from node.errors import HostError, RefusedError, TransportError, UsageError, WrongPassphraseError
from node.home import Home
from node.joining import Joined, SasShown, join_realm
from node.keys.key_file import unlock_key_file
from node.pairing_host import PairingHost, is_near
from node.requests import (
    PAIR_ANSWER,
    ConfirmAsked,
    PairAnswerRequest,
    TurnedAway,
)
from node.running import run_node
from node.service import closing
from node.transport.address import parse_address
from node.transport.dialer import connect_for_pairing
from sync import pairing_window
from sync.pairing_window import WINDOW_SECONDS
from tests.support.two_devices import (
    CHEAP,
    NEW_PASSPHRASE,
    OTHER_CODE,
    OWNER_PASSPHRASE,
    PASSPHRASE,
    Persons,
    code_of,
    device_names,
    expect_no_device,
    join,
    never_asked,
    node,
    pairing_at,
)


@pytest.mark.parametrize(("at_laptop", "at_phone"), [(False, True), (True, False), (False, False)])
async def test_a_no_on_either_screen_changes_nothing_on_both(
    laptop: NodeConfig, phone: Home, at_laptop: bool, at_phone: bool
) -> None:
    async with node(laptop) as (client, _):
        pairing = pairing_at(client)
        code = await code_of(pairing)
        mine, theirs = "You said no", "The answer on the .* device was no"
        # Where both say no, either may hear of the other's first.
        heard_at_phone = theirs if at_phone else mine if at_laptop else f"{mine}|{theirs}"
        with pytest.raises(RefusedError, match=heard_at_phone):
            await join(phone, code.code, Persons(client, pairing, at_laptop=at_laptop, at_phone=at_phone).compare)
        with pytest.raises(RefusedError, match=theirs if at_laptop else mine):
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
    clock, home, announced = SkippingClock(), Home(laptop.home_directory), list[str | None]()
    keys = unlock_key_file(home.key_file, passphrase=PASSPHRASE)
    with home.locked(), closing(open_service(home, keys, clock, SystemEntropy())) as service:
        host = PairingHost(
            service, hints=lambda: ["127.0.0.1:1"], roster_changed=lambda: None, announce=announced.append
        )
        pairing = host.pair(OWNER_PASSPHRASE)
        await code_of(pairing)
        clock.skipped_seconds = WINDOW_SECONDS + 1
        with pytest.raises(RefusedError, match="time"):
            await anext(pairing)
        again = host.pair(OWNER_PASSPHRASE)
        await code_of(again)
        await again.aclose()
    assert [name is None for name in announced] == [False, True, False, True]


async def test_when_nobody_answers_here_in_time_both_are_told(
    laptop: NodeConfig, phone: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairing_window, "CONFIRMATION_SECONDS", 0.5)

    async def yes(_sas: str) -> bool:
        return True

    async with node(laptop) as (client, _):
        pairing = pairing_at(client)
        code = (await code_of(pairing)).code
        with pytest.raises(RefusedError, match="five minutes to answer are over"):
            await join(phone, code, yes)
        assert isinstance(await anext(pairing), ConfirmAsked)
        with pytest.raises(RefusedError, match="Nobody answered here within five minutes"):
            await anext(pairing)
        await expect_no_device(client, phone)


async def test_when_nobody_answers_there_in_time_both_are_told(
    laptop: NodeConfig, phone: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairing_window, "CONFIRMATION_SECONDS", 0.5)
    async with node(laptop) as (client, _):
        pairing = pairing_at(client)
        persons = Persons(client, pairing)

        async def hesitate(sas: str) -> bool:
            await persons.compare(sas)
            await asyncio.Event().wait()
            return True

        code = (await code_of(pairing)).code
        with pytest.raises(RefusedError, match="five minutes to answer are over"):
            await join(phone, code, hesitate)
        with pytest.raises(RefusedError, match="Nobody said yes on the new device within five minutes"):
            await anext(pairing)
        await expect_no_device(client, phone)


async def test_a_device_of_another_version_is_told_as_such(phone: Home) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        there = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(TransportError, match=r"another version of Nuthatch.*bring both devices up"):
            await join(phone, OTHER_CODE, never_asked, there)


async def test_a_name_that_another_device_has_is_told_on_both_screens(laptop: NodeConfig, phone: Home) -> None:
    async with node(laptop) as (client, _):
        pairing = pairing_at(client)
        persons = Persons(client, pairing)
        _, joined, *_ = await join(phone, (await code_of(pairing)).code, persons.compare, name="laptop")
        assert persons.asked is not None
        assert persons.asked.name_taken
        assert isinstance(joined, Joined)
        assert joined.name_taken


class LinkFromAfar:
    """Connects a caller whose address is in no network of any machine (RFC 5737)."""

    peer_address = "203.0.113.9"

    def __init__(self) -> None:
        self.closed = False

    async def receive(self) -> bytes | None:
        return None

    async def send(self, frame: bytes) -> None:
        raise AssertionError("a caller from afar was answered")

    def proven(self) -> None:
        raise AssertionError("a caller from afar was heard")

    async def close(self) -> None:
        self.closed = True


async def test_a_caller_from_another_network_is_not_heard_and_the_person_is_told_once(laptop: NodeConfig) -> None:
    home = Home(laptop.home_directory)
    keys = unlock_key_file(home.key_file, passphrase=PASSPHRASE)
    with home.locked(), closing(open_service(home, keys, SystemClock(), SystemEntropy())) as service:
        host = PairingHost(
            service, hints=lambda: ["127.0.0.1:1"], roster_changed=lambda: None, announce=lambda _name: None
        )
        pairing = host.pair(OWNER_PASSPHRASE)
        await code_of(pairing)
        for _ in range(5):
            link = LinkFromAfar()
            await host.serve(link)
            assert link.closed
        assert await anext(pairing) == TurnedAway(address="203.0.113.9")
        # Five callers were not heard, so none of them counts as a wrong attempt that would have closed the window.
        waiting = asyncio.ensure_future(anext(pairing))
        assert not (await asyncio.wait([waiting], timeout=0.05))[0]
        waiting.cancel()
        await asyncio.wait([waiting])
    assert is_near("127.0.0.1")
    assert is_near("::ffff:127.0.0.1")
    assert is_near("fe80::1")
    assert not is_near("203.0.113.9")
    assert not is_near("no address")


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

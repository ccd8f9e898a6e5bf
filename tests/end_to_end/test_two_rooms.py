"""Two devices in networks of their own, joined by a cable: nobody ever tells them an address."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import msgspec
import pytest
import pytest_asyncio

from node.demo.device import Device
from node.requests import PeerChanged
from tests.support.household import JOIN_EVENTS, PAIR_EVENTS, compared_digits, open_window
from tests.support.program import ANSWER_SECONDS
from tests.support.rooms import Room, two_rooms

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.long]

# The tests of this module tell one story: each goes on where the one before ended.

PASSPHRASE = "correct horse battery staple"


def peer_events(device: Device) -> list[PeerChanged]:
    """Return what the node has told of the other device so far."""
    lines = bytes(device.told).splitlines()
    return [msgspec.json.decode(line, type=PeerChanged) for line in lines if line.startswith(b'{"event":"peer"')]


def is_connected(device: Device) -> bool:
    return bool(told := peer_events(device)) and told[-1].connected


def is_in_sync(device: Device) -> bool:
    return bool(told := peer_events(device)) and told[-1].connected and told[-1].in_sync


async def wait_until(condition: Callable[[], bool], seconds: float = ANSWER_SECONDS) -> float:
    """Wait for a condition; return how long it took."""
    began = time.monotonic()
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 -- another process makes it true
            await asyncio.sleep(0.005)
    return time.monotonic() - began


async def command(device: Device, name: str, *arguments: str) -> dict[str, object]:
    """Run a command in the device's room; return the last line of its answer."""
    running = await device.command(name, *arguments)
    last = b""
    while line := await running.read_line():
        last = line
    await running.finish()
    return msgspec.json.decode(last, type=dict[str, object])


async def texts(device: Device) -> set[object]:
    """Return the texts of all memories."""
    answer = await command(device, "sql", "SELECT content FROM memories")
    found = answer["rows"]
    assert isinstance(found, list)
    return {row[0] for row in found}


async def pair_without_address(laptop: Device, desktop: Device) -> None:
    """Pair with the code that a person would type: it holds a secret and nothing else."""
    pairing, shown = await open_window(laptop)
    joining = await desktop.command("join", shown.typed, "--name", desktop.name, unlock=True)
    await compared_digits(pairing, joining)
    await joining.say("yes")
    await pairing.say("yes")
    await pairing.next_event(PAIR_EVENTS)
    await pairing.finish()
    while (await joining.next_event(JOIN_EVENTS)).__class__.__name__ != "Synced":
        pass
    await joining.finish()


@dataclass(frozen=True, slots=True)
class Rooms:
    """Two rooms and the device in each."""

    rooms: tuple[Room, Room]
    laptop: Device
    desktop: Device

    def readdress(self, network: str) -> None:
        """Give both cables an address of another network; nobody is where anybody was before."""
        for number, room in enumerate(self.rooms, start=11):
            room.readdress(f"{network}.{number}/24")

    async def in_sync(self) -> float:
        """Wait until both are in sync; return how long it took."""
        return await wait_until(lambda: is_in_sync(self.laptop) and is_in_sync(self.desktop))

    async def parted(self) -> None:
        """Pull both cables out and wait until both devices know."""
        for room in self.rooms:
            room.unplug()
        await wait_until(lambda: not is_connected(self.laptop) and not is_connected(self.desktop), seconds=10)

    def joined(self) -> None:
        """Put both cables back in."""
        for room in self.rooms:
            room.plug()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def home(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rooms]:
    directory = tmp_path_factory.mktemp("two-rooms")
    with two_rooms() as rooms:
        for room in rooms:
            room.ipv6(on=False)
            room.plug()
        laptop, desktop = (
            room.device(directory, name, PASSPHRASE) for room, name in zip(rooms, ("laptop", "desktop"), strict=True)
        )
        try:
            yield Rooms(rooms, laptop, desktop)
        finally:
            await laptop.crash()
            await desktop.crash()


async def test_a_new_device_finds_the_one_that_shows_a_code_and_both_find_each_other(home: Rooms) -> None:
    home.readdress("10.77.0")
    made = await home.laptop.command("init", "--name", home.laptop.name, unlock=True)
    await made.finish()
    await home.laptop.start(listen="[::]:0")
    await pair_without_address(home.laptop, home.desktop)
    await home.desktop.start(listen="[::]:0")
    await home.in_sync()
    await command(home.laptop, "remember", "written together")
    await home.in_sync()


async def test_a_device_that_lost_its_network_says_so_and_how_to_go_on(home: Rooms) -> None:
    await home.parted()
    status = await command(home.laptop, "status")
    assert status["discovery"] == "no network"
    assert "on no network on which others could be found" in str(status["discovery_note"])
    assert "--peer HOST:PORT" in str(status["discovery_note"])


async def test_parted_and_edited_apart_they_find_each_other_again_at_new_addresses_without_a_restart(
    home: Rooms,
) -> None:
    await command(home.laptop, "remember", "written apart on the laptop")
    await command(home.desktop, "remember", "written apart on the desktop")
    home.readdress("10.78.0")
    home.joined()
    print(f"at new addresses: found each other in {await home.in_sync():.2f} s")
    expected = {"written together", "written apart on the laptop", "written apart on the desktop"}
    assert await texts(home.laptop) == await texts(home.desktop) == expected
    reports = [await command(device, "status") for device in (home.laptop, home.desktop)]
    assert reports[0]["streams"] == reports[1]["streams"]
    assert [report["discovery_note"] for report in reports] == ["", ""]


async def test_an_end_that_cannot_see_that_the_other_one_left_goes_on_with_it_when_it_returns(home: Rooms) -> None:
    home.rooms[0].unplug()
    await wait_until(lambda: not is_connected(home.laptop), seconds=10)
    assert is_connected(home.desktop), "nothing tells it that the laptop left"
    await command(home.desktop, "remember", "written into a connection that hangs")
    home.rooms[0].plug()
    print(f"with one end that was not told: went on in {await wait_until(lambda: is_in_sync(home.laptop)):.2f} s")
    await home.in_sync()
    assert "written into a connection that hangs" in await texts(home.laptop)


async def test_they_find_each_other_by_ipv6_where_there_is_no_ipv4(home: Rooms) -> None:
    await home.parted()
    for room in home.rooms:
        room.without_ipv4()
        room.ipv6(on=True)
    home.joined()
    # The kernel itself keeps an IPv6 address back for a second or two, until it knows that nobody else has it.
    print(f"by IPv6: found each other in {await home.in_sync():.2f} s")
    await command(home.laptop, "remember", "written over IPv6")
    await home.in_sync()
    assert "written over IPv6" in await texts(home.desktop)

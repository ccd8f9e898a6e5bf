"""Two devices in networks of their own, joined by a cable: nobody ever tells them an address."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from node.demo.device import Device
from node.requests import PeerChanged
from tests.support.household import JOIN_EVENTS, PAIR_EVENTS, compared_digits, open_window
from tests.support.program import ANSWER_SECONDS
from tests.support.rooms import Room, two_rooms

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


async def expect_to_be_told_how_to_go_on(cut_off: Device) -> None:
    """The device that lost its network says so, in the status and to the doctor, and what to do."""
    status = await command(cut_off, "status")
    assert status["discovery"] == "no network"
    assert "on no network on which others could be found" in str(status["discovery_note"])
    assert "--peer HOST:PORT" in str(status["discovery_note"])


@asynccontextmanager
async def paired(rooms: tuple[Room, Room], directory: Path) -> AsyncIterator[tuple[Device, Device]]:
    """Set up a device in each room, pair them, and run both nodes."""
    laptop, desktop = (
        room.device(directory, name, PASSPHRASE) for room, name in zip(rooms, ("laptop", "desktop"), strict=True)
    )
    try:
        made = await laptop.command("init", "--name", laptop.name, unlock=True)
        await made.finish()
        await laptop.start(listen="[::]:0")
        await pair_without_address(laptop, desktop)
        await desktop.start(listen="[::]:0")
        await wait_until(lambda: is_in_sync(laptop) and is_in_sync(desktop))
        yield laptop, desktop
    finally:
        await laptop.crash()
        await desktop.crash()


@pytest.mark.parametrize("kind", ["IPv4", "IPv6"])
async def test_two_devices_find_each_other_pair_are_parted_edited_apart_and_find_each_other_again(
    tmp_path: Path, kind: str
) -> None:
    with two_rooms() as rooms:
        for number, room in enumerate(rooms, start=1):
            room.plug()
            if kind == "IPv4":
                room.without_ipv6()
                room.readdress(f"10.77.0.{number}/24")
        async with paired(rooms, tmp_path) as (laptop, desktop):
            await command(laptop, "remember", "written together")
            await wait_until(lambda: is_in_sync(laptop) and is_in_sync(desktop))

            rooms[0].unplug()
            await wait_until(lambda: not is_connected(laptop) and not is_connected(desktop), seconds=10)
            await command(laptop, "remember", "written apart on the laptop")
            await command(desktop, "remember", "written apart on the desktop")
            if kind == "IPv4":
                await expect_to_be_told_how_to_go_on(laptop)
                # Wherever they met before, nobody is there any more.
                for number, room in enumerate(rooms, start=1):
                    room.readdress(f"10.78.0.{number + 10}/24")

            rooms[0].plug()
            seconds = await wait_until(lambda: is_in_sync(laptop) and is_in_sync(desktop))
            print(f"{kind}: found each other again in {seconds:.2f} s")
            both = {"written together", "written apart on the laptop", "written apart on the desktop"}
            assert await texts(laptop) == await texts(desktop) == both
            reports = [await command(device, "status") for device in (laptop, desktop)]
            assert reports[0]["streams"] == reports[1]["streams"]
            assert [report["discovery_note"] for report in reports] == ["", ""]


async def test_an_end_that_cannot_see_that_the_other_one_left_goes_on_with_it_when_it_returns(tmp_path: Path) -> None:
    with two_rooms(over_switch=True) as rooms:
        for number, room in enumerate(rooms, start=1):
            room.plug()
            room.without_ipv6()
            room.readdress(f"10.77.0.{number}/24")
        async with paired(rooms, tmp_path) as (laptop, desktop):
            rooms[0].unplug()
            await wait_until(lambda: not is_connected(laptop), seconds=10)
            assert is_connected(desktop), "nothing tells it that the laptop left"
            await command(desktop, "remember", "written into a connection that hangs")
            rooms[0].plug()
            seconds = await wait_until(lambda: is_in_sync(laptop))
            print(f"over a switch: went on in {seconds:.2f} s")
            await wait_until(lambda: is_in_sync(desktop))
            assert await texts(laptop) == {"written into a connection that hangs"}

"""Three devices of one person, paired through the console script, with cables between them that can be pulled."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec

from node.demo.cable import Cable
from node.demo.device import Command, Device
from node.joining import Joined, JoinEvent, SasShown, Synced, SyncProgress
from node.requests import (
    STATUS,
    CodeShown,
    ConfirmAsked,
    Paired,
    PairEvent,
    StatusReport,
    StatusRequest,
    StreamComplete,
    StreamReadable,
)
from tests.support.program import CONSOLE_SCRIPT, ENVIRONMENT

JOIN_EVENTS: msgspec.json.Decoder[JoinEvent] = msgspec.json.Decoder(JoinEvent)
PAIR_EVENTS: msgspec.json.Decoder[PairEvent] = msgspec.json.Decoder(PairEvent)
WAIT_SECONDS = 40.0


def make_device(directory: Path, name: str, passphrase: str) -> Device:
    """Return a device without a home yet; its passphrase lies beside the home, never in it."""
    directory.mkdir(exist_ok=True)
    passphrase_file = directory / f"{name}.passphrase"
    passphrase_file.write_text(passphrase + "\n")
    return Device(name, directory / name, passphrase_file, ENVIRONMENT, (CONSOLE_SCRIPT,))


async def found_realm(device: Device) -> None:
    """Make a device the first of a realm, and run it."""
    command = await device.command("init", "--name", device.name, unlock=True)
    await command.finish()
    await device.start()


async def open_window(sponsor: Device) -> tuple[Command, CodeShown]:
    """Run `pair` on a running device; return the command and the code that it shows."""
    pairing = await sponsor.pair()
    shown = await pairing.next_event(PAIR_EVENTS)
    assert isinstance(shown, CodeShown)
    return pairing, shown


async def start_joining(newcomer: Device, code: str, *, peer: str, name: str | None = None) -> Command:
    """Run `join` on a new device."""
    return await newcomer.command("join", code, "--name", name or newcomer.name, "--peer", peer, unlock=True)


async def compared_digits(pairing: Command, joining: Command) -> str:
    """Return the six digits after reading them on both sides."""
    shown = await joining.next_event(JOIN_EVENTS)
    asked = await pairing.next_event(PAIR_EVENTS)
    assert isinstance(shown, SasShown)
    assert isinstance(asked, ConfirmAsked)
    assert shown.sas == asked.sas
    assert len(shown.sas) == 6
    assert shown.sas.isdecimal()
    return shown.sas


async def pair_devices(sponsor: Device, newcomer: Device, *, peer: str, typed: bool = False) -> Synced:
    """Add a device to the sponsor's realm; both say yes. The newcomer's node does not run yet."""
    pairing, shown = await open_window(sponsor)
    joining = await start_joining(newcomer, shown.typed if typed else shown.code, peer=peer)
    await compared_digits(pairing, joining)
    await joining.say("yes")
    await pairing.say("yes")
    paired = await pairing.next_event(PAIR_EVENTS)
    assert isinstance(paired, Paired)
    assert paired.name == newcomer.name
    await pairing.finish()
    joined = await joining.next_event(JOIN_EVENTS)
    assert isinstance(joined, Joined)
    synced: JoinEvent = await joining.next_event(JOIN_EVENTS)
    while isinstance(synced, SyncProgress | StreamReadable | StreamComplete):
        synced = await joining.next_event(JOIN_EVENTS)
    assert isinstance(synced, Synced)
    await joining.finish()
    return synced


class Household:
    """Laptop, phone and tablet; every two of them joined by a cable."""

    def __init__(self, directory: Path, passphrase: str, names: Sequence[str] = ("laptop", "phone", "tablet")) -> None:
        self.devices = [make_device(directory, name, passphrase) for name in names]
        self.cables: list[Cable] = []
        self._stack = AsyncExitStack()
        self._peers: list[list[Cable]] = [[] for _ in self.devices]

    async def move_in(self) -> None:
        """Found the realm, pair every further device, and run all nodes."""
        for device in self.devices:
            self._stack.push_async_callback(device.crash)
        await found_realm(self.devices[0])
        for number, newcomer in enumerate(self.devices[1:], start=1):
            self._peers[number] = [await self._lay(self.devices[earlier]) for earlier in range(number)]
            await pair_devices(self.devices[0], newcomer, peer=self._peers[number][0].address)
            await newcomer.start([cable.address for cable in self._peers[number]])

    async def move_out(self) -> None:
        """End every process and take the cables away."""
        await self._stack.aclose()

    async def power_cut(self) -> None:
        """Kill every node where it stands."""
        for device in self.devices:
            await device.crash()

    async def start(self) -> None:
        """Run all nodes again, each dialling the devices that were there before it."""
        for number, device in enumerate(self.devices):
            await device.start([cable.address for cable in self._peers[number]])
            for later in range(number + 1, len(self.devices)):
                self._peers[later][number].lead_to(device.listen)

    async def in_sync(self) -> list[StatusReport]:
        """Return the status of every device as soon as each says that it is in sync with all others."""
        reports = await asyncio.gather(*(_in_sync(device) for device in self.devices))
        for device, report in zip(self.devices, reports, strict=True):
            assert len(report.peers) == len(self.devices) - 1
            assert all(peer.connected and peer.in_sync for peer in report.peers), (device.name, report.peers)
        return reports

    async def _lay(self, far: Device) -> Cable:
        cable = await self._stack.enter_async_context(Cable(far.listen))
        self.cables.append(cable)
        return cable


async def _in_sync(device: Device) -> StatusReport:
    async with device.reached() as caller:
        return await caller.call(STATUS, StatusRequest(wait_seconds=WAIT_SECONDS))

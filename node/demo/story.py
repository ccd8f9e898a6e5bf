"""The demonstration's course of events, from three empty homes to three equal replicas."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec

from node.demo import edits
from node.demo.cable import Cable
from node.demo.device import ANSWER_SECONDS, Command, DemoError, Device
from node.demo.findings import Apart, DevicePaired, Finding, Step, Together, compare_streams
from node.demo.secrecy import search_for_phrases
from node.joining import Joined, JoinEvent, SasShown, Synced, SyncProgress
from node.requests import (
    IMPORT,
    SQL,
    STATUS,
    CodeShown,
    ConfirmAsked,
    Imported,
    ImportRequest,
    PairEvent,
    SqlRequest,
    StatusReport,
    StatusRequest,
    StreamComplete,
    StreamReadable,
)

_PHRASES_SOUGHT = 50
# Shorter texts ("Yes!") may occur anywhere by chance.
_PHRASE_CHARACTERS_MIN = 20
_JOIN_EVENTS: msgspec.json.Decoder[JoinEvent] = msgspec.json.Decoder(JoinEvent)
_PAIR_EVENTS: msgspec.json.Decoder[PairEvent] = msgspec.json.Decoder(PairEvent)


class Story:
    """Three devices, every two of them joined by a cable, and what happens to them.

    `working` is told what comes next, for a person who waits.
    """

    def __init__(self, laptop: Device, phone: Device, tablet: Device, working: Callable[[str], None]) -> None:
        self._laptop, self._phone, self._tablet = self._devices = (laptop, phone, tablet)
        self._working = working
        self._cables: list[Cable] = []
        self._began_at_seconds = 0.0
        self._bytes_before = 0

    async def unfold(self, conversation: Path) -> AsyncGenerator[Finding, None]:
        """Let it happen, yielding each finding when it is certain; raises `HostError` where it goes wrong."""
        async with AsyncExitStack() as stack:
            for device in self._devices:
                stack.push_async_callback(device.crash)
            yield await self._found_realm()
            to_laptop = await self._lay_cable(stack, self._laptop)
            yield await self._add_device(self._phone, peers=[to_laptop])
            to_laptop, to_phone = [await self._lay_cable(stack, far) for far in (self._laptop, self._phone)]
            yield await self._add_device(self._tablet, peers=[to_laptop, to_phone])
            yield await self._import_conversation(conversation)
            async with self._laptop.reached() as caller:
                records = await edits.make_shared_records(caller)
            yield await self._agree("All three hold it, and agree")
            yield await self._edit_apart(records)
            yield await self._reconnect()
            yield await self._compare_records(records)
            yield await self._compare_digests()
            phrases = await self._phrases()
            for device in self._devices:
                await device.stop()
            homes = [device.home.directory for device in self._devices]
            yield search_for_phrases(phrases, homes, [bytes(cable.carried) for cable in self._cables])

    @property
    def network_bytes(self) -> int:
        """How many bytes all cables carried so far, both ways."""
        return sum(len(cable.carried) for cable in self._cables)

    async def _found_realm(self) -> Finding:
        self._begin("The laptop founds the realm")
        founding = await self._laptop.command("init", "--name", self._laptop.name, unlock=True)
        await founding.finish()
        await self._laptop.start()
        return self._step("The laptop founds the realm", "keys, an encrypted store")

    async def _lay_cable(self, stack: AsyncExitStack, far: Device) -> str:
        cable = await stack.enter_async_context(Cable(far.listen))
        self._cables.append(cable)
        return cable.address

    async def _add_device(self, newcomer: Device, *, peers: list[str]) -> Finding:
        """Pair a device with the laptop as two people at two screens would, and run its node."""
        self._begin(f"The {newcomer.name} joins")
        pairing = await self._laptop.pair()
        try:
            code = await pairing.next_event(_PAIR_EVENTS)
            assert isinstance(code, CodeShown), code
            joining = await newcomer.command(
                "join", code.code, "--name", newcomer.name, "--peer", peers[0], unlock=True
            )
            try:
                shown, asked = await joining.next_event(_JOIN_EVENTS), await pairing.next_event(_PAIR_EVENTS)
                assert isinstance(shown, SasShown), shown
                assert isinstance(asked, ConfirmAsked), asked
                if shown.sas != asked.sas:
                    raise DemoError("The two screens show different digits: somebody sits in between.")
                await joining.say("yes")
                await pairing.say("yes")
                await pairing.finish()
                rows = await self._rows_synced(joining)
            finally:
                joining.kill()
        finally:
            pairing.kill()
        await newcomer.start(peers)
        seconds, network_bytes = self._spent()
        return DevicePaired(name=newcomer.name, sas=shown.sas, rows=rows, seconds=seconds, network_bytes=network_bytes)

    async def _rows_synced(self, joining: Command) -> int:
        """Follow a newcomer until it says that it has everything; return how many rows came."""
        while True:
            match await joining.next_event(_JOIN_EVENTS):
                case Synced(rows=rows):
                    await joining.finish()
                    return rows
                case Joined() | SyncProgress() | StreamReadable() | StreamComplete():
                    pass
                case SasShown():
                    raise DemoError("The newcomer showed digits twice.")

    async def _import_conversation(self, conversation: Path) -> Finding:
        self._begin("The laptop imports a conversation")
        added = 0
        async with self._laptop.reached() as caller:
            async for event in caller.stream(IMPORT, ImportRequest(format="locomo", path=str(conversation))):
                if isinstance(event, Imported):
                    added = event.added
        return self._step("The laptop imports a conversation", f"{added:,} rows")

    async def _agree(self, title: str) -> Finding:
        """Wait until every device says that it is in sync with every other."""
        self._begin(f"{title} …")
        reports = await asyncio.gather(*(self._status(device, wait_seconds=ANSWER_SECONDS) for device in self._devices))
        for device, report in zip(self._devices, reports, strict=True):
            for peer in report.peers:
                if not peer.in_sync:
                    raise DemoError(f"The {device.name} does not agree with the {peer.name}: {peer.why}")
        rows = sum(stream.rows for stream in reports[0].streams)
        return self._step(title, f"{rows:,} rows, equal digests")

    async def _edit_apart(self, records: edits.SharedRecords) -> Finding:
        """Pull all cables, and let every device edit the same records."""
        self._begin("Pulling the cables; each device edits the same records")
        for cable in self._cables:
            await cable.pull()
        async with self._laptop.reached() as caller:
            await edits.edit_memory(caller, records, edits.LAPTOP)
        async with self._phone.reached() as caller:
            await edits.edit_memory(caller, records, edits.PHONE)
            await edits.correct_message(caller, records)
        async with self._tablet.reached() as caller:
            await edits.edit_memory(caller, records, edits.TABLET)
            await edits.forget_message(caller, records)
        deeds_by_device = {
            self._laptop.name: edits.described(edits.LAPTOP, message="leaves it"),
            self._phone.name: edits.described(edits.PHONE, message="corrects it"),
            self._tablet.name: edits.described(edits.TABLET, message="forgets it"),
        }
        if len({await self._digests(device) for device in self._devices}) != len(self._devices):
            raise DemoError("Devices that were edited apart hold the same: they were not apart.")
        return Apart(deeds_by_device=deeds_by_device, seconds=self._spent()[0])

    async def _reconnect(self) -> Finding:
        for cable in self._cables:
            cable.plug()
        return await self._agree("Cables back: all three agree")

    async def _compare_records(self, records: edits.SharedRecords) -> Finding:
        """Read the edited records on every device, and hold them to the rules."""
        fields_by_device, message_counts = {}, []
        for device in self._devices:
            async with device.reached() as caller:
                fields_by_device[device.name] = await edits.memory_fields(caller, records)
                message_counts.append(await edits.message_count(caller, records))
        edits.check_outcome(fields_by_device, message_counts)
        conflicts = max([(await self._status(device)).conflicts for device in self._devices])
        return Together(outcome=edits.outcome(conflicts))

    async def _compare_digests(self) -> Finding:
        """Put the digests of all streams side by side."""
        streams_by_device = {device.name: (await self._status(device)).streams for device in self._devices}
        return compare_streams(streams_by_device)

    async def _phrases(self) -> list[str]:
        """Return sentences of the memory, spread over the conversation."""
        statement = "SELECT content FROM messages WHERE length(content) >= ? ORDER BY id LIMIT ?"
        request = SqlRequest(statement=statement, parameters=[_PHRASE_CHARACTERS_MIN, _PHRASES_SOUGHT])
        async with self._laptop.reached() as caller:
            rows = (await caller.call(SQL, request)).rows
        return [edits.TEXT_AFTER, *(content for (content,) in rows if isinstance(content, str))]

    async def _digests(self, device: Device) -> tuple[str, ...]:
        return tuple(stream.digest for stream in (await self._status(device)).streams)

    async def _status(self, device: Device, *, wait_seconds: float = 0.0) -> StatusReport:
        async with device.reached() as caller:
            return await caller.call(STATUS, StatusRequest(wait_seconds=wait_seconds))

    def _begin(self, title: str) -> None:
        self._working(title)
        self._began_at_seconds, self._bytes_before = time.monotonic(), self.network_bytes

    def _spent(self) -> tuple[float, int]:
        """Return the seconds and the network bytes since the step began."""
        return time.monotonic() - self._began_at_seconds, self.network_bytes - self._bytes_before

    def _step(self, title: str, detail: str) -> Step:
        seconds, network_bytes = self._spent()
        return Step(title=title, detail=detail, seconds=seconds, network_bytes=network_bytes)

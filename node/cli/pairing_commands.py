"""Commands that make two devices know each other: pair on a device that belongs, join on the new one."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Context, Option

from node.cli.interruption import run_to_end
from node.cli.invocation import Invocation, invocation_of
from node.cli.options import DeviceName, OwnerPassphraseFile, PassphraseFile, Peers
from node.cli.passphrase import read_new_passphrase, read_passphrase
from node.errors import HostError

if TYPE_CHECKING:
    from node.cli.code_file import CodeFile
    from node.requests import Caller, PairEvent

_TICK_SECONDS = 1.0
# While a person types an answer, the time that is left is told on lines of its own.
_REMINDED_AT_SECONDS = (240, 180, 120, 60, 30)


def pair(
    context: Context,
    owner_passphrase_file: OwnerPassphraseFile = None,
    qr_png: Annotated[
        Path | None,
        Option(
            "--qr-png",
            metavar="FILE",
            help="Write the QR code as a picture, too; for you alone, and gone with the code.",
        ),
    ] = None,
    from_anywhere: Annotated[
        bool, Option("--from-anywhere", help="Let a device call that is in none of this one's networks.")
    ] = False,
) -> None:
    """Add a device: show a code for it, compare six digits. The node must be running."""
    from node.cli.code_file import code_file

    with code_file(qr_png) as file:
        run_to_end(
            _pair(invocation_of(context), owner_passphrase_file, file, from_anywhere=from_anywhere),
            interrupted="Interrupted. The code is worth nothing any more; no device was added unless it says so above.",
        )


async def _pair(
    invocation: Invocation, owner_passphrase_file: Path | None, file: "CodeFile | None", *, from_anywhere: bool
) -> None:
    from node.api.client import connect
    from node.home import Home
    from node.requests import PAIR, PairRequest

    async with connect(Home(invocation.config().home_directory)) as client:
        owner_passphrase = read_passphrase(
            owner_passphrase_file,
            invocation.standard_input,
            prompt="Owner passphrase: ",
            option="--owner-passphrase-file",
        )
        invocation.output.working("Opening the owner's key")
        screen = _SponsorScreen(invocation, client, file)
        try:
            request = PairRequest(owner_passphrase=owner_passphrase, from_anywhere=from_anywhere)
            async for event in client.stream(PAIR, request):
                await screen.show(event)
        finally:
            await screen.end()


class _SponsorScreen:
    """What the person sees beside a device that belongs, and the answer that is awaited meanwhile."""

    def __init__(self, invocation: Invocation, caller: "Caller", file: "CodeFile | None") -> None:
        self._invocation = invocation
        self._output = invocation.output
        self._caller = caller
        self._file = file
        self._beside: asyncio.Task[None] | None = None

    async def show(self, event: "PairEvent") -> None:
        """Show what happened; what runs beside belongs to the event before."""
        from node.cli.pairing_rendering import (
            render_code,
            render_confirm,
            render_delivered,
            render_paired,
            render_turned_away,
        )
        from node.requests import CodeShown, ConfirmAsked, Delivered, Paired, TurnedAway

        if isinstance(event, TurnedAway):
            # The code is still good, and counted down.
            self._output.happened(event, render_turned_away)
            return
        await self.end()
        match event:
            case CodeShown():
                self._write_picture(event.code)
                self._output.show(event, render_code)
                self._beside = asyncio.create_task(self._count_down())
            case ConfirmAsked():
                self._output.show(event, render_confirm)
                # The window may close while the person looks: the stream goes on being read meanwhile.
                self._beside = asyncio.create_task(self._answer())
            case Paired():
                self._output.show(event, render_paired)
                self._output.working(f"The new device fetches {event.rows:,} rows")
            case Delivered():
                self._output.show(event, render_delivered)

    async def end(self) -> None:
        """End what runs beside."""
        beside, self._beside = self._beside, None
        if beside is not None:
            beside.cancel()
            # An answer that came too late is refused; what happened instead is the next event.
            with suppress(asyncio.CancelledError, HostError):
                await beside
            self._output.close()

    def _write_picture(self, code: str) -> None:
        if self._file is not None:
            from node.cli.qr_picture import qr_png

            self._file.write(qr_png(code))
            self._output.note(
                f"The code is in {self._file.path} as a picture, for you alone; it is removed when this command ends."
            )

    async def _count_down(self) -> None:
        from sync.pairing_window import WINDOW_SECONDS

        ends_at = time.monotonic() + WINDOW_SECONDS
        while (left := ends_at - time.monotonic()) > 0:
            self._output.working(f"Waiting for the new device. The code is good for {clock_text(left)} more.")
            await asyncio.sleep(_TICK_SECONDS)

    async def _answer(self) -> None:
        from node.requests import PAIR_ANSWER, PairAnswerRequest

        async with _reminding(self._invocation):
            accept = await says_yes(self._invocation)
        await self._caller.call(PAIR_ANSWER, PairAnswerRequest(accept=accept))


def join(
    context: Context,
    code: Annotated[
        str | None,
        Argument(
            metavar="CODE",
            help="What `nuthatch pair` shows on the other device; asked for if it is left out, - reads standard input.",
            show_default=False,
        ),
    ] = None,
    name: DeviceName = None,
    passphrase_file: PassphraseFile = None,
    peer: Peers = None,
) -> None:
    """Make this a further device of yours, with the code that `nuthatch pair` shows on another."""
    from node.cli.code_to_join_with import code_to_join_with
    from node.cli.device_name import chosen_device_name
    from node.home import Home

    invocation = invocation_of(context)
    Home(invocation.config().home_directory).require_free()
    code = code_to_join_with(code, invocation)
    name = chosen_device_name(name, invocation.standard_input)
    passphrase = read_new_passphrase(
        passphrase_file,
        invocation.standard_input,
        prompt="New passphrase for this device: ",
        option="--passphrase-file",
    )
    run_to_end(
        _join(invocation, code=code, name=name, passphrase=passphrase, peers=peer or []),
        interrupted="Interrupted. If it says Joined above, `nuthatch run` fetches the rest; else nothing was changed.",
    )


async def _join(invocation: Invocation, *, code: str, name: str, passphrase: str, peers: list[str]) -> None:
    from node.cli.pairing_rendering import render_arrival, render_joined, render_sas, render_synced
    from node.home import Home
    from node.joining import Joined, SasShown, Synced, SyncProgress, join_realm
    from node.requests import StreamComplete, StreamReadable

    config, output = invocation.config(), invocation.output

    async def confirm(_sas: str) -> bool:
        async with _reminding(invocation):
            agreed = await says_yes(invocation)
        if agreed:
            output.working("Waiting for the yes on the other device")
        return agreed

    output.working("Looking for the device that shows this code")
    async for event in join_realm(
        Home(config.home_directory),
        code=code,
        name=name,
        passphrase=passphrase,
        confirm=confirm,
        peers=peers,
        discovery=config.discovery,
        cost=config.device_cost,
    ):
        match event:
            case SasShown():
                output.show(event, render_sas)
            case Joined():
                output.show(event, render_joined)
            case SyncProgress():
                output.progress(event, label="Fetching your memory", done=event.rows, total=None)
            case StreamReadable() | StreamComplete():
                output.happened(event, render_arrival)
            case Synced():
                output.show(event, render_synced)


async def says_yes(invocation: Invocation) -> bool:
    """Read the person's answer: only the word yes is one; the end of the input is a no."""
    while True:
        invocation.output.note("Do both screens show these six digits? Type yes or no, then Enter.")
        line = await invocation.standard_input.next_line()
        if line is None:
            return False
        answer = line.strip().lower()
        if answer in {b"yes", b"no"}:
            return answer == b"yes"


@asynccontextmanager
async def _reminding(invocation: Invocation) -> AsyncIterator[None]:
    """Tell now and then how much of the five minutes is left while the block waits for a person."""
    reminding = asyncio.create_task(_remind(invocation))
    try:
        yield
    finally:
        reminding.cancel()


async def _remind(invocation: Invocation) -> None:
    from sync.pairing_window import CONFIRMATION_SECONDS

    ends_at = time.monotonic() + CONFIRMATION_SECONDS
    for left in _REMINDED_AT_SECONDS:
        await asyncio.sleep(ends_at - left - time.monotonic())
        invocation.output.note(f"{clock_text(left)} left to answer.")


def clock_text(seconds: float) -> str:
    """Return a duration as a clock shows it: 4:59."""
    minutes, rest = divmod(int(seconds + 0.5), 60)
    return f"{minutes}:{rest:02d}"

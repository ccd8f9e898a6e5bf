"""Commands that make two devices know each other: pair on a device that belongs, join on the new one."""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Context

from node.cli.invocation import Invocation, invocation_of
from node.cli.options import DeviceName, OwnerPassphraseFile, PassphraseFile, Peers
from node.cli.passphrase import read_new_passphrase, read_passphrase

if TYPE_CHECKING:
    from pathlib import Path

    from node.requests import Caller


def pair(context: Context, owner_passphrase_file: OwnerPassphraseFile = None) -> None:
    """Add a device: show a code for it, compare six digits. The node must be running."""
    asyncio.run(_pair(invocation_of(context), owner_passphrase_file))


async def _pair(invocation: Invocation, owner_passphrase_file: "Path | None") -> None:
    from node.api.client import connect
    from node.cli.pairing_rendering import render_code, render_confirm, render_paired
    from node.home import Home
    from node.requests import PAIR, CodeShown, ConfirmAsked, Paired, PairRequest

    output = invocation.output
    async with connect(Home(invocation.config().home_directory)) as client:
        owner_passphrase = read_passphrase(
            owner_passphrase_file,
            invocation.standard_input,
            prompt="Owner passphrase: ",
            option="--owner-passphrase-file",
        )
        answering: asyncio.Task[None] | None = None
        try:
            async for event in client.stream(PAIR, PairRequest(owner_passphrase=owner_passphrase)):
                match event:
                    case CodeShown():
                        output.show(event, render_code)
                    case ConfirmAsked():
                        output.show(event, render_confirm)
                        # The window may close while the person looks: the stream goes on being read meanwhile.
                        answering = asyncio.create_task(_answer(invocation, client))
                    case Paired():
                        output.show(event, render_paired)
        finally:
            if answering is not None:
                answering.cancel()
                with suppress(asyncio.CancelledError):
                    await answering


async def _answer(invocation: Invocation, caller: "Caller") -> None:
    from node.requests import PAIR_ANSWER, PairAnswerRequest

    await caller.call(PAIR_ANSWER, PairAnswerRequest(accept=await says_yes(invocation)))


def join(
    context: Context,
    code: Annotated[str, Argument(metavar="CODE", help="What `nuthatch pair` shows on the other device.")],
    name: DeviceName,
    passphrase_file: PassphraseFile = None,
    peer: Peers = None,
) -> None:
    """Make this a further device of yours, with the code that `nuthatch pair` shows on another."""
    from node.home import Home

    invocation = invocation_of(context)
    Home(invocation.config().home_directory).require_free()
    passphrase = read_new_passphrase(
        passphrase_file,
        invocation.standard_input,
        prompt="New passphrase for this device: ",
        option="--passphrase-file",
    )
    asyncio.run(_join(invocation, code=code, name=name, passphrase=passphrase, peers=peer or []))


async def _join(invocation: Invocation, *, code: str, name: str, passphrase: str, peers: list[str]) -> None:
    from node.cli.pairing_rendering import render_arrival, render_joined, render_sas, render_synced
    from node.home import Home
    from node.joining import Joined, SasShown, Synced, SyncProgress, join_realm
    from node.requests import StreamComplete, StreamReadable

    config, output = invocation.config(), invocation.output

    async def confirm(_sas: str) -> bool:
        return await says_yes(invocation)

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
                output.show(event, render_arrival)
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

"""Commands that begin and run a device: init, run."""

import logging
import os
import signal
from typing import Annotated

from typer import Context, Option

from node.cli.interruption import insist
from node.cli.invocation import Invocation, invocation_of
from node.cli.options import DeviceName, OwnerPassphraseFile, PassphraseFile, Peers
from node.cli.passphrase import read_new_passphrase, read_owner_passphrase_or, read_passphrase
from node.errors import HostError
from node.log_names import NOT_ON_SCREEN

_ENDED_LOG = logging.getLogger(NOT_ON_SCREEN)


def init(
    context: Context,
    name: DeviceName = None,
    passphrase_file: PassphraseFile = None,
    owner_passphrase_file: OwnerPassphraseFile = None,
) -> None:
    """Make this your first device.

    The passphrase opens this device; the owner's passphrase adds devices later. One may serve for both.
    """
    from node.cli.device_name import chosen_device_name
    from node.cli.pairing_rendering import render_initialised
    from node.composition import init_home
    from node.home import Home

    invocation = invocation_of(context)
    config, standard_input = invocation.config(), invocation.standard_input
    Home(config.home_directory).require_free()
    name = chosen_device_name(name, standard_input)
    passphrase = read_new_passphrase(
        passphrase_file, standard_input, prompt="New passphrase for this device: ", option="--passphrase-file"
    )
    if owner_passphrase_file is None:
        owner_passphrase = passphrase if passphrase_file else read_owner_passphrase_or(passphrase, standard_input)
    elif owner_passphrase_file == passphrase_file:
        owner_passphrase = passphrase
    else:
        owner_passphrase = read_passphrase(
            owner_passphrase_file, standard_input, prompt="Owner passphrase: ", option="--owner-passphrase-file"
        )
    invocation.output.working("Making keys and store")
    made = init_home(config, name=name, passphrase=passphrase, owner_passphrase=owner_passphrase)
    invocation.output.show(made, render_initialised)
    if standard_input.is_terminal() and invocation.output.is_terminal():
        _confirm_written_down(invocation, made.recovery_code)


def _confirm_written_down(invocation: Invocation, recovery_code: str) -> None:
    from node.cli.recovery_code import confirm_recovery_code, two_groups

    try:
        confirm_recovery_code(recovery_code, ask=input, tell=invocation.output.note, choose=two_groups)
    except (EOFError, KeyboardInterrupt):
        invocation.output.note("\nThe device is made. Write the recovery code down now: it is not shown again.")


def run(
    context: Context,
    passphrase_file: PassphraseFile = None,
    listen: Annotated[
        str | None,
        Option("--listen", metavar="HOST:PORT", help="Where other devices reach this one; port 0 takes a free one."),
    ] = None,
    api: Annotated[
        str | None,
        Option("--api", metavar="HOST:PORT", help="Where programs of this device reach the node; loopback only."),
    ] = None,
    peer: Peers = None,
) -> None:
    """Run the node: keep this device in sync and serve its programs, until Ctrl-C."""
    import asyncio

    from node.core_dumps import forbid_core_dumps
    from node.home import Home
    from node.transport.address import parse_address

    forbid_core_dumps()
    invocation = invocation_of(context)
    config = invocation.config()
    Home(config.home_directory).require()
    for address in (listen, api, *(peer or ())):
        if address is not None:
            parse_address(address)
    passphrase = read_passphrase(
        passphrase_file or config.passphrase_file,
        invocation.standard_input,
        prompt="Passphrase: ",
        option="--passphrase-file",
    )
    invocation.output.working("Opening the store")
    asyncio.run(_run(invocation, passphrase=passphrase, listen=listen, api=api, peers=peer or []))


async def _run(
    invocation: Invocation, *, passphrase: str, listen: str | None, api: str | None, peers: list[str]
) -> None:
    import asyncio

    from node.autostart.readiness import tell_supervisor
    from node.cli.device_rendering import render_node_event, unnamed
    from node.home import Home
    from node.logs import configure_logging
    from node.requests import Notice
    from node.running import Ready, run_node

    config = invocation.config()
    configure_logging(config.log, file=Home(config.home_directory).log_file)
    output = invocation.output
    named = output.is_terminal()

    stop = asyncio.Event()

    told: list[int] = []

    def stopping(number: int) -> None:
        told.append(number)
        if len(told) > 1:
            insist(number, len(told))
        stop.set()
        tell_supervisor("STOPPING=1", os.environ)

    # Where the terminal goes away the node stops in good order, too, unless it was started to outlive it.
    outlives = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    for number in (signal.SIGINT, signal.SIGTERM, *(() if outlives else (signal.SIGHUP,))):
        asyncio.get_running_loop().add_signal_handler(number, stopping, number)
    try:
        async for event in run_node(config, passphrase=passphrase, stop=stop, listen=listen, api=api, peers=peers):
            if isinstance(event, Ready):
                tell_supervisor("READY=1", os.environ)
            tell = output.show if isinstance(event, Ready | Notice) else output.happened
            tell(event if named else unnamed(event), render_node_event)
    except HostError as error:
        # Where a supervisor started the node, nobody may read what it prints; who does reads it as every other failure.
        _ENDED_LOG.error("the node ended", extra={"reason": str(error)})
        raise

"""Commands that tell how the devices stand: status, devices."""

from typing import Annotated

from typer import Context, Exit, Option

from node.cli.failures import FAILED
from node.cli.invocation import invocation_of
from node.cli.options import PassphraseFile


def status(
    context: Context,
    wait: Annotated[
        float,
        Option("--wait", metavar="SECONDS", min=0, help="Wait until in sync with every device; exit 1 if not by then."),
    ] = 0.0,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Show whether your devices agree: by frontier and digest, never by belief."""
    from node.cli.device_rendering import render_status
    from node.requests import STATUS, StatusRequest

    invocation = invocation_of(context)
    report = invocation.perform(passphrase_file, lambda caller: caller.call(STATUS, StatusRequest(wait_seconds=wait)))
    invocation.output.show(report, render_status)
    if wait and not all(peer.in_sync for peer in report.peers):
        raise Exit(FAILED)


def devices(context: Context, passphrase_file: PassphraseFile = None) -> None:
    """List the devices that belong to you."""
    from node.cli.device_rendering import render_devices
    from node.requests import DEVICES, DevicesRequest

    invocation = invocation_of(context)
    found = invocation.perform(passphrase_file, lambda caller: caller.call(DEVICES, DevicesRequest()))
    invocation.output.show(found, render_devices)

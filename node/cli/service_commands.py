"""The commands of `service`: install, uninstall, status."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Context, Exit, Option, Typer

from node.cli.invocation import Invocation, invocation_of
from node.cli.options import PassphraseFile
from node.cli.passphrase import STANDARD_INPUT, read_passphrase
from node.errors import NotRunningError, UsageError

if TYPE_CHECKING:
    from node.home import Home

service = Typer(
    help="Let the node start with your session: systemd on Linux, launchd on macOS.",
    no_args_is_help=False,
    invoke_without_command=True,
)


class Unlocking(StrEnum):
    """What opens the device while nobody is there to type the passphrase."""

    KEY = "key"
    FILE = "passphrase-file"


@service.callback()
def service_or_status(context: Context) -> None:
    """Show how the service stands if no command is given."""
    if context.invoked_subcommand is None:
        show_service(context)


@service.command("install")
def install_service(
    context: Context,
    unlock_with: Annotated[
        Unlocking,
        Option(
            "--unlock-with",
            metavar="key|passphrase-file",
            help="A key of the service's own, or the file of --passphrase-file, read at each start.",
        ),
    ] = Unlocking.KEY,
    show: Annotated[
        bool, Option("--print", help="Only print what the supervisor would be told; change nothing.")
    ] = False,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Run the node from now on, at each login, and again if it fails."""
    from node.autostart.installation import described, install
    from node.autostart.supervised import label_of
    from node.autostart.supervisor import supervisor_of_this_system
    from node.cli.service_rendering import installed_report, render_installed
    from node.entropy import SystemEntropy

    invocation = invocation_of(context)
    home, supervisor = _home(invocation), supervisor_of_this_system()
    kept_file = _kept_file(passphrase_file) if unlock_with is Unlocking.FILE else None
    if show:
        _print(invocation, str(supervisor.file_of(label_of(home))), described(home, supervisor, kept_file))
        return
    home.require()
    passphrase = read_passphrase(
        passphrase_file or invocation.config().passphrase_file,
        invocation.standard_input,
        prompt="Passphrase: ",
        option="--passphrase-file",
    )
    installed = install(home, supervisor, passphrase=passphrase, passphrase_file=kept_file, entropy=SystemEntropy())
    report = installed_report(installed, supervisor.name, unlock_with.value)
    invocation.output.show(report, render_installed)


@service.command("uninstall")
def uninstall_service(context: Context) -> None:
    """Stop the node, start it no more, and make the service's key worthless."""
    from node.autostart.installation import uninstall
    from node.autostart.supervisor import supervisor_of_this_system
    from node.cli.service_rendering import UninstalledReport, render_uninstalled

    invocation = invocation_of(context)
    done = uninstall(_home(invocation), supervisor_of_this_system())
    report = UninstalledReport(uninstalled=done.there, key_removed=done.key_removed)
    invocation.output.show(report, render_uninstalled)


@service.command("status")
def show_service(context: Context) -> None:
    """Show whether the service is installed and runs; exit 4 if it does not run."""
    from node.autostart.installation import state_of
    from node.autostart.supervisor import supervisor_of_this_system
    from node.cli.service_rendering import render_service, service_report

    invocation = invocation_of(context)
    home, supervisor = _home(invocation), supervisor_of_this_system()
    report = service_report(home, supervisor, state_of(home, supervisor))
    invocation.output.show(report, render_service)
    if not report.running:
        raise Exit(NotRunningError.exit_code)


def _print(invocation: Invocation, file: str, description: bytes) -> None:
    from node.cli.service_rendering import Described, render_described

    if invocation.json:
        invocation.output.show(Described(file=file, text=description.decode()), render_described)
    else:
        # As it stands in the file: on its way through a drawing, lines would be wrapped.
        invocation.output.write(description)


def _kept_file(passphrase_file: Path | None) -> Path:
    if passphrase_file is None or passphrase_file == STANDARD_INPUT:
        raise UsageError("--unlock-with passphrase-file needs --passphrase-file FILE, a file that stays where it is.")
    return passphrase_file.expanduser().absolute()


def _home(invocation: Invocation) -> "Home":
    from node.home import Home

    return Home(invocation.config().home_directory)

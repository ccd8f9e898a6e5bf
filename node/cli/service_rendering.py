"""How a service looks to a person: how it stands, and what its unlocking costs."""

import msgspec
from rich.console import Group, RenderableType
from rich.text import Text

from node.autostart.installation import Installed, unlock_file_of
from node.autostart.state import State
from node.autostart.supervised import label_of
from node.autostart.supervisor import Supervisor
from node.cli.plain_text import plain
from node.home import Home

_COST_BY_UNLOCKING = {
    "key": "The key in {file} opens this device without you: whoever reads your files or a backup of them all, or "
    "takes a disk that is not encrypted, can read your memory. A copy of the home alone stays closed. It is not your "
    "passphrase and adds no device; `nuthatch service uninstall` makes it worthless.",
    "passphrase-file": "The passphrase in {file} opens this device without you: whoever reads your files or a backup "
    "of them all, or takes a disk that is not encrypted, has it, also for whatever else it opens. A copy of the home "
    "alone stays closed. --unlock-with key writes no passphrase down.",
}


class ServiceReport(msgspec.Struct, frozen=True, kw_only=True):
    """How the service of a home stands; `says` is the supervisor's own word."""

    installed: bool
    running: bool
    enabled: bool
    supervisor: str
    label: str
    file: str
    says: str
    advice: str


class InstalledReport(msgspec.Struct, frozen=True, kw_only=True):
    """A service that was installed, and what its unlocking costs."""

    label: str
    supervisor: str
    file: str
    unlock_file: str
    unlocked_with: str
    cost: str
    running: bool
    says: str
    advice: str


class Described(msgspec.Struct, frozen=True, kw_only=True):
    """What the supervisor would be told, and the file that would hold it."""

    file: str
    text: str


class UninstalledReport(msgspec.Struct, frozen=True, kw_only=True):
    """Whether there was a service to take away, and a key of its own that opens nothing any more."""

    uninstalled: bool
    key_removed: bool


def service_report(home: Home, supervisor: Supervisor, state: State | None) -> ServiceReport:
    """Put together what is known of a home's service."""
    label = label_of(home)
    stray = unlock_file_of(home).exists()
    found = state or State(
        enabled=False,
        running=False,
        says="not installed",
        advice="An unlock key was left behind: nuthatch service uninstall" if stray else "",
    )
    return ServiceReport(
        installed=state is not None,
        running=found.running,
        enabled=found.enabled,
        supervisor=supervisor.name,
        label=label,
        file=str(supervisor.file_of(label)),
        says=found.says,
        advice=found.advice or ("" if found.running or state is None else f"What the node logged: {home.log_file}"),
    )


def installed_report(installed: Installed, supervisor_name: str, unlocked_with: str) -> InstalledReport:
    """Say what was made, and what it costs."""
    return InstalledReport(
        label=installed.label,
        supervisor=supervisor_name,
        file=str(installed.file),
        unlock_file=str(installed.unlock_file),
        unlocked_with=unlocked_with,
        cost=_COST_BY_UNLOCKING[unlocked_with].format(file=installed.unlock_file),
        running=installed.state.running,
        says=installed.state.says,
        advice=installed.state.advice,
    )


def render_service(value: ServiceReport) -> RenderableType:
    """Draw how the service stands."""
    if not value.installed:
        how = Text.assemble("No service is installed. ", ("nuthatch service install", "bold"), " makes one.")
        return _with_advice(how, value.advice)
    style = "green" if value.running else "yellow"
    how = Text.assemble((value.label, "bold"), "  ", (plain(value.says), style), f", kept by {value.supervisor}")
    if not value.enabled:
        how.append("; it does not start by itself", style="yellow")
    return _with_advice(Group(how, Text(value.file, style="dim", overflow="fold")), value.advice)


def render_installed(value: InstalledReport) -> RenderableType:
    """Draw what was installed, with the price of unlocking in plain words."""
    how = Text.assemble(
        ("Installed. ", "bold green"), f"{value.label} is {plain(value.says)}, kept by {value.supervisor}."
    )
    file = Text(value.file, style="dim", overflow="fold")
    return _with_advice(Group(how, file, Text(f"\n{plain(value.cost)}", style="yellow")), value.advice)


def render_described(value: Described) -> RenderableType:
    """Draw the description."""
    return Text(value.text)


def render_uninstalled(value: UninstalledReport) -> RenderableType:
    """Draw that there is no service any more."""
    key = " The service's key opens nothing any more." if value.key_removed else ""
    if not value.uninstalled:
        return Text(f"No service was installed.{key}")
    return Text.assemble(("Uninstalled. ", "bold green"), f"The node is stopped.{key}")


def _with_advice(drawn: RenderableType, advice: str) -> RenderableType:
    return Group(drawn, Text(f"\n{plain(advice)}")) if advice else drawn

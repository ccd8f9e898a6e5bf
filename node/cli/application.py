"""The command line as a whole: global options, and which function answers which command."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated

from typer import Context, Exit, Option, Typer, echo

from node.cli.anywhere import AnywhereCommand, AnywhereGroup, HomeDirectory, Json, Quiet
from node.cli.completion_command import completion, prepare_completion
from node.cli.config_commands import config
from node.cli.conflict_commands import conflicts
from node.cli.data_commands import export, import_file, sql
from node.cli.demo_command import demo
from node.cli.device_commands import devices, status
from node.cli.doctor_command import doctor
from node.cli.event_commands import events, metrics
from node.cli.failures import exit_code_of
from node.cli.history_commands import log, undo
from node.cli.invocation import make_invocation
from node.cli.manual.page import epilog
from node.cli.manual.pages import PAGES, TOP
from node.cli.memory_commands import edit, forget, list_memories, recall, remember, show
from node.cli.pairing_commands import join, pair
from node.cli.service_commands import service
from node.cli.setup_commands import init, run
from node.cli.switches import Group
from node.errors import UsageError

application = Typer(
    name="nuthatch",
    cls=Group,
    invoke_without_command=True,
    add_completion=False,
    # A traceback with local variables would show passphrases and memories.
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


@application.callback(epilog=epilog(TOP))
def global_options(
    context: Context,
    home: HomeDirectory = None,
    json: Json = False,
    quiet: Quiet = False,
    version: Annotated[bool, Option("--version", help="Show the version.")] = False,
) -> None:
    """A private memory that lives on all of your devices and nowhere else."""
    invocation = context.obj = make_invocation(home_directory=home, json=json, quiet=quiet)
    context.call_on_close(invocation.output.close)
    if version:
        from node.cli.version import installed_version, render_version

        invocation.output.show(installed_version(), render_version)
        raise Exit
    if context.invoked_subcommand is None:
        if not json:
            echo(context.get_help())
        raise UsageError("Which command? None was given.")


_COMMAND_BY_NAME_BY_PANEL: Mapping[str, Mapping[str, Callable[..., None]]] = {
    "Begin": {"init": init, "run": run, "demo": demo},
    "Devices": {"pair": pair, "join": join, "devices": devices, "status": status, "doctor": doctor},
    "Memory": {
        "remember": remember,
        "recall": recall,
        "list": list_memories,
        "show": show,
        "edit": edit,
        "forget": forget,
        "log": log,
        "undo": undo,
    },
    "Data": {"import": import_file, "export": export, "sql": sql},
    "Living with it": {"events": events, "metrics": metrics, "completion": completion},
}
for _panel, _command_by_name in _COMMAND_BY_NAME_BY_PANEL.items():
    for _name, _command in _command_by_name.items():
        application.command(_name, cls=AnywhereCommand, rich_help_panel=_panel, epilog=epilog(PAGES[_name,]))(_command)
_GROUPS = (
    ("conflicts", conflicts, "Memory"),
    ("service", service, "Living with it"),
    ("config", config, "Living with it"),
)
for _name, _group, _panel in _GROUPS:
    application.add_typer(_group, name=_name, cls=AnywhereGroup, rich_help_panel=_panel, epilog=epilog(PAGES[_name,]))
    for _registered in _group.registered_commands:
        _registered.cls = AnywhereCommand
        _registered.epilog = epilog(PAGES[_name, _registered.name or ""])


def _refuse_undecodable() -> None:
    raise UsageError(
        "An argument is no valid UTF-8 text. Give the text in a file, or type it in this terminal's encoding."
    )


def run_command_line(arguments: Sequence[str]) -> int:
    """Perform the command that the arguments name; return the exit code of the process."""
    if any("\ud800" <= character <= "\udfff" for argument in arguments for character in argument):
        return exit_code_of(_refuse_undecodable, arguments)
    prepare_completion()
    return exit_code_of(
        lambda: application(args=list(arguments), prog_name="nuthatch", standalone_mode=False), arguments
    )

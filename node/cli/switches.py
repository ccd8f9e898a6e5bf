"""Commands whose help is of a width that can be read, and shows no type of a switch: nothing is written after one."""

from typing import TYPE_CHECKING

from typer.core import TyperCommand, TyperGroup, TyperOption

if TYPE_CHECKING:
    # Where typer keeps the types of what it calls these methods with; it shows them to nobody.
    from typer._click.core import Context
    from typer._click.formatting import HelpFormatter


# A table of options that fills a wide window is read with a finger on the line.
HELP_COLUMNS_MAX = 100


class Command(TyperCommand):
    """A command."""

    def format_help(self, ctx: "Context", formatter: "HelpFormatter") -> None:
        """Write the help."""
        _prepare(self, ctx)
        super().format_help(ctx, formatter)


class Group(TyperGroup):
    """A command that consists of commands."""

    def format_help(self, ctx: "Context", formatter: "HelpFormatter") -> None:
        """Write the help."""
        _prepare(self, ctx)
        super().format_help(ctx, formatter)


def _prepare(command: TyperCommand | TyperGroup, context: "Context") -> None:
    from rich.console import Console
    from typer import rich_utils

    rich_utils.MAX_WIDTH = min(Console().width, HELP_COLUMNS_MAX)
    for parameter in command.get_params(context):
        if isinstance(parameter, TyperOption) and parameter.is_flag:
            parameter.metavar = ""

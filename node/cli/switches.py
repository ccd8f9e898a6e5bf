"""Commands whose help shows a switch without a type: a switch is given or not, there is nothing to write after it."""

from typing import TYPE_CHECKING

from typer.core import TyperCommand, TyperGroup, TyperOption

if TYPE_CHECKING:
    # Where typer keeps the types of what it calls these methods with; it shows them to nobody.
    from typer._click.core import Context
    from typer._click.formatting import HelpFormatter


class Command(TyperCommand):
    """A command."""

    def format_help(self, ctx: "Context", formatter: "HelpFormatter") -> None:
        """Write the help."""
        _leave_out_types(self, ctx)
        super().format_help(ctx, formatter)


class Group(TyperGroup):
    """A command that consists of commands."""

    def format_help(self, ctx: "Context", formatter: "HelpFormatter") -> None:
        """Write the help."""
        _leave_out_types(self, ctx)
        super().format_help(ctx, formatter)


def _leave_out_types(command: TyperCommand | TyperGroup, context: "Context") -> None:
    for parameter in command.get_params(context):
        if isinstance(parameter, TyperOption) and parameter.is_flag:
            parameter.metavar = ""

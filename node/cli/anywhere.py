"""The options that every command takes: they may stand before the command or behind it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from node.cli.interruption import NOTHING_HALF_DONE, BrokenOffError
from node.cli.invocation import Invocation
from node.cli.switches import Command, Group

if TYPE_CHECKING:
    from typer._click.core import Context, Parameter

HomeDirectory = Annotated[
    Path | None,
    Option(
        "--home", metavar="DIR", readable=False, help="Where this device keeps its data; NUTHATCH_HOME says the same."
    ),
]
Json = Annotated[bool, Option("--json", help="Answer with one JSON object a line.")]
Quiet = Annotated[bool, Option("--quiet", "-q", help="Only answers and errors: no progress, no hints.")]

_NAMES = frozenset({"home", "json", "quiet"})


class AnywhereCommand(Command):
    """A command that takes the application's options, too."""

    def get_params(self, context: "Context") -> "list[Parameter]":
        """Return the command's own parameters, then the application's."""
        return [*super().get_params(context), *_of_the_application(context)]

    def invoke(self, context: "Context") -> object:
        """Put the application's options where the command looks for them, and run it."""
        _resolve(context)
        with _told_when_broken_off():
            return super().invoke(context)


class AnywhereGroup(Group):
    """A command with commands of its own that takes the application's options, too."""

    def get_params(self, context: "Context") -> "list[Parameter]":
        """Return the group's own parameters, then the application's."""
        return [*super().get_params(context), *_of_the_application(context)]

    def invoke(self, context: "Context") -> object:
        """Put the application's options where the command looks for them, and run it."""
        _resolve(context)
        with _told_when_broken_off():
            return super().invoke(context)


@contextmanager
def _told_when_broken_off() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as interrupt:
        raise BrokenOffError(str(interrupt) or NOTHING_HALF_DONE) from None


def _of_the_application(context: "Context") -> "list[Parameter]":
    return [parameter for parameter in context.find_root().command.params if parameter.name in _NAMES]


def _resolve(context: "Context") -> None:
    home, json, quiet = (context.params.pop(name, None) for name in ("home", "json", "quiet"))
    if home or json or quiet:
        before = context.find_object(Invocation)
        assert before is not None, "the callback of the application runs before every command"
        context.obj = before.changed(home_directory=home, json=bool(json), quiet=bool(quiet))
        context.call_on_close(context.obj.output.close)

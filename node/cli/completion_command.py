"""The command that writes a shell's completion, and the answers that the shell then asks this program for.

The protocol between shell and program is typer's: the script calls the program with a variable set, and the program
answers with what can follow instead of running a command.
"""

import io
import os
from collections.abc import Mapping
from contextlib import redirect_stdout
from enum import StrEnum
from typing import Annotated

import msgspec
from typer import Argument, Context

from node.cli.invocation import invocation_of

VARIABLE = "_NUTHATCH_COMPLETE"


class Shell(StrEnum):
    """The shells that can ask."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


class CompletionScript(msgspec.Struct, frozen=True, kw_only=True):
    """What a shell is to read."""

    shell: str
    script: str


def completion(
    context: Context,
    shell: Annotated[Shell, Argument(metavar="bash|zsh|fish", help="The shell to write for.", show_default=False)],
) -> None:
    """Write the completion of this program for a shell: commands, options, settings."""
    from typer.completion import shell_complete

    invocation = invocation_of(context)
    prepare_completion({VARIABLE: shell.value})
    written = io.StringIO()
    with redirect_stdout(written):
        shell_complete(context.find_root().command, {}, "nuthatch", VARIABLE, f"source_{shell.value}")
    if invocation.json:
        invocation.output.show(CompletionScript(shell=shell.value, script=written.getvalue()), lambda one: one.script)
    else:
        # Exactly as it is: a drawing would wrap its lines.
        invocation.output.write(written.getvalue().encode())


def prepare_completion(environment: Mapping[str, str] = os.environ) -> None:
    """Make typer know its shells if it is a shell that calls; typer does so itself only with options that we lack."""
    if VARIABLE in environment:
        from typer.completion import get_completion_inspect_parameters

        get_completion_inspect_parameters()

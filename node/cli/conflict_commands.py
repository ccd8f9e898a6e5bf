"""The commands of `conflicts`: list, show, resolve, undo."""

from enum import StrEnum
from typing import Annotated

from typer import Argument, Context, Option, Typer

from node.cli.invocation import invocation_of
from node.cli.options import PassphraseFile

conflicts = Typer(
    help="Versions that were written apart: see both, choose, take a choice back. Nothing waits for it.",
    no_args_is_help=False,
    invoke_without_command=True,
)

Key = Annotated[
    str,
    Argument(metavar="KEY", help="The conflict's key, as list shows it; its first digits suffice.", show_default=False),
]
Everything = Annotated[bool, Option("--all", help="Also those that are settled or resolved.")]
Limit = Annotated[int, Option("-k", "--limit", metavar="N", min=1, help="How many at most.")]


class Keep(StrEnum):
    """Which of the two versions is to stand."""

    SHOWN = "shown"
    OTHER = "other"


@conflicts.callback()
def conflicts_or_list(context: Context, passphrase_file: PassphraseFile = None) -> None:
    """List the open conflicts if no command is given."""
    if context.invoked_subcommand is None:
        list_conflicts(context, everything=False, limit=50, passphrase_file=passphrase_file)


@conflicts.command("list")
def list_conflicts(
    context: Context, everything: Everything = False, limit: Limit = 50, passphrase_file: PassphraseFile = None
) -> None:
    """List conflicts, newest first."""
    from node.cli.conflict_rendering import render_conflicts
    from node.requests import CONFLICTS, ConflictsRequest

    invocation = invocation_of(context)
    request = ConflictsRequest(everything=everything, limit=limit)
    found = invocation.perform(passphrase_file, lambda caller: caller.call(CONFLICTS, request))
    invocation.output.show(found, render_conflicts)


@conflicts.command("show")
def show_conflict(context: Context, key: Key, passphrase_file: PassphraseFile = None) -> None:
    """Show both versions of one conflict, who wrote them when, and how they differ."""
    from node.cli.conflict_rendering import render_conflict
    from node.requests import CONFLICT, ConflictRequest

    invocation = invocation_of(context)
    found = invocation.perform(passphrase_file, lambda caller: caller.call(CONFLICT, ConflictRequest(key=key)))
    invocation.output.show(found, render_conflict)


@conflicts.command("resolve")
def resolve_conflict(
    context: Context,
    key: Key,
    keep: Annotated[Keep | None, Option("--keep", metavar="shown|other", help="Which version is to stand.")] = None,
    text: Annotated[str | None, Option("--text", metavar="TEXT", help="Or what is to stand instead of both.")] = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Choose between the versions of a conflict, on all your devices."""
    from node.cli.conflict_rendering import render_resolved
    from node.requests import RESOLVE, ResolveRequest

    invocation = invocation_of(context)
    request = ResolveRequest(key=key, keep=None if keep is None else keep.value, text=text)
    resolved = invocation.perform(passphrase_file, lambda caller: caller.call(RESOLVE, request))
    invocation.output.show(resolved, render_resolved)


@conflicts.command("undo")
def undo_resolution(context: Context, key: Key, passphrase_file: PassphraseFile = None) -> None:
    """Take a choice back: the conflict is open again, with what stood before."""
    from node.cli.conflict_rendering import render_reopened
    from node.requests import REOPEN, ReopenRequest

    invocation = invocation_of(context)
    reopened = invocation.perform(passphrase_file, lambda caller: caller.call(REOPEN, ReopenRequest(key=key)))
    invocation.output.show(reopened, render_reopened)

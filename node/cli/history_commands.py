"""Commands that look back and take back: log, undo."""

from typing import Annotated

from typer import Argument, Context, Option

from node.cli.invocation import invocation_of
from node.cli.options import PassphraseFile, RecordId


def log(
    context: Context,
    record_id: Annotated[
        str | None, Argument(metavar="[ID]", help="Only what was done to this record.", show_default=False)
    ] = None,
    limit: Annotated[int, Option("-k", "--limit", metavar="N", min=1, help="How many entries at most.")] = 20,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Show who changed what, where and when, newest first, of the last 90 days."""
    from node.cli.history_rendering import render_log
    from node.requests import LOG, LogRequest

    invocation = invocation_of(context)
    request = LogRequest(id=record_id, limit=limit)
    report = invocation.perform(passphrase_file, lambda caller: caller.call(LOG, request))
    invocation.output.show(report, render_log)


def undo(
    context: Context,
    record_id: RecordId,
    to: Annotated[
        str | None, Option("--to", metavar="VERSION", help="Set it back to how it was then, as log shows it.")
    ] = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Take back the latest change of a record, on all your devices; an undo can be undone."""
    from node.cli.history_rendering import render_undone
    from node.requests import UNDO, UndoRequest

    invocation = invocation_of(context)
    undone = invocation.perform(passphrase_file, lambda caller: caller.call(UNDO, UndoRequest(id=record_id, to=to)))
    invocation.output.show(undone, render_undone)

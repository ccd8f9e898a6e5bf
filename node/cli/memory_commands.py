"""Commands that keep and find memories: remember, recall, list, show, edit, forget."""

from typing import Annotated

from typer import Argument, Context, Option

from node.cli.invocation import Invocation, invocation_of
from node.cli.options import Namespace, PassphraseFile, RecordId
from node.errors import InputError

_STANDARD_INPUT = "-"


def remember(
    context: Context,
    text: Annotated[str, Argument(metavar="TEXT|-", help="What to keep; - reads standard input.", show_default=False)],
    namespace: Namespace = None,
    tag: Annotated[list[str] | None, Option("--tag", metavar="TAG", help="May be given several times.")] = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Keep a text, on all your devices."""
    from node.cli.rendering import render_remembered
    from node.requests import REMEMBER, RememberRequest

    invocation = invocation_of(context)

    def request() -> RememberRequest:
        kept = _text_of(text, invocation)
        if namespace is None:
            return RememberRequest(text=kept, tags=tag or [])
        return RememberRequest(text=kept, namespace=namespace, tags=tag or [])

    remembered = invocation.perform(passphrase_file, lambda caller: caller.call(REMEMBER, request()))
    invocation.output.show(remembered, render_remembered)


def recall(
    context: Context,
    query: Annotated[str, Argument(metavar="QUERY", help="Any words; nothing in them is special.", show_default=False)],
    limit: Annotated[int, Option("-k", "--limit", metavar="N", min=1, max=1000, help="How many results at most.")] = 10,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Find what was kept, best first."""
    from node.cli.rendering import render_recalled
    from node.requests import RECALL, RecallRequest

    invocation = invocation_of(context)
    recalled = invocation.perform(
        passphrase_file, lambda caller: caller.call(RECALL, RecallRequest(query=query, limit=limit))
    )
    invocation.output.show(recalled, render_recalled)


def list_memories(
    context: Context,
    namespace: Namespace = None,
    limit: Annotated[int, Option("-k", "--limit", metavar="N", min=1, help="How many at most.")] = 50,
    passphrase_file: PassphraseFile = None,
) -> None:
    """List memories, newest first."""
    from node.cli.rendering import render_memories
    from node.requests import LIST, ListRequest

    invocation = invocation_of(context)
    memories = invocation.perform(
        passphrase_file, lambda caller: caller.call(LIST, ListRequest(namespace=namespace, limit=limit))
    )
    invocation.output.show(memories, render_memories)


def show(context: Context, record_id: RecordId, passphrase_file: PassphraseFile = None) -> None:
    """Show everything that one record holds."""
    from node.cli.rendering import render_record
    from node.requests import SHOW, ShowRequest

    invocation = invocation_of(context)
    shown = invocation.perform(passphrase_file, lambda caller: caller.call(SHOW, ShowRequest(id=record_id)))
    invocation.output.show(shown, render_record)


def edit(
    context: Context,
    record_id: RecordId,
    text: Annotated[str, Option("--text", metavar="TEXT|-", help="The new text; - reads standard input.")],
    base: Annotated[
        str | None,
        Option(metavar="VERSION", help="The version that you edited (nuthatch show ID); what came since is kept."),
    ] = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Give a memory or a message a new text."""
    from node.cli.rendering import render_edited
    from node.requests import EDIT, EditRequest

    invocation = invocation_of(context)
    edited = invocation.perform(
        passphrase_file,
        lambda caller: caller.call(EDIT, EditRequest(id=record_id, text=_text_of(text, invocation), base=base)),
    )
    invocation.output.show(edited, render_edited)


def forget(
    context: Context,
    record_id: RecordId,
    dry_run: Annotated[bool, Option("--dry-run", help="Only say what would go; change nothing.")] = False,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Delete a record for good, on all your devices, with its history and its words in the change log."""
    from node.cli.history_rendering import render_forgotten
    from node.requests import FORGET, ForgetRequest

    invocation = invocation_of(context)
    request = ForgetRequest(id=record_id, dry_run=dry_run)
    forgotten = invocation.perform(passphrase_file, lambda caller: caller.call(FORGET, request), doing="Forgetting")
    invocation.output.show(forgotten, render_forgotten)


def _text_of(argument: str, invocation: Invocation) -> str:
    """Return the argument, or what standard input holds after a passphrase that may have come first."""
    if argument != _STANDARD_INPUT:
        return argument
    invocation.output.close()  # nothing may turn where a person types
    if invocation.standard_input.is_terminal():
        invocation.output.note("Type the text; Ctrl-D on a line of its own ends it.")
    try:
        return invocation.standard_input.everything().decode().removesuffix("\n")
    except UnicodeDecodeError as error:
        raise InputError(f"Standard input is not valid UTF-8 text (byte {error.start}); nothing was kept.") from None

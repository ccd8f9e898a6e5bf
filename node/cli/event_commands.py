"""Commands for whoever watches a node: events, metrics."""

from typing import Annotated

from typer import Context, Option

from node.cli.interruption import run_to_end
from node.cli.invocation import Invocation, invocation_of
from node.cli.options import PassphraseFile
from node.errors import UsageError


def kinds(incomplete: str) -> list[str]:
    """Return the kinds of events that begin so, for a shell that completes a command line."""
    from node.cli.following import KINDS

    return [kind for kind in KINDS if kind.startswith(incomplete)]


def events(
    context: Context,
    kind: Annotated[
        list[str] | None,
        Option("--kind", metavar="KIND", help="Only this kind; may be given several times.", autocompletion=kinds),
    ] = None,
    count: Annotated[
        int | None, Option("-n", "--count", metavar="N", min=1, help="End after so many events.", show_default=False)
    ] = None,
    wait: Annotated[bool, Option("--wait", help="Wait for a node if none runs yet.")] = False,
) -> None:
    """Follow what happens on the running node, through its restarts, until Ctrl-C."""
    from node.cli.following import KINDS

    if unknown := sorted(set(kind or ()) - set(KINDS)):
        raise UsageError(f"There is no kind of event {unknown[0]!r}; there are {', '.join(KINDS)}.")
    try:
        run_to_end(_follow(invocation_of(context), wanted=frozenset(kind or KINDS), count=count, wait=wait))
    except KeyboardInterrupt:
        return  # it is how a person ends it


async def _follow(invocation: Invocation, *, wanted: frozenset[str], count: int | None, wait: bool) -> None:
    from contextlib import aclosing

    from node.cli.following import follow, kind_of, render_followed
    from node.home import Home

    left = count
    async with aclosing(follow(Home(invocation.config().home_directory), wait=wait)) as followed:
        async for event in followed:
            if kind_of(event) not in wanted:
                continue
            invocation.output.show(event, render_followed)
            left = None if left is None else left - 1
            if left == 0:
                return


def metrics(context: Context, passphrase_file: PassphraseFile = None) -> None:
    """Print the figures of this device as Prometheus reads them; the node serves the same at /metrics."""
    from node.api.exposition import exposition
    from node.requests import METRICS, MetricsRequest

    invocation = invocation_of(context)
    report = invocation.perform(passphrase_file, lambda caller: caller.call(METRICS, MetricsRequest()))
    if invocation.json:
        invocation.output.show(report, exposition)
    else:
        # Exactly what the node serves: drawn, long lines would be wrapped.
        invocation.output.write(exposition(report).encode())

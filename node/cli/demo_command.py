"""The demo command: three devices of an imagined person, from the first pairing to agreement."""

from pathlib import Path
from typing import Annotated

from typer import Context, Option

from node.cli.invocation import invocation_of


def demo(
    context: Context,
    import_file: Annotated[
        Path | None, Option("--import", metavar="FILE", help="A conversation in LoCoMo's format instead of the sample.")
    ] = None,
    keep: Annotated[bool, Option("--keep", help="Leave the three homes there afterwards.")] = False,
) -> None:
    """Watch three devices pair, import, edit apart, and agree."""
    from node.demo.show import run_demo

    invocation = invocation_of(context)
    run_demo(invocation.output, conversation=import_file, keep=keep)

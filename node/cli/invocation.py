"""What holds for one command: its home, its way of answering, its input, and how it reaches whoever owns the home."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from node.cli.output import HumanOutput, JsonOutput, Output
from node.cli.passphrase import read_unlocking_passphrase
from node.cli.standard_input import StandardInput

if TYPE_CHECKING:
    import typer

    from node.config import NodeConfig
    from node.requests import Caller

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """The options given before the command, resolved."""

    home_directory: Path | None
    json: bool
    output: Output
    standard_input: StandardInput = field(default_factory=StandardInput)

    def config(self) -> "NodeConfig":
        """Return the settings of this process; raises `SettingError`."""
        from node.config import load_config

        return load_config(home_directory=self.home_directory)

    def caller(self, passphrase_file: Path | None) -> "AbstractAsyncContextManager[Caller]":
        """Reach the running node, or else open the home; the passphrase is asked for in the second case only."""
        from node.reaching import reach

        config = self.config()
        source = passphrase_file or config.passphrase_file
        return reach(config, passphrase=lambda: read_unlocking_passphrase(source, self.standard_input))

    def perform(self, passphrase_file: Path | None, work: "Callable[[Caller], Awaitable[T]]") -> T:
        """Do a piece of work with whoever owns the home, to its end."""

        async def reached() -> T:
            async with self.caller(passphrase_file) as caller:
                return await work(caller)

        return asyncio.run(reached())


def make_invocation(*, home_directory: Path | None, json: bool) -> Invocation:
    """Bundle the global options."""
    return Invocation(home_directory=home_directory, json=json, output=JsonOutput() if json else HumanOutput())


def invocation_of(context: "typer.Context") -> Invocation:
    """Return what the global options left for the command."""
    found = context.find_object(Invocation)
    assert found is not None, "the callback of the application runs before every command"
    return found

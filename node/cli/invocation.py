"""What holds for one command: its home, its way of answering, its input, and how it reaches whoever owns the home."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from node.cli.human_output import HumanOutput
from node.cli.output import JsonOutput, Output
from node.cli.passphrase import read_unlocking_passphrase
from node.cli.standard_input import StandardInput

if TYPE_CHECKING:
    import typer

    from node.config import NodeConfig
    from node.requests import Caller

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """The options that every command has, resolved."""

    home_directory: Path | None
    json: bool
    quiet: bool
    output: Output
    standard_input: StandardInput = field(default_factory=StandardInput)

    def config(self) -> "NodeConfig":
        """Return the settings of this process; raises `SettingError`."""
        from node.config import load_config

        return load_config(home_directory=self.home_directory)

    def caller(self, passphrase_file: Path | None) -> "AbstractAsyncContextManager[Caller]":
        """Reach the running node, or else open the home; the passphrase is asked for in the second case only."""
        import logging

        from node.reaching import reach

        # What a node would log is no sentence for a person; what concerns one is in the status and the doctor's report.
        logging.getLogger().addHandler(logging.NullHandler())
        config = self.config()
        source = passphrase_file or config.passphrase_file

        def unlocking() -> str:
            passphrase = read_unlocking_passphrase(source, self.standard_input)
            self.output.working("Opening the store")
            return passphrase

        return reach(config, passphrase=unlocking)

    def perform(
        self,
        passphrase_file: Path | None,
        work: "Callable[[Caller], Awaitable[T]]",
        *,
        doing: str = "Working",
        interrupted: str | None = None,
    ) -> T:
        """Do a piece of work with whoever owns the home, to its end.

        `doing` is what a person reads who has to wait; `interrupted` how things stand if the person does not.
        """
        from node.cli.interruption import NOTHING_HALF_DONE, run_to_end

        async def reached() -> T:
            async with self.caller(passphrase_file) as caller:
                self.output.working(doing)
                return await work(caller)

        return run_to_end(reached(), interrupted=interrupted or NOTHING_HALF_DONE)

    def changed(self, *, home_directory: Path | None, json: bool, quiet: bool) -> "Invocation":
        """Return the same with what the options behind the command say on top."""
        made = make_invocation(
            home_directory=home_directory or self.home_directory, json=json or self.json, quiet=quiet or self.quiet
        )
        return replace(made, standard_input=self.standard_input)


def make_invocation(*, home_directory: Path | None, json: bool, quiet: bool) -> Invocation:
    """Bundle the options that every command has."""
    output: Output = JsonOutput(quiet=quiet) if json else HumanOutput(quiet=quiet)
    return Invocation(home_directory=home_directory, json=json, quiet=quiet, output=output)


def invocation_of(context: "typer.Context") -> Invocation:
    """Return what those options left for the command."""
    found = context.find_object(Invocation)
    assert found is not None, "the callback of the application runs before every command"
    return found

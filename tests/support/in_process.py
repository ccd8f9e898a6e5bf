"""Runs commands as the console script does, in the test's own process, where starting one costs nothing."""

from contextlib import redirect_stdout
from io import BytesIO, TextIOWrapper
from pathlib import Path

import msgspec

from node.cli.application import run_command_line
from tests.support.program import Fields, Outcome


def performed(home: Path, *arguments: str) -> Outcome:
    """Run a command with `--json` to its end."""
    written = BytesIO()
    with redirect_stdout(TextIOWrapper(written, write_through=True)) as output:
        exit_code = run_command_line(["--home", str(home), "--json", *arguments])
        output.flush()
        lines = written.getvalue().splitlines()
    events = [msgspec.json.decode(line, type=dict[str, object]) for line in lines]
    return Outcome(exit_code=exit_code, events=events, errors="")


def answer(home: Path, *arguments: str) -> Fields:
    """Run a command that must succeed; return the last line of its answer."""
    outcome = performed(home, *arguments)
    assert outcome.exit_code == 0, (arguments, outcome)
    return outcome.last

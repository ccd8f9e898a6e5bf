"""Runs the installed console script as a person or a script would, each command in a process of its own."""

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import msgspec

CONSOLE_SCRIPT = str(Path(sys.executable).with_name("nuthatch"))
# Test homes are thrown away: the cheapest passphrase cost that a key file may state.
ENVIRONMENT: Mapping[str, str] = {
    "NUTHATCH_PASSPHRASE_COST": "interactive",
    # Tests that want to find devices say so; the others leave the network alone.
    "NUTHATCH_RUN_DISCOVERY": "false",
    # Everything is logged that can be, so that a search for secrets sees it.
    "NUTHATCH_LOG_FILE_LEVEL": "debug",
}
ANSWER_SECONDS = 60.0

Fields = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a command ended, and what it said."""

    exit_code: int
    events: Sequence[Fields]
    errors: str

    @property
    def last(self) -> Fields:
        """The last line of the answer."""
        assert self.events, self.errors
        return self.events[-1]

    @property
    def error(self) -> str:
        """The sentence of a command that failed."""
        return str(self.last["error"])


async def nuthatch(home: Path, *arguments: str, given: str = "", log: Path | None = None) -> Outcome:
    """Run a command with `--json` to its end; what it wrote is also appended to `log`."""
    process = await asyncio.create_subprocess_exec(
        CONSOLE_SCRIPT,
        "--home",
        str(home),
        "--json",
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **ENVIRONMENT},
    )
    output, errors = await asyncio.wait_for(process.communicate(given.encode()), ANSWER_SECONDS)
    if log is not None:
        with log.open("ab") as file:
            file.write(output + errors)
    assert process.returncode is not None
    return Outcome(
        exit_code=process.returncode,
        events=[msgspec.json.decode(line, type=dict[str, object]) for line in output.splitlines()],
        errors=errors.decode(),
    )


async def succeeds(home: Path, *arguments: str, given: str = "", log: Path | None = None) -> Fields:
    """Run a command that must succeed; return the last line of its answer."""
    outcome = await nuthatch(home, *arguments, given=given, log=log)
    assert outcome.exit_code == 0, (arguments, outcome)
    return outcome.last


def objects(value: object) -> Sequence[Fields]:
    """Say of a decoded field that it is a list of objects."""
    assert isinstance(value, list)
    assert all(isinstance(item, dict) for item in value)
    return cast("Sequence[Fields]", value)


def rows(value: Fields) -> Sequence[Sequence[object]]:
    """Return the rows of an answer of `sql`."""
    return cast("Sequence[Sequence[object]]", value["rows"])

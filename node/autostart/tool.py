"""Runs the system's own tools, with fixed names and separate arguments, never through a shell."""

import shutil
import subprocess
from dataclasses import dataclass

from node.errors import SupervisorError

# Starting a unit waits until the node is ready, as long as the unit allows.
_SECONDS_MAX = 660.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """How a tool ended, and what it said."""

    exit_code: int
    output: str
    errors: str

    @property
    def reason(self) -> str:
        """What it said of its failure, in one line."""
        lines = [line.strip() for line in (self.errors or self.output).splitlines() if line.strip()]
        return lines[0].removesuffix(".") if lines else f"it ended with exit code {self.exit_code}"


def run_tool(name: str, *arguments: str) -> Finished:
    """Run a tool to its end; raises `SupervisorError` if there is none of this name, or it hangs."""
    path = shutil.which(name)
    if path is None:
        raise SupervisorError(f"There is no {name} on this system; start `nuthatch run` in your own way.")
    try:
        ended = subprocess.run(  # noqa: S603  the path was looked up, the arguments are ours
            [path, *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=_SECONDS_MAX,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise SupervisorError(f"{name} {arguments[0]} did not end within {_SECONDS_MAX:.0f} seconds.") from None
    return Finished(exit_code=ended.returncode, output=ended.stdout, errors=ended.stderr)

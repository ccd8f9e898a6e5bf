"""How a command ends: every failure becomes one plain sentence and one of the documented exit codes."""

import os
import sys
import traceback
from collections.abc import Callable, Sequence

from typer import Abort, TyperException

from node.cli.output import HumanOutput, JsonOutput, Output
from node.errors import HostError

FAILED = 1
INTERRUPTED = 130
_OPTIONS_WITH_VALUE = frozenset({"--home"})


def wants_json(arguments: Sequence[str]) -> bool:
    """Say whether `--json` stands before the command; needed before parsing, since parsing may be what fails."""
    remaining = iter(arguments)
    for argument in remaining:
        if argument == "--json":
            return True
        if argument in _OPTIONS_WITH_VALUE:
            next(remaining, None)
        elif not argument.startswith("-"):
            return False
    return False


def exit_code_of(command: Callable[[], object], arguments: Sequence[str]) -> int:
    """Run a command to its end and return the exit code of the process."""
    output: Output = JsonOutput() if wants_json(arguments) else HumanOutput()
    try:
        result = command()
    except HostError as error:
        output.fail(str(error))
        return error.exit_code
    except TyperException as error:
        output.fail(_usage_sentence(error))
        return error.exit_code
    except (KeyboardInterrupt, Abort):
        output.fail("Interrupted.")
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has gone; nothing is left that could be written at the end of the process.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:  # noqa: BLE001 - the last line of the program: a defect is shown, never hidden
        traceback.print_exc()
        output.fail(f"This is a defect of Nuthatch ({type(error).__name__}): please report it with the lines above.")
        return FAILED
    return result if isinstance(result, int) else 0


def _usage_sentence(error: TyperException) -> str:
    sentence = error.format_message().strip()
    if not sentence.endswith((".", "?", "!")):
        sentence += "."
    return f"{sentence} See `nuthatch --help`, or `nuthatch COMMAND --help`."

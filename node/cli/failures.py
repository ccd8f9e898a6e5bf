"""How a command ends: every failure becomes one plain sentence and one of the documented exit codes."""

import traceback
from collections.abc import Callable, Sequence

from typer import Abort, TyperException

from node.cli.human_output import HumanOutput
from node.cli.interruption import NOTHING_HALF_DONE, BrokenOffError, Ended
from node.cli.output import JsonOutput, Output
from node.cli.standard_output import ReaderGoneError, flush_out
from node.errors import HostError

FAILED = 1
INTERRUPTED = 130
#: As of a process that SIGPIPE ended: what a shell expects of the left side of `| head`.
READER_GONE = 141
_END_OF_OPTIONS = "--"


def wants_json(arguments: Sequence[str]) -> bool:
    """Say whether `--json` is among the options; needed before parsing, since parsing may be what fails."""
    for argument in arguments:
        if argument == _END_OF_OPTIONS:
            return False
        if argument == "--json":
            return True
    return False


def exit_code_of(command: Callable[[], object], arguments: Sequence[str]) -> int:
    """Run a command to its end and return the exit code of the process."""
    output: Output = JsonOutput() if wants_json(arguments) else HumanOutput()
    try:
        return _told(command, output)
    except (ReaderGoneError, BrokenPipeError):
        return READER_GONE
    except SystemExit as ended:
        # What draws the help ends the process itself, with 1, when its reader has gone; what completes a line, with 0.
        return READER_GONE if ended.code else 0


def _told(command: Callable[[], object], output: Output) -> int:
    try:
        result = command()
        flush_out()
    except HostError as error:
        output.fail(str(error))
        return error.exit_code
    except TyperException as error:
        output.fail(_usage_sentence(error))
        return error.exit_code
    except (BrokenOffError, Abort) as error:
        output.interrupted(str(error) or NOTHING_HALF_DONE)
        return INTERRUPTED
    except Ended as ended:
        return ended.exit_code
    except (ReaderGoneError, BrokenPipeError):
        raise
    except Exception as error:  # noqa: BLE001 - the last line of the program: a defect is shown, never hidden
        traceback.print_exc()
        output.fail(f"This is a defect of Nuthatch ({type(error).__name__}): please report it with the lines above.")
        return FAILED
    return result if isinstance(result, int) else 0


def _usage_sentence(error: TyperException) -> str:
    # The library's own words for a wrong value begin with the name of its class.
    sentence = error.format_message().strip().replace("Value error, ", "")
    if not sentence.endswith((".", "?", "!")):
        sentence += "."
    context = getattr(error, "ctx", None)
    command = "nuthatch" if context is None else context.command_path
    return f"{sentence} See `{command} --help`."

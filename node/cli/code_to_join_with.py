"""How a new device comes by the code: from the command line, from standard input, or from the person, who is asked."""

from node.cli.invocation import Invocation
from node.errors import UsageError
from sync.crockford import MalformedCode
from sync.pairing_code import read_code

_FROM_STANDARD_INPUT = "-"


def code_to_join_with(code: str | None, invocation: Invocation) -> str:
    """Return the code, found to be one: a mistake is told before anything else is asked."""
    if code == _FROM_STANDARD_INPUT:
        code = (invocation.standard_input.line() or b"").decode(errors="replace")
    asked = code is None
    if asked and not invocation.standard_input.is_terminal():
        raise UsageError("Which code? Give the one that `nuthatch pair` shows on the other device, or - to pipe it in.")
    while True:
        if asked:
            try:
                code = input("The code that `nuthatch pair` shows on the other device: ")
            except EOFError:
                raise UsageError("No code was entered; nothing was done.") from None
        try:
            read_code(code or "")
        except MalformedCode as error:
            if not asked:
                raise UsageError(str(error)) from error
            invocation.output.note(str(error))
        else:
            return code or ""

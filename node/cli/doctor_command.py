"""The command that examines this device and says what mends it: doctor."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Context, Exit, Option

from node.cli.failures import FAILED
from node.cli.invocation import Invocation, invocation_of
from node.cli.options import PassphraseFile
from node.errors import HostError, WrongPassphraseError

if TYPE_CHECKING:
    from node.requests import Caller, DoctorRequest, Examined


def doctor(
    context: Context,
    scrub: Annotated[bool, Option("--scrub", help="Read every row and compare it with its hash.")] = False,
    repair: Annotated[
        bool, Option("--repair", help="Mend what can be mended without losing anything; reads every row, too.")
    ] = False,
    restamp: Annotated[
        bool,
        Option("--restamp", help="Write what was written while the clock was far ahead again, with times of now."),
    ] = False,
    listen: Annotated[
        str, Option("--listen", metavar="HOST:PORT", help="See whether `run` could listen there.", show_default=False)
    ] = "",
    passphrase_file: PassphraseFile = None,
) -> None:
    """Examine this device; say what is wrong in plain words, and the command that mends it."""
    from node.cli.doctor_rendering import render_examined
    from node.requests import DoctorRequest

    invocation = invocation_of(context)
    request = DoctorRequest(scrub=scrub, repair=repair, restamp=restamp, listen=listen)
    examined = _examined(invocation, passphrase_file, request)
    invocation.output.show(examined, render_examined)
    if not examined.well:
        raise Exit(FAILED)


def _examined(invocation: Invocation, passphrase_file: Path | None, request: "DoctorRequest") -> "Examined":
    """Ask the node, or look into the store; where neither can be, say why and what can be seen from outside."""
    from node.config import home_directory_of
    from node.doctor.home_checks import home_findings, no_home
    from node.doctor.opening_checks import refusal_finding
    from node.home import Home
    from node.requests import Examined

    home = Home(home_directory_of(home_directory=invocation.home_directory))
    if not home.exists():
        return Examined(findings=[no_home(home)])
    try:
        return invocation.perform(passphrase_file, lambda caller: _ask(invocation, caller, request), doing="Examining")
    except WrongPassphraseError:
        raise
    except HostError as error:
        return Examined(findings=[*home_findings(home), refusal_finding(error)])


async def _ask(invocation: Invocation, caller: "Caller", request: "DoctorRequest") -> "Examined":
    from node.errors import TransportError
    from node.requests import DOCTOR, DoctorProgress

    async for event in caller.stream(DOCTOR, request):
        if isinstance(event, DoctorProgress):
            invocation.output.progress(event, label="Reading every row", done=event.done, total=event.total)
        else:
            return event
    raise TransportError("The node stopped in the middle of its answer; see what it printed.")

"""How a new device comes by its name: from the person, who is asked on a terminal, else from the machine."""

import platform

from node.cli.standard_input import StandardInput
from node.errors import UsageError

_FALLBACK = "device"


def chosen_device_name(given: str | None, standard_input: StandardInput) -> str:
    """Return the name; an empty answer takes the one that is proposed. Raises `UsageError` for one that cannot be."""
    if given is not None:
        return _usable(given)
    proposed = proposed_device_name()
    if not standard_input.is_terminal():
        return proposed
    while True:
        try:
            answer = input(f"What shall this device be called on the others? [{proposed}] ").strip()
        except EOFError:
            raise UsageError("No name was entered; nothing was done.") from None
        try:
            return _usable(answer or proposed)
        except UsageError as error:
            print(error)


def proposed_device_name() -> str:
    """Return what this machine is called, without its domain."""
    try:
        return _usable(platform.node().partition(".")[0].strip())
    except UsageError:
        return _FALLBACK


def _usable(name: str) -> str:
    from sync.identity import UnusableName, check_device_name

    try:
        check_device_name(name)
    except UnusableName as error:
        raise UsageError(str(error)) from error
    return name

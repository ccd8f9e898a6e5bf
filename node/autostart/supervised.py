"""What a supervisor keeps running: one home's node, under a name of its own, with the file that unlocks it."""

import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_data_dir

from node.errors import UsageError
from node.home import Home

NAME = "nuthatch"
_DIGEST_BYTES = 4
# Neither a unit file nor a plist has a way to write these that all their readers agree on.
_CONTROL_CHARACTER_MAX = 0x1F
_DELETE = 0x7F


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervised:
    """A command that is to run as long as its person is there; `label` names it among all that run."""

    label: str
    command: tuple[str, ...]
    home_directory: Path


def supervised_node(home: Home, unlock_file: Path) -> Supervised:
    """Return the node of a home; raises `UsageError` for a path that no supervisor can be told."""
    command = (*program(), "--home", str(home.directory), "run", "--passphrase-file", str(unlock_file))
    for argument in command:
        if any(ord(character) <= _CONTROL_CHARACTER_MAX or ord(character) == _DELETE for character in argument):
            raise UsageError(f"The path {argument!r} has a control character; no service can be made with it.")
    return Supervised(label=label_of(home), command=command, home_directory=home.directory)


def label_of(home: Home) -> str:
    """Return the name of a home's service: the program's for the usual home, with a mark for any other."""
    if home.directory == Path(user_data_dir(NAME, appauthor=False)).absolute():
        return NAME
    mark = hashlib.blake2b(str(home.directory).encode("utf-8", "surrogateescape"), digest_size=_DIGEST_BYTES)
    return f"{NAME}-{mark.hexdigest()}"


def program() -> tuple[str, ...]:
    """Return how this very installation is started, whatever stands on the path of a later session."""
    script = Path(sys.executable).with_name(NAME)
    # -P: a folder named `node` in the working directory must not be taken for the program.
    return (str(script),) if script.exists() else (sys.executable, "-P", "-m", "node")

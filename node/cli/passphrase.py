"""Where a passphrase comes from: the first line of a file or of standard input, or a prompt without echo."""

from getpass import getpass
from pathlib import Path

from node.cli.interruption import person_answers
from node.cli.standard_input import StandardInput
from node.errors import NotRunningError, WrongPassphraseError

STANDARD_INPUT = Path("-")


def read_passphrase(source: Path | None, standard_input: StandardInput, *, prompt: str, option: str) -> str:
    """Return the passphrase that a command needs.

    Raises `WrongPassphraseError` if it is missing: the file cannot be read or is empty, or there is nobody to ask.
    """
    if source is not None:
        return _decoded(_first_line(source, standard_input), where=_described(source))
    if not standard_input.is_terminal():
        raise WrongPassphraseError(
            f"A passphrase is needed and there is no terminal to ask on. Give {option} FILE, or - to pipe it in."
        )
    answer = _asked(prompt)
    if not answer:
        raise WrongPassphraseError("The passphrase is empty; nothing was done.")
    return answer


def read_new_passphrase(source: Path | None, standard_input: StandardInput, *, prompt: str, option: str) -> str:
    """Return a passphrase to set; at a prompt it is asked twice."""
    first = read_passphrase(source, standard_input, prompt=prompt, option=option)
    if source is None and _asked("The same again: ") != first:
        raise WrongPassphraseError("The two passphrases differ; nothing was done.")
    return first


def read_owner_passphrase_or(passphrase: str, standard_input: StandardInput) -> str:
    """Ask for the owner's passphrase of a new realm; an empty answer takes the device's passphrase for both."""
    answer = _asked("Owner passphrase, which adds devices (Enter: the same one): ")
    if not answer:
        return passphrase
    if _asked("The same again: ") != answer:
        raise WrongPassphraseError("The two passphrases differ; nothing was done.")
    return answer


def read_unlocking_passphrase(source: Path | None, standard_input: StandardInput) -> str:
    """Return the passphrase for a command that found no running node and would open the home itself.

    A script that gave none expected a node: for it the answer is `NotRunningError`.
    """
    if source is None and not standard_input.is_terminal():
        raise NotRunningError(
            "No node runs on this home. Start one with `nuthatch run`, or give --passphrase-file to work without one."
        )
    return read_passphrase(source, standard_input, prompt="Passphrase: ", option="--passphrase-file")


def _first_line(source: Path, standard_input: StandardInput) -> bytes:
    if source == STANDARD_INPUT:
        return standard_input.line() or b""
    try:
        with source.open("rb") as file:
            return file.readline().rstrip(b"\r\n")
    except OSError as error:
        raise WrongPassphraseError(f"The passphrase file {source} cannot be read: {error.strerror}.") from error


def _decoded(line: bytes, *, where: str) -> str:
    if not line:
        raise WrongPassphraseError(f"There is no passphrase on the first line of {where}.")
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise WrongPassphraseError(f"The first line of {where} is not valid UTF-8 text.") from None


def _described(source: Path) -> str:
    return "standard input" if source == STANDARD_INPUT else str(source)


def _asked(prompt: str) -> str:
    try:
        with person_answers():
            return getpass(prompt)
    except EOFError:
        raise WrongPassphraseError("No passphrase was entered; nothing was done.") from None

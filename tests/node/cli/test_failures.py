"""Every failure ends as one sentence and one of the documented exit codes."""

import pytest

from node.cli.failures import exit_code_of, wants_json
from node.errors import (
    ConfigError,
    HostError,
    InputError,
    NotRunningError,
    RefusedError,
    StorageError,
    TransportError,
    UsageError,
    WrongKeyError,
    WrongPassphraseError,
)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--json", "list"], True),
        (["--home", "x", "--json", "list"], True),
        (["list", "--json"], True),
        (["list", "-q", "--json"], True),
        (["remember", "--", "--json"], False),
        (["list"], False),
        ([], False),
    ],
)
def test_json_is_an_option_before_or_behind_the_command(arguments: list[str], *, expected: bool) -> None:
    assert wants_json(arguments) is expected


@pytest.mark.parametrize(
    ("kind", "exit_code"),
    [
        (HostError, 1),
        (StorageError, 1),
        (TransportError, 1),
        (InputError, 1),
        (UsageError, 2),
        (ConfigError, 2),
        (WrongPassphraseError, 3),
        (WrongKeyError, 3),
        (NotRunningError, 4),
        (RefusedError, 5),
    ],
)
def test_a_class_of_error_is_an_exit_code(
    kind: type[HostError], exit_code: int, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise kind("It did not work; try again.")

    assert exit_code_of(fail, ["--json", "list"]) == exit_code
    assert capfd.readouterr().out == '{"error":"It did not work; try again."}\n'
    assert exit_code_of(fail, ["list"]) == exit_code
    assert "It did not work; try again." in capfd.readouterr().err


def test_a_defect_shows_its_traceback_and_no_memory(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    assert exit_code_of(fail, ["--json", "list"]) == 1
    shown = capfd.readouterr()
    assert "Traceback" in shown.err
    assert "ZeroDivisionError" in shown.out

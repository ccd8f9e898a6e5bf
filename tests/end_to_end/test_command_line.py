"""The command line answers at once, tells a person and a program the same, and never asks a script for anything."""

import subprocess
from pathlib import Path

import msgspec
import pexpect
import pytest

from node.cli.application import run_command_line
from tests.support.person import founds_a_realm, spawned
from tests.support.program import CONSOLE_SCRIPT

COMMANDS = (
    *("init", "run", "demo", "pair", "join", "devices", "status", "remember", "recall"),
    *("list", "show", "edit", "forget", "import", "export", "sql"),
)


def run(*arguments: str, given: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.run([CONSOLE_SCRIPT, *arguments], input=given, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line([command, "--help"]) == 0
    assert f"nuthatch {command}" in capsys.readouterr().out


def test_the_version_is_told_to_a_person_and_to_a_program() -> None:
    told = run("--json", "--version")
    assert told.returncode == 0
    version = msgspec.json.decode(told.stdout, type=dict[str, str])["version"]
    assert run("--version").stdout.strip() == f"nuthatch {version}"


def test_an_error_goes_to_standard_error_for_a_person_and_to_standard_output_for_a_program() -> None:
    human, program = run("recall"), run("--json", "recall")
    assert human.returncode == program.returncode == 2
    assert human.stdout == ""
    assert human.stderr.startswith("Error: ")
    assert list(msgspec.json.decode(program.stdout, type=dict[str, str])) == ["error"]
    assert program.stderr == ""


def test_a_reader_that_goes_away_is_no_crash(tmp_path: Path) -> None:
    command = f"'{CONSOLE_SCRIPT}' --help | head -n 1"
    shown = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False)
    assert "Traceback" not in shown.stderr


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose passphrase a person typed at the prompts."""
    directory = tmp_path_factory.mktemp("typed") / "home"
    with spawned("--home", str(directory), "init", "--name", "desk") as terminal:
        shown = founds_a_realm(terminal, "typed secret")
    assert terminal.exitstatus == 0
    assert "typed secret" not in shown
    return directory


def test_a_person_types_the_passphrase_without_an_echo(home: Path) -> None:
    with spawned("--home", str(home), "remember", "Tea is in the blue tin.", "--tag", "kitchen") as terminal:
        terminal.expect_exact("Passphrase: ")
        terminal.sendline("typed secret")
        terminal.expect_exact("Remembered")
        terminal.expect(pexpect.EOF)
        assert "typed secret" not in str(terminal.before)
    assert terminal.exitstatus == 0
    found = run("--home", str(home), "recall", "tea tin", "--passphrase-file", "-", given="typed secret\n")
    assert "Tea is in the blue tin." in found.stdout
    listed = run("--home", str(home), "list", "--passphrase-file", "-", given="typed secret\n")
    assert "#kitchen" in listed.stdout
    status = run("--home", str(home), "status", "--passphrase-file", "-", given="typed secret\n")
    assert "desk" in status.stdout
    assert "not running" in status.stdout


def test_two_passphrases_that_differ_make_no_home(tmp_path: Path) -> None:
    with spawned("--home", str(tmp_path / "home"), "init", "--name", "desk") as terminal:
        terminal.expect_exact("New passphrase for this device: ")
        terminal.sendline("one")
        terminal.expect_exact("The same again: ")
        terminal.sendline("other")
        terminal.expect_exact("differ")
        terminal.expect(pexpect.EOF)
    assert terminal.exitstatus == 3
    assert not (tmp_path / "home").exists()


def test_a_passphrase_and_a_text_may_come_one_after_the_other_on_standard_input(home: Path) -> None:
    given = "typed secret\nFirst line.\nSecond line.\n"
    kept = run("--home", str(home), "--json", "remember", "-", "--passphrase-file", "-", given=given)
    assert kept.returncode == 0
    record_id = msgspec.json.decode(kept.stdout, type=dict[str, str])["id"]
    shown = run("--home", str(home), "--json", "show", record_id, "--passphrase-file", "-", given=given)
    assert msgspec.json.decode(shown.stdout, type=dict[str, object])["fields"]["content"] == "First line.\nSecond line."  # type: ignore[index]


def test_a_memory_cannot_take_over_the_terminal(home: Path) -> None:
    hostile = "\x1b]0;owned\x07\x1b[2J\u202egnp.exe"
    kept = run("--home", str(home), "remember", "-", "--passphrase-file", "-", given=f"typed secret\n{hostile} bait\n")
    assert kept.returncode == 0
    for command in (("recall", "bait"), ("list",), ("sql", "SELECT content FROM memories")):
        shown = run("--home", str(home), *command, "--passphrase-file", "-", given="typed secret\n").stdout
        assert "bait" in shown
        assert not {"\x1b", "\x07", "\u202e"}.intersection(shown)

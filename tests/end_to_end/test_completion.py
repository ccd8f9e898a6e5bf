"""A shell completes commands, options, settings and kinds; each script is asked as its shell would ask it."""

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from node.cli.application import run_command_line
from node.settings.catalogue import SETTING_BY_NAME
from tests.support.in_process import answer, performed
from tests.support.program import CONSOLE_SCRIPT

SHELLS = ("bash", "zsh", "fish")
CASES = (
    (["conf"], {"conflicts", "config"}),
    (["config", "set", "run."], {name for name in SETTING_BY_NAME if name.startswith("run.")}),
    (["events", "--kind", "stream."], {"stream.readable", "stream.complete"}),
    (["service", ""], {"install", "uninstall", "status"}),
    (["completion", ""], set(SHELLS)),
    (["status", "--w"], {"--wait"}),
)


def _name(value: object) -> str:
    # Sets are in another order in every process, and the processes of one run must name the tests alike.
    return str(sorted(value) if isinstance(value, set) else value)


def script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert run_command_line(["completion", shell]) == 0
    return capsys.readouterr().out


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Ask the program as a shell does, by variables."""

    def ask(**environment: str) -> str:
        for variable, value in environment.items():
            monkeypatch.setenv(variable, value)
        assert run_command_line([]) == 0
        return capsys.readouterr().out

    return ask


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
@pytest.mark.parametrize(("words", "expected"), CASES[:2], ids=_name)
def test_bash_completes_by_the_script_that_it_was_given(
    words: Sequence[str], expected: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "completion"
    file.write_text(script("bash", capsys))
    ask = (
        'source "$1"; shift; COMP_WORDS=(nuthatch "$@"); COMP_CWORD=$#; '
        "_nuthatch_completion nuthatch; printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    path = f"{Path(CONSOLE_SCRIPT).parent}:{os.environ['PATH']}"
    answered = subprocess.run(
        ["bash", "--norc", "-c", ask, "bash", str(file), *words],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PATH": path},
    )
    assert set(answered.stdout.split()) == expected
    assert answered.stderr == ""


@pytest.mark.parametrize(("words", "expected"), CASES, ids=_name)
def test_each_shell_is_answered_in_its_own_form(
    words: Sequence[str], expected: set[str], asked: Callable[..., str]
) -> None:
    line = " ".join(["nuthatch", *words])
    bash = asked(_NUTHATCH_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD=str(len(words)))
    assert set(bash.split()) == expected
    zsh = asked(_NUTHATCH_COMPLETE="complete_zsh", _TYPER_COMPLETE_ARGS=line)
    assert zsh.startswith("_arguments '*: :((")
    assert all(f'"{word}"' in zsh or f'"{word}":' in zsh for word in expected), zsh
    fish = asked(_NUTHATCH_COMPLETE="complete_fish", _TYPER_COMPLETE_ARGS=line, _TYPER_COMPLETE_FISH_ACTION="get-args")
    assert {answer.split("\t")[0] for answer in fish.splitlines() if answer} == expected


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_asks_this_program_and_is_told_whole_to_a_program_too(
    shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = script(shell, capsys)
    assert f"_NUTHATCH_COMPLETE=complete_{shell}" in text
    assert answer(tmp_path, "completion", shell) == {"shell": shell, "script": text}


def test_another_shell_is_refused(tmp_path: Path) -> None:
    refused = performed(tmp_path, "completion", "tcsh")
    assert refused.exit_code == 2
    assert "'bash', 'zsh', 'fish'" in refused.error

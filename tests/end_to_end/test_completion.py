"""A shell completes commands, options, settings and kinds; each script is asked as its shell would ask it."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from node.settings.catalogue import SETTING_BY_NAME
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


def script(shell: str) -> str:
    return subprocess.run([CONSOLE_SCRIPT, "completion", shell], capture_output=True, text=True, check=True).stdout


def asked(environment: dict[str, str]) -> str:
    finished = subprocess.run(
        [CONSOLE_SCRIPT], capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )
    assert finished.stderr == ""
    return finished.stdout


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
@pytest.mark.parametrize(("words", "expected"), CASES, ids=str)
def test_bash_completes_by_the_script_that_it_was_given(
    words: Sequence[str], expected: set[str], tmp_path: Path
) -> None:
    file = tmp_path / "completion"
    file.write_text(script("bash"))
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


@pytest.mark.parametrize(("words", "expected"), CASES, ids=str)
def test_zsh_and_fish_are_answered_in_their_own_form(words: Sequence[str], expected: set[str]) -> None:
    line = " ".join(["nuthatch", *words])
    zsh = asked({"_NUTHATCH_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": line})
    assert zsh.startswith("_arguments '*: :((")
    assert all(f'"{word}"' in zsh or f'"{word}":' in zsh for word in expected), zsh
    fish = asked(
        {
            "_NUTHATCH_COMPLETE": "complete_fish",
            "_TYPER_COMPLETE_ARGS": line,
            "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        }
    )
    assert {answer.split("\t")[0] for answer in fish.splitlines() if answer} >= expected


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_asks_this_program_and_is_told_whole_to_a_program_too(shell: str) -> None:
    text = script(shell)
    assert f"_NUTHATCH_COMPLETE=complete_{shell}" in text
    told = subprocess.run([CONSOLE_SCRIPT, "--json", "completion", shell], capture_output=True, check=True).stdout
    assert msgspec.json.decode(told, type=dict[str, str]) == {"shell": shell, "script": text}


def test_another_shell_is_refused() -> None:
    refused = subprocess.run([CONSOLE_SCRIPT, "completion", "tcsh"], capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "'bash', 'zsh', 'fish'" in refused.stderr

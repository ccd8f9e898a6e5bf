"""A person breaks a command off with Ctrl-C and is told how things stand; whatever it was, nothing is half done."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pytest

from tests.support.in_process import answer
from tests.support.program import CONSOLE_SCRIPT, ENVIRONMENT, objects, rows

INTERRUPTED = 130
LINES = 60_000


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable, value in ENVIRONMENT.items():
        monkeypatch.setenv(variable, value)
    (tmp_path / "passphrase").write_text("secret\n")
    answer(tmp_path / "home", "init", "--name", "desk", "--passphrase-file", str(tmp_path / "passphrase"))
    return tmp_path / "home"


@contextmanager
def terminal(home: Path, *arguments: str) -> Iterator["pexpect.spawn[str]"]:
    # Wide enough for a sentence; the variable says so too, for one that is inherited would count before the terminal.
    environment = {**os.environ, **ENVIRONMENT, "TERM": "xterm-256color", "COLUMNS": "100"}
    with pexpect.spawn(
        CONSOLE_SCRIPT,
        ["--home", str(home), *arguments],
        env=environment,
        encoding="utf-8",
        timeout=60,
        dimensions=(40, 100),
    ) as spawned:
        yield spawned
        spawned.expect(pexpect.EOF)


def opens(home: Path) -> tuple[str, str]:
    return "--passphrase-file", str(home.with_name("passphrase"))


def test_at_the_passphrase_nothing_has_begun(home: Path) -> None:
    with terminal(home, "remember", "The key is under the third pot.") as shown:
        shown.expect_exact("Passphrase: ")
        shown.sendintr()
        shown.expect_exact("Interrupted. What was begun was done whole, or not at all.")
    assert shown.exitstatus == INTERRUPTED
    assert objects(answer(home, "list", *opens(home))["memories"]) == []


def test_while_the_program_is_being_loaded_there_is_no_traceback(home: Path, tmp_path: Path) -> None:
    # What python loads first, in the place of a person who is quick.
    (tmp_path / "sitecustomize.py").write_text(
        "import builtins, os, signal\n"
        "load = builtins.__import__\n"
        "def quick(name, *others):\n"
        "    if name == 'typer':\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "    return load(name, *others)\n"
        "builtins.__import__ = quick\n"
    )
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    ended = subprocess.run(
        [CONSOLE_SCRIPT, "list"], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (INTERRUPTED, "", "\nInterrupted.\n")


def test_while_a_text_is_typed_nothing_is_kept(home: Path) -> None:
    with terminal(home, "remember", "-", *opens(home)) as shown:
        shown.expect_exact("Ctrl-D")
        shown.sendline("half a senten")
        shown.sendintr()
        shown.expect_exact("Interrupted.")
    assert shown.exitstatus == INTERRUPTED
    assert objects(answer(home, "list", *opens(home))["memories"]) == []


def test_an_import_keeps_what_it_did_and_goes_on_from_there(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "many.csv"
    file.write_text("content\n" + "".join(f"The number {number} is kept.\n" for number in range(LINES)))
    with terminal(home, "import", str(file), *opens(home)) as shown:
        shown.expect_exact("rows/s")
        # Impatience changes nothing.
        shown.sendintr()
        shown.sendintr()
        shown.expect_exact("Interrupted. What was imported so far stays; the same import again goes on from there.")
        shows_cursor = "\x1b[?25h"
        assert shows_cursor in str(shown.before)
    assert shown.exitstatus == INTERRUPTED
    [[kept]] = rows(answer(home, "sql", "SELECT count(*) FROM memories", *opens(home)))
    assert isinstance(kept, int)
    assert 0 < kept < LINES
    again = answer(home, "import", str(file), *opens(home))
    assert (again["added"], again["unchanged"]) == (LINES - kept, kept)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_running_node_stops_in_good_order(home: Path, number: signal.Signals) -> None:
    with terminal(home, "run", "--listen", "127.0.0.1:0", *opens(home)) as shown:
        shown.expect_exact("Running.")
        shown.kill(number)
    assert shown.exitstatus == 0
    assert not (home / "api.json").exists()

"""What a command writes: whole plain lines into a pipe, coloured ones onto a terminal, nothing where nobody reads."""

import io
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
import pytest
from rich.table import Table
from rich.text import Text

from node.cli import waiting
from node.cli.human_output import HumanOutput, drawn
from node.cli.output import JsonOutput, Output
from tests.support.program import CONSOLE_SCRIPT

LONG = "The key is under the third pot. " * 20


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """Something to show."""

    text: str


def render(value: Told) -> Text:
    return Text(value.text, style="bold red")


@pytest.fixture(autouse=True)
def _no_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COLUMNS", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)


def test_into_a_pipe_goes_one_thing_a_line_without_colour_or_trailing_spaces() -> None:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_row(Text(LONG, style="red"), "short")
    table.add_row("x", "")
    first, second, rest = drawn(table, io.TextIOWrapper(io.BytesIO(), encoding="utf-8")).decode().split("\n")
    assert first.startswith(LONG.rstrip())
    assert first.endswith("short")
    assert (second, rest) == ("x", "")


def test_a_person_who_sets_columns_gets_them_in_a_pipe_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    lines = drawn(Text(LONG), io.TextIOWrapper(io.BytesIO(), encoding="utf-8")).decode().splitlines()
    assert max(len(line) for line in lines) <= 40


def test_what_an_encoding_cannot_say_becomes_a_question_mark() -> None:
    assert drawn(Text("Tee ☕"), io.TextIOWrapper(io.BytesIO(), encoding="latin-1")) == b"Tee ?\n"


@pytest.mark.parametrize("output", [HumanOutput(quiet=True), JsonOutput(quiet=True)], ids=["human", "json"])
def test_a_quiet_command_says_its_answer_and_its_error_and_nothing_else(
    output: Output, capfd: pytest.CaptureFixture[str]
) -> None:
    output.working("busy")
    output.note("a hint")
    output.progress(Told(text="half"), label="busy", done=1, total=2)
    output.happened(Told(text="on the way"), render)
    shown = capfd.readouterr()
    assert shown.out + shown.err == ""
    output.show(Told(text="the answer"), render)
    output.fail("It failed; try again.")
    shown = capfd.readouterr()
    assert "the answer" in shown.out
    assert "It failed; try again." in shown.out + shown.err


def _with_output_to(descriptor: int, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [CONSOLE_SCRIPT, *arguments], stdin=subprocess.DEVNULL, stdout=descriptor, stderr=subprocess.PIPE, check=False
    )


ANSWERS = (
    ("--version",),
    ("--json", "--version"),
    ("completion", "bash"),
    ("config", "show"),
    ("frobnicate", "--json"),
    ("list", "--help"),
)


@pytest.mark.parametrize("arguments", ANSWERS, ids=" ".join)
def test_a_reader_that_has_gone_ends_a_command_in_silence(arguments: Sequence[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = _with_output_to(writing, *arguments)
    finally:
        os.close(writing)
    assert (ended.returncode, ended.stderr) == (141, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full disk to write to")
@pytest.mark.parametrize("arguments", ANSWERS[:4], ids=" ".join)
def test_an_answer_that_no_disk_takes_is_a_failure_with_a_sentence(arguments: Sequence[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        ended = _with_output_to(full.fileno(), *arguments)
    assert ended.returncode == 1
    told = b"" if "--json" in arguments else b"Error: The output cannot be written: No space left on device.\n"
    assert ended.stderr == told


def test_an_option_of_every_command_may_stand_behind_it(tmp_path: Path) -> None:
    before = subprocess.run([CONSOLE_SCRIPT, "--json", "--home", str(tmp_path), "config", "path"], capture_output=True)
    behind = subprocess.run([CONSOLE_SCRIPT, "config", "path", "--json", "--home", str(tmp_path)], capture_output=True)
    between = subprocess.run([CONSOLE_SCRIPT, "config", "--json", "path", "--home", str(tmp_path)], capture_output=True)
    assert before.stdout == behind.stdout == between.stdout
    assert msgspec.json.decode(before.stdout, type=dict[str, object])["path"] == str(tmp_path / "config.toml")


@contextmanager
def terminal_for_errors(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Put a terminal in the place of standard error while the block runs; what it showed is in the list afterwards."""
    ours, theirs = pty.openpty()
    seen: list[str] = []
    with os.fdopen(ours, "rb", buffering=0) as screen, monkeypatch.context() as patched:
        with os.fdopen(theirs, "w") as errors:
            patched.setattr(sys, "stderr", errors)
            patched.setenv("TERM", "xterm-256color")
            yield seen
        with suppress(OSError):  # how a terminal ends on Linux
            while piece := screen.read(1 << 16):
                seen.append(piece.decode())


def test_colour_is_for_terminals_and_only_if_it_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    red = "\x1b[1;31m"
    with terminal_for_errors(monkeypatch) as seen:
        HumanOutput().fail("It failed.")
    assert red in "".join(seen)
    for variable, value in (("NO_COLOR", "1"), ("TERM", "dumb")):
        with terminal_for_errors(monkeypatch) as seen, monkeypatch.context() as patched:
            patched.setenv(variable, value)
            HumanOutput().fail("It failed.")
        assert "31m" not in "".join(seen)
        assert "Error: " in "".join(seen)


def test_work_that_takes_long_shows_how_far_it_is_and_takes_the_line_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "APPEARS_AFTER_SECONDS", 0.0)
    with terminal_for_errors(monkeypatch) as seen:
        shown = waiting.Waiting()
        shown.show(waiting.Work(label="Reading every row", done=1, total=2))
        drawing = next(thread for thread in threading.enumerate() if isinstance(thread, threading.Timer))
        drawing.join()
        shown.show(waiting.Work(label="Reading every row", done=3, total=4))
        shown.stop()
    screen = "".join(seen)
    assert "Reading every row" in screen
    assert "75 %" in screen
    hides_cursor, shows_cursor = "\x1b[?25l", "\x1b[?25h"
    assert screen.rindex(hides_cursor) < screen.rindex(shows_cursor)


def test_work_that_is_done_at_once_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "APPEARS_AFTER_SECONDS", 3600.0)
    with terminal_for_errors(monkeypatch) as seen:
        output = HumanOutput()
        output.working("Opening the store")
        output.progress(Told(text=""), label="Reading", done=1, total=2)
        output.close()
    assert seen == []

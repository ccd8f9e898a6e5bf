"""Every command has a page of the manual, and what the pages say can be typed."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import typer
from rich.text import Text
from typer.core import TyperCommand, TyperGroup

from node import errors
from node.cli.application import application, run_command_line
from node.cli.failures import INTERRUPTED, READER_GONE
from node.cli.manual.page import Page, epilog, page
from node.cli.manual.pages import PAGES, TOP
from node.errors import HostError

WIDTH_MAX = 96


def command_paths(command: object, path: tuple[str, ...] = ()) -> Mapping[tuple[str, ...], object]:
    """Return every command by its words, groups among them."""
    found = {path: command} if path else {}
    if isinstance(command, TyperGroup):
        for name, inner in command.commands.items():
            found.update(command_paths(inner, (*path, name)))
    return found


COMMANDS = command_paths(typer.main.get_command(application))
LINES = [example.line for one in (TOP, *PAGES.values()) for example in one.examples]


def typed(line: str) -> Sequence[str]:
    """Return the arguments of a line that a shell would give to nuthatch: without pipes and redirections."""
    words = shlex.split(line, posix=True)
    for mark in ("|", ">", "<"):
        words = words[: words.index(mark)] if mark in words else words
    assert words[0] == "nuthatch"
    return words[1:]


def test_every_command_has_a_page_and_no_page_is_left_over() -> None:
    assert set(COMMANDS) == set(PAGES)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_a_page_stands_below_the_options_of_its_command(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command_line([*path, "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert f"Usage: nuthatch {' '.join(path)}" in shown
    assert "<bool>" not in shown
    for text in (PAGES[path].examples[0].does, *PAGES[path].meanings.values(), PAGES[path].notes):
        assert " ".join(text.split()) in shown


@pytest.mark.parametrize("line", LINES)
def test_an_example_is_understood_as_it_stands(
    line: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    understood = []
    monkeypatch.setattr(TyperCommand, "invoke", lambda _command, context: understood.append(context.command_path))
    monkeypatch.setenv("NUTHATCH_HOME", str(tmp_path))
    arguments = typed(line)
    words = [word for word in arguments if not word.startswith("-")]
    if (words[0],) in PAGES and isinstance(COMMANDS[words[0],], TyperGroup) and len(words) == 1:
        pytest.skip("a group by itself does what its page says; the command that it stands for has its own examples")
    assert run_command_line(arguments) == 0, capsys.readouterr().err
    assert len(understood) == 1
    assert understood[0].removeprefix("nuthatch ") in {" ".join(path) for path in PAGES}


def test_an_example_that_has_no_such_option_would_be_seen(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(typed("nuthatch recall 'spare key' --colour red")) == 2
    assert "--colour" in capsys.readouterr().err


@pytest.mark.parametrize("path", PAGES, ids=" ".join)
def test_examples_and_codes_fit_a_narrow_terminal_and_all_is_shown(path: tuple[str, ...]) -> None:
    text = Text.from_markup(epilog(PAGES[path])).plain
    # A paragraph is wrapped where it is shown; these lines are not to be.
    assert max(len(line) for line in text.splitlines() if line.startswith("  ")) <= WIDTH_MAX
    assert all(example.line in text for example in PAGES[path].examples)


def test_what_looks_like_markup_is_shown() -> None:
    shown: Page = page(("nuthatch sql [bold]", "[red]Text[/red]."), codes=(0,))
    assert "nuthatch sql [bold]\n      [red]Text[/red]." in Text.from_markup(epilog(shown)).plain


def test_the_codes_are_those_that_errors_have() -> None:
    raised = {
        kind.exit_code for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, HostError)
    }
    told = {code for one in PAGES.values() for code in one.codes}
    assert told - {0} == raised
    assert set(TOP.codes) == {*told, INTERRUPTED, READER_GONE}

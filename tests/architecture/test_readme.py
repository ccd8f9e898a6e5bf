"""What the documents for people say can be done can be done: their commands, options, links and pictures exist."""

import re
import shlex

import pytest
from typer.core import TyperCommand

from node.cli.application import run_command_line
from tests.architecture.source_tree import PROJECT
from tests.support.typed_commands import blocks

DOCUMENTS = ("README.md", "node/README.md", "simulations/README.md")
TYPED = [command.line for document in DOCUMENTS for block in blocks(PROJECT, document) for command in block.commands]
PICTURE = (PROJECT / "node/life_of_a_change.svg").read_text(encoding="utf-8")


def test_every_make_target_exists() -> None:
    targets = {line.split()[1] for line in TYPED if line.startswith("make ")}
    assert targets
    assert targets <= set(re.findall(r"^([\w-]+):", (PROJECT / "Makefile").read_text(), flags=re.MULTILINE))


@pytest.mark.parametrize("line", [line for line in TYPED if line.startswith("nuthatch ")])
def test_every_nuthatch_command_and_option_exists(
    line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(TyperCommand, "invoke", lambda _command, _context: None)
    arguments = shlex.split(line)[1:]
    # A group by itself would go on to one of its commands.
    assert run_command_line([*arguments, "--help"] if len(arguments) == 1 else arguments) == 0, capsys.readouterr().err


def test_a_command_or_an_option_that_is_none_would_be_seen(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["forgett", "ID"]) == 2
    assert run_command_line(["forget", "ID", "--sometimes"]) == 2
    assert "--sometimes" in capsys.readouterr().err


@pytest.mark.parametrize("document", [*DOCUMENTS, "sync/PROTOCOL.md", "sync/THREATS.md", "crdt/MERGE.md"])
def test_every_linked_file_exists(document: str) -> None:
    text, folder = (PROJECT / document).read_text(encoding="utf-8"), (PROJECT / document).parent
    links = [link for link in re.findall(r"\]\(([^)#\s]+)", text) if "://" not in link]
    assert [link for link in links if not (folder / link).exists()] == []
    assert links or document != "README.md"


def test_the_picture_of_a_change_names_files_that_exist_and_loads_nothing() -> None:
    named = " ".join(re.findall(r'<text class="file"[^>]*>([^<]*)<', PICTURE)).split()
    assert len(named) > 8
    assert [name for name in named if not (PROJECT / name).is_file()] == []
    assert re.findall(r"https?://[^\"\s<]+|url\((?!#)", PICTURE) == ["http://www.w3.org/2000/svg"]
    assert "prefers-color-scheme: dark" in PICTURE

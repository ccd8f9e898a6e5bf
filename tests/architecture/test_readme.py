"""What the README says can be done can be done: its commands and its links exist."""

import re
import subprocess
import sys

from tests.architecture.source_tree import PROJECT

README = (PROJECT / "README.md").read_text(encoding="utf-8")

# Commands that consist of commands.
GROUPS = ("config", "conflicts", "service")


def _commands() -> str:
    """The lines of all shell blocks."""
    return "\n".join(re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL))


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^make ([\w-]+)", _commands(), flags=re.MULTILINE))
    assert targets
    assert targets <= set(re.findall(r"^([\w-]+):", (PROJECT / "Makefile").read_text(), flags=re.MULTILINE))


def test_every_nuthatch_command_and_option_exists() -> None:
    invocations = re.findall(r"^nuthatch (?:--home \S+ )?(\w+)(.*)", _commands(), flags=re.MULTILINE)
    assert invocations
    for command, rest in invocations:
        # A command of a command is a word in lower case; arguments are in capitals.
        inner = re.match(r" ([a-z]+)\b", rest) if command in GROUPS else None
        path = [command, inner[1]] if inner else [command]
        shown = subprocess.run(
            [sys.executable, "-m", "node", *path, "--help"],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
            env={"PATH": "", "COLUMNS": "300", "NO_COLOR": "1"},
        ).stdout
        for option in re.findall(r"--[\w-]+", rest.split("#")[0]):
            assert option in shown, f"`nuthatch {' '.join(path)}` has no {option}"


def test_every_linked_file_exists() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)", README) if "://" not in link]
    assert links
    assert [link for link in links if not (PROJECT / link).exists()] == []

"""Sets the scene for whatever can go wrong on a device, and reads the sentence that a person is told then."""

import shutil
import socket
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from node.cli.application import run_command_line
from node.home import Home
from node.keys.key_file import unlock_key_file
from node.store.database import Database

SAID = "a good passphrase"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A directory with a home of one device in it, whose node does not run, and what to undo afterwards."""

    directory: Path
    memory_ids: Sequence[str]
    afterwards: ExitStack

    @property
    def home(self) -> Path:
        return self.directory / "home"

    @property
    def opens(self) -> tuple[str, str]:
        """The options that open the home."""
        return "--passphrase-file", self.file("passphrase", SAID)

    def file(self, name: str, content: str) -> str:
        path = self.directory / name
        path.write_text(content)
        return str(path)


Arrangement = Callable[[Scene], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Case:
    """What goes wrong, the command that meets it, and what the person reads.

    `arrange` returns the command; `{home}` and `{here}` stand for the directories of the scene.
    """

    when: str
    arrange: Arrangement
    exit_code: int
    says: str


def doing(*command: str) -> Arrangement:
    """Arrange nothing, and run a command that opens the home."""
    return lambda scene: (*command, *scene.opens)


def alone(*command: str) -> Arrangement:
    """Arrange nothing, and run a command as it stands."""
    return lambda _scene: command


def without_home(*command: str) -> Arrangement:
    def arrange(scene: Scene) -> Sequence[str]:
        shutil.rmtree(scene.home)
        return *command, *scene.opens

    return arrange


def home_is_a_file(*command: str) -> Arrangement:
    def arrange(scene: Scene) -> Sequence[str]:
        shutil.rmtree(scene.home)
        scene.home.write_text("no directory")
        return *command, *scene.opens

    return arrange


def home_owned(scene: Scene) -> Sequence[str]:
    scene.afterwards.enter_context(Home(scene.home).locked())
    return "list", *scene.opens


def port_taken(scene: Scene) -> Sequence[str]:
    taken = scene.afterwards.enter_context(socket.create_server(("127.0.0.1", 47_111)))
    assert taken.getsockname()[1] == 47_111
    return "run", "--listen", "127.0.0.1:47111", *scene.opens


def with_file(name: str, change: Callable[[Path], object], *command: str) -> Arrangement:
    """Change a file of the home, and run a command that opens it."""

    def arrange(scene: Scene) -> Sequence[str]:
        change(scene.home / name)
        return *command, *scene.opens

    return arrange


def newer_store(scene: Scene) -> Sequence[str]:
    key = unlock_key_file(scene.home / "device.key", passphrase=SAID).master_key.database_key
    database = Database(scene.home / "store.db", key)
    database.change("UPDATE _meta SET value = ? WHERE key = 'format'", ((99).to_bytes(4, "big"),))
    database.close()
    return "list", *scene.opens


def passphrase(content: str | None) -> Arrangement:
    """Give a passphrase file of this content, or one that is not there."""

    def arrange(scene: Scene) -> Sequence[str]:
        if content is None:
            return "list", "--passphrase-file", str(scene.directory / "absent")
        return "list", "--passphrase-file", scene.file("other", content)

    return arrange


def importing(name: str, content: str) -> Arrangement:
    return lambda scene: ("import", scene.file(name, content), *scene.opens)


def require_told(case: Case, scene: Scene, capfd: pytest.CaptureFixture[str]) -> None:
    """Let it go wrong, and require the sentence and the exit code, to the letter."""
    command = case.arrange(scene)
    capfd.readouterr()
    exit_code = run_command_line(["--home", str(scene.home), *command])
    assert said(scene, capfd.readouterr().err) == case.says
    assert exit_code == case.exit_code


def said(scene: Scene, errors: str) -> str:
    """Return the one sentence on standard error, with words for what differs from run to run."""
    mark = "Error: "
    assert errors.startswith(mark), errors
    assert errors.count("\n") == 1, errors
    for here, word in ((scene.home, "{home}"), (scene.directory, "{here}")):
        errors = errors.replace(str(here), word)
    for number, memory_id in enumerate(scene.memory_ids, start=1):
        errors = errors.replace(memory_id, f"{{memory {number}}}")
    errors = errors.replace(scene.memory_ids[0][:4], "{digits}")
    return errors.removeprefix(mark).removesuffix("\n")

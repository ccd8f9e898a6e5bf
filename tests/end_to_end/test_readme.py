"""What the documents tell a person to type is typed, on two devices and by real processes, and shows what they say."""

import re
import shlex
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from os import kill
from pathlib import Path

import msgspec
import pexpect
import pytest

from tests.architecture.source_tree import PROJECT
from tests.support import stand_in_systemd
from tests.support.program import CONSOLE_SCRIPT, objects
from tests.support.rooms import Room, two_rooms
from tests.support.terminals import Answer, Terminals
from tests.support.typed_commands import Block, Command, blocks, in_order

BLOCKS = [block for document in ("README.md", "node/README.md") for block in blocks(PROJECT, document)]
BIN = Path(CONSOLE_SCRIPT).parent
FIXTURES = PROJECT / "tests/fixtures/imports"
# Both devices are this machine, which is all the network that a test may use; or rooms, which have a network for them.
# On this machine nodes find each other at its own address; `join` would ask all networks, and is told an address.
ON_THIS_MACHINE = {"NUTHATCH_RUN_LISTEN": "127.0.0.1:0"}
DISCOVERING = "NUTHATCH_RUN_DISCOVERY=true"
IN_ROOMS = {"NUTHATCH_RUN_DISCOVERY": "true"}
RUNNING, ASKED = "Ctrl-C stops it", "Type yes or no"
PASTED_CODE, TYPED_CODE = r"NUT1:[0-9A-Z]+", r"(?:[0-9A-Z]{5}-){6}[0-9A-Z]{5}"
# What takes minutes is not made here: the machine that checks every change makes it, or tests of its own do.
MADE_ELSEWHERE = {
    "check": ".ci/run",
    "test": ".ci/run",
    "long": ".ci/run",
    "day": ".ci/run",
    "simulate": "tests/simulation",
    "crash-images": "tests/simulation",
    "bench": "tests/simulation",
    "picture": "tests/end_to_end/test_demo.py",
}


class Reader:
    """A person who types what the documents say, in their order; in `rooms`, where there are any."""

    def __init__(self, directory: Path, rooms: Sequence[Room] = ()) -> None:
        self._directory = directory
        self._device = ""
        self._remembered = ""
        # Capitals stand for what an earlier command showed.
        self.known: dict[str, str] = {}
        self._running: dict[str, pexpect.spawn[str]] = {}
        self._pairing: pexpect.spawn[str] | None = None
        self.terminals = Terminals(
            directory,
            self._answers(),
            {**(IN_ROOMS if rooms else ON_THIS_MACHINE), "PATH": self._tools()},
            {device: room.entrance for device, room in zip(("laptop", "desktop"), rooms, strict=False)},
        )
        # What is pasted says where the other device is, what is typed does not.
        self._code = TYPED_CODE if rooms else PASTED_CODE
        self._handlers: dict[str, Callable[[Command], str]] = {
            "nuthatch run": self._run,
            "nuthatch pair": self._pair,
            "nuthatch join": self._join,
            "nuthatch events": self._events,
            "nuthatch remember": self._remember,
            "nuthatch recall": self._recall,
            "nuthatch conflicts": self._conflicts,
            "nuthatch import": self._import,
            "nuthatch service install": self._install,
            "nuthatch service uninstall": self._uninstall,
            "export": self._in_project,
            "python -m simulations": self._in_project,
            "make": self._make,
        }

    def do(self, command: Command) -> str:
        """Type a command and return what it shows; fails where it fails."""
        self._device = command.device
        line = re.sub(r"\b(ID|KEY|CODE)\b", lambda found: self.known[found[0]], command.line)
        known = [start for start in self._handlers if command.line.startswith(start)]
        handler = self._handlers[max(known, key=len)] if known else self._type
        return handler(Command(command.device, line))

    def close(self) -> None:
        """End whatever runs still, the node of a service that was not uninstalled as well."""
        self.terminals.close()
        for file in (self._directory / "bin").glob("*.pid"):
            with suppress(ProcessLookupError):
                kill(int(file.read_text()), signal.SIGKILL)

    def _answers(self) -> Mapping[str, Answer]:
        """What this person says to questions; yes and no are no matter of course."""
        return {
            r"assphrase[^:\n]*: ": "correct horse",
            "The same again: ": "correct horse",
            r"be called on the others\? \[.*\] ": lambda _: self._device,
            r"Group \d of your recovery code: ": _group_asked_for,
            "The code that `nuthatch pair` shows.*: ": lambda _: self.known["CODE"],
        }

    def _type(self, command: Command) -> str:
        return self.terminals.type(command.device, command.line)

    def _in_project(self, command: Command) -> str:
        return self.terminals.type(command.device, f"cd '{PROJECT}' && {command.line} && nuthatch --version")

    def _run(self, command: Command) -> str:
        terminal = self._running[command.device] = self.terminals.start(command.device, f"{DISCOVERING} {command.line}")
        return self.terminals.read(terminal, RUNNING)

    def _stop(self, device: str) -> None:
        terminal = self._running.pop(device)
        self.terminals.interrupt(terminal)
        assert self.terminals.ended(terminal) == 0

    def _run_again(self, device: str) -> None:
        self._run(Command(device, "nuthatch run"))
        self.terminals.type(device, "nuthatch status --wait 30")

    def _pair(self, command: Command) -> str:
        terminal = self.terminals.start(command.device, command.line)
        shown = self.terminals.read(terminal, PASTED_CODE + "[^0-9A-Z]")
        self._pairing = terminal
        self.known["CODE"] = re.findall(self._code, shown)[0]
        return shown

    def _join(self, command: Command) -> str:
        assert self._pairing is not None, "there is no code"
        sponsor, newcomer = self._pairing, self.terminals.start(command.device, command.line)
        screens = [self.terminals.read(terminal, ASKED) for terminal in (newcomer, sponsor)]
        digits = [[line for line in screen.splitlines() if "█" in line][-3:] for screen in screens]
        assert digits[0] == digits[1], "the two screens show other digits"
        for terminal in (newcomer, sponsor):
            terminal.sendline("yes")
        shown = [self.terminals.read(terminal) for terminal in (newcomer, sponsor)]
        assert [self.terminals.ended(terminal) for terminal in (newcomer, sponsor)] == [0, 0], shown
        return shown[0]

    def _events(self, command: Command) -> str:
        terminal = self.terminals.start(command.device, command.line)
        shown = self.terminals.read(terminal, "following|in sync")
        self.terminals.type(command.device, "nuthatch remember 'An event'")
        shown += self.terminals.read(terminal, "memories") + self.terminals.interrupt(terminal)
        assert self.terminals.ended(terminal) == 0, shown
        return shown

    def _remember(self, command: Command) -> str:
        shown = self._type(command)
        self.known["ID"] = re.findall(r"[0-9a-f-]{36}", shown)[0]
        self._remembered = shlex.split(command.line)[2]
        # A person takes longer to reach the other device than the words do.
        self.terminals.type(command.device, "nuthatch status --wait 30")
        return shown

    def _recall(self, command: Command) -> str:
        shown = self._type(command)
        assert self._remembered in shown
        return shown

    def _conflicts(self, command: Command) -> str:
        """See to it that there is a conflict before the first look."""
        if "KEY" not in self.known:
            self._write_apart()
            listed = self.terminals.type(command.device, "nuthatch --json conflicts list")
            (conflict,) = objects(msgspec.json.decode(listed, type=dict[str, object])["conflicts"])
            self.known["KEY"] = str(conflict["key"])
        return self._type(command)

    def _write_apart(self) -> None:
        self.terminals.type("laptop", "nuthatch status --wait 30")
        self._stop("desktop")
        for device, title in (("laptop", "Spare key"), ("desktop", "Key with Ana")):
            self.terminals.type(device, f"nuthatch sql \"UPDATE memories SET title = '{title}'\"")
        self._run_again("desktop")

    def _import(self, command: Command) -> str:
        """See to it that the person has something to import."""
        home = self.terminals.home(command.device)
        if not (home / "Notes").exists():
            shutil.copytree(FIXTURES / "vault", home / "Notes")
            (home / "Downloads").mkdir()
            with zipfile.ZipFile(home / "Downloads/export.zip", "w") as archive:
                archive.write(FIXTURES / "chatgpt_2025.json", "conversations.json")
        shown = self._type(command)
        assert re.search(r"[1-9]\d* added", shown), shown
        return shown

    def _install(self, command: Command) -> str:
        self._stop(command.device)
        return self._type(command)

    def _uninstall(self, command: Command) -> str:
        shown = self._type(command)
        self._run_again(command.device)
        return shown

    def _make(self, command: Command) -> str:
        target = command.line.split()[1]
        ready = self._directory / "ready"
        ready.write_text(f"{PROJECT}\n")
        made = ["make", "-C", str(PROJECT), f"BIN={BIN}", f"READY={ready}", target]
        if target in MADE_ELSEWHERE:
            made.append("--dry-run")
        ran = subprocess.run(made, capture_output=True, text=True, check=False, timeout=100)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    def _tools(self) -> str:
        """Put a stand-in for systemd before the real one; the person's session is left alone."""
        folder = self._directory / "bin"
        folder.mkdir()
        for name in ("systemctl", "loginctl"):
            (folder / name).write_text(f"#!{sys.executable}\n{Path(stand_in_systemd.__file__).read_text()}")
            (folder / name).chmod(0o755)
        return f"{folder}:{BIN}:/usr/bin:/bin"


def _group_asked_for(shown: str) -> str:
    """Look the group up in the recovery code that was shown."""
    code: list[str] = re.findall(r"^ +([0-9A-Z]+(?:-[0-9A-Z]+)+) *$", shown, re.MULTILINE)
    asked: list[str] = re.findall(r"Group (\d) of", shown)
    return code[-1].split("-")[int(asked[-1]) - 1]


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    reader = Reader(tmp_path_factory.mktemp("reader"))
    try:
        yield reader
    finally:
        reader.close()


# The blocks of both documents tell one story: each goes on where the one before ended.


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_what_a_document_says_can_be_typed_and_shows_what_it_says(reader: Reader, block: Block) -> None:
    shown = [reader.do(command) for command in block.commands]
    missing = in_order(block.shown, shown[-1])
    assert missing is None, f"`{block.commands[-1].line}` does not show: {missing}\n{shown[-1]}"


def test_in_one_network_the_readme_leads_to_two_devices_without_an_address(tmp_path: Path) -> None:
    (two_devices,) = [block for block in BLOCKS if any("join" in command.line for command in block.commands)]
    with two_rooms() as rooms:
        for number, room in enumerate(rooms, start=1):
            room.plug()
            room.readdress(f"10.77.0.{number}/24")
        reader = Reader(tmp_path, rooms)
        try:
            shown = [reader.do(command) for command in two_devices.commands]
        finally:
            reader.close()
    assert in_order(two_devices.shown, shown[-1]) is None, shown[-1]


def test_a_command_that_fails_and_an_output_that_differs_would_be_seen(reader: Reader) -> None:
    with pytest.raises(AssertionError, match="no-such-command"):
        reader.do(Command("laptop", "nuthatch no-such-command"))
    assert in_order(("one 1", "two"), "zero\none 2\nthree\ntwo") is None
    assert in_order(("two", "one 1"), "zero\none 2\nthree\ntwo") == "one 1"
    assert in_order(("one", "one"), "one") == "one"


def test_what_is_not_made_here_is_made_elsewhere() -> None:
    for target, place in MADE_ELSEWHERE.items():
        assert (PROJECT / place).exists()
        assert place != ".ci/run" or f"make {target}\n" in (PROJECT / place).read_text()


def test_every_document_has_commands_and_none_is_left_without_a_device() -> None:
    typed = [command for block in BLOCKS for command in block.commands]
    assert {block.document for block in BLOCKS} == {"README.md", "node/README.md"}
    assert {command.device for command in typed} == {"laptop", "desktop"}
    assert sum(command.line.startswith("nuthatch ") for command in typed) > 30

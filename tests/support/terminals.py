"""Types at terminals as a person does: each device has a home directory of its own, and questions are answered."""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import pexpect

from tests.architecture.source_tree import PROJECT
from tests.support.program import ENVIRONMENT

COLUMNS = 100
SECONDS_MAX = 60
CONTROL = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\r")


# What a person says to a question, who may look at what was shown before.
Answer = str | Callable[[str], str]


class Terminals:
    """The terminals of several devices on this machine; `answers` are by what a question looks like.

    `environment` is added to that of each, and has to name the PATH; `place_by_device` is put before what is typed on a
    device that is somewhere else than this process.
    """

    def __init__(
        self,
        directory: Path,
        answers: Mapping[str, Answer],
        environment: Mapping[str, str],
        place_by_device: Mapping[str, Sequence[str]],
    ) -> None:
        self._directory = directory
        self._answers = answers
        self._environment = environment
        self._place_by_device = place_by_device
        self._open: list[pexpect.spawn[str]] = []

    def home(self, device: str) -> Path:
        """Return the person's home directory on a device."""
        home = self._directory / device
        home.mkdir(exist_ok=True)
        return home

    def start(self, device: str, line: str) -> "pexpect.spawn[str]":
        """Type a line and leave it running."""
        program, *arguments = self._place_by_device.get(device, ("/usr/bin/env",))
        environment = {
            **ENVIRONMENT,
            "HOME": str(self.home(device)),
            "XDG_CONFIG_HOME": str(self.home(device) / ".config"),
            "PYTHONPATH": str(PROJECT),
            "TERM": "xterm-256color",
            **self._environment,
        }
        terminal: pexpect.spawn[str] = pexpect.spawn(
            program,
            [*arguments, "/bin/bash", "-c", line],
            env=environment,
            cwd=self.home(device),
            encoding="utf-8",
            timeout=SECONDS_MAX,
            echo=False,
            dimensions=(60, COLUMNS),
        )
        self._open.append(terminal)
        return terminal

    def read(self, terminal: "pexpect.spawn[str]", until: str | None = None) -> str:
        """Return what is shown until a pattern, or until the command ends, and answer what is asked meanwhile."""
        questions, shown = list(self._answers), ""
        awaited = [*questions, pexpect.EOF if until is None else until]
        while True:
            seen = terminal.expect(awaited)
            shown += str(terminal.before) + (terminal.after if isinstance(terminal.after, str) else "")
            if seen == len(questions):
                return CONTROL.sub("", shown)
            answer = self._answers[questions[seen]]
            terminal.sendline(answer if isinstance(answer, str) else answer(CONTROL.sub("", shown)))

    def type(self, device: str, line: str) -> str:
        """Type a line whose command ends by itself and well; return what it shows."""
        terminal = self.start(device, line)
        shown = self.read(terminal)
        assert self.ended(terminal) == 0, f"{device}$ {line}\n{shown}"
        return shown

    def interrupt(self, terminal: "pexpect.spawn[str]") -> str:
        """Press Ctrl-C; return what is shown until the end."""
        terminal.sendintr()
        return self.read(terminal)

    def ended(self, terminal: "pexpect.spawn[str]") -> int | None:
        """Return the exit code of a command that came to its end."""
        terminal.wait()
        terminal.close()
        status: int | None = terminal.exitstatus
        return status

    def close(self) -> None:
        """End whatever still runs."""
        for terminal in self._open:
            with suppress(pexpect.ExceptionPexpect):
                terminal.close(force=True)

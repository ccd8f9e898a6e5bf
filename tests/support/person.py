"""A person at a terminal: what is shown is read from the screen, answers are typed."""

import os
import re

import pexpect

from tests.support.program import CONSOLE_SCRIPT, ENVIRONMENT

_RECOVERY_CODE = r"((?:[0-9A-Z]{5}-){7}[0-9A-Z]{5})"
_SHOWN_SECONDS = 30


def spawned(*arguments: str, lines: int = 24, columns: int = 100) -> "pexpect.spawn[str]":
    """Run a command on a terminal of this size, which does not repeat what is typed."""
    environment = {
        **dict(ENVIRONMENT),
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "TERM": "xterm-256color",
        "COLUMNS": str(columns),
        "LINES": str(lines),
    }
    return pexpect.spawn(
        CONSOLE_SCRIPT,
        list(arguments),
        env=environment,
        encoding="utf-8",
        timeout=_SHOWN_SECONDS,
        echo=False,
        dimensions=(lines, columns),
    )


def founds_a_realm(terminal: "pexpect.spawn[str]", passphrase: str) -> str:
    """Answer what `init --name NAME` asks; return what was shown from the recovery code on."""
    for question in ("New passphrase for this device: ", "The same again: "):
        terminal.expect_exact(question)
        terminal.sendline(passphrase)
    terminal.expect_exact("Owner passphrase")
    terminal.sendline("")
    terminal.expect(_RECOVERY_CODE)
    groups = terminal.match.group(1).split("-")
    shown = str(terminal.after)
    for _ in range(2):
        terminal.expect(r"Group ([1-8]) of your recovery code: ")
        shown += str(terminal.before)
        terminal.sendline(groups[int(terminal.match.group(1)) - 1].lower())
    terminal.expect(pexpect.EOF)
    return shown + str(terminal.before)


def without_colours(text: str) -> str:
    """Return what stands on the screen, without what paints it or moves about in it."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "")

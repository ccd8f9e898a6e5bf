"""Answers for a person: tables, large digits and texts, as wide as the terminal; plain lines where there is none."""

import os
import sys
from collections.abc import Callable
from io import BytesIO, TextIOWrapper
from typing import TYPE_CHECKING, TextIO, TypeVar

import msgspec

from node.cli.standard_output import write_out
from node.cli.waiting import Waiting, Work

if TYPE_CHECKING:
    from rich.console import RenderableType

S = TypeVar("S", bound=msgspec.Struct)

# Of what is piped on nobody sees an edge: one thing stays on one line, for grep and cut to find it whole.
_PIPED_COLUMNS = 4096
# Longer lines of prose are hard to read, however wide the window is.
READABLE_COLUMNS_MAX = 110


class HumanOutput:
    """Results on standard output; hints, progress and errors on standard error.

    rich is loaded when there is something to show. What is drawn is written in one piece by this process's own hands,
    so that a reader that has gone and a full disk are told apart from defects.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._waiting = Waiting()

    def show(self, value: S, render: "Callable[[S], RenderableType]") -> None:
        """Draw a value."""
        self.close()
        write_out(drawn(render(value), sys.stdout))

    def happened(self, value: S, render: "Callable[[S], RenderableType]") -> None:
        """Draw a value, unless it is to be quiet."""
        if not self._quiet:
            self.show(value, render)

    def write(self, content: bytes) -> None:
        """Write the bytes as they are."""
        if self.is_terminal():
            self.close()
        write_out(content, flush=False)

    def progress(self, value: msgspec.Struct, *, label: str, done: int, total: int | None) -> None:
        """Move the progress bar."""
        if not self._quiet:
            self._waiting.show(Work(label=label, done=done, total=total))

    def is_terminal(self) -> bool:
        """Say whether standard output is a terminal."""
        return sys.stdout.isatty()

    def working(self, text: str) -> None:
        """Turn a spinner beside the text, if it takes long enough to be seen."""
        if not self._quiet:
            self._waiting.show(Work(label=text))

    def note(self, text: str) -> None:
        """Write a hint to standard error, where it does not mix with results."""
        from rich.text import Text

        self.close()
        if not self._quiet:
            self._tell(Text(text, style="dim", overflow="ignore"))

    def fail(self, message: str) -> None:
        """Write the sentence to standard error."""
        from rich.text import Text

        from node.cli.plain_text import plain

        self.close()
        self._tell(Text.assemble(("Error: ", "bold red"), plain(message), overflow="ignore"))

    def interrupted(self, message: str) -> None:
        """Write the sentence to standard error, below the line on which the terminal shows ^C."""
        from rich.text import Text

        self.close()
        self._tell(Text("\n" * sys.stderr.isatty() + message, style="yellow", overflow="ignore"))

    def close(self) -> None:
        """Take the progress bar or the spinner away."""
        self._waiting.stop()

    @staticmethod
    def _tell(text: "RenderableType") -> None:
        sys.stderr.flush()
        sys.stderr.buffer.write(drawn(text, sys.stderr))
        sys.stderr.buffer.flush()


def drawn(content: "RenderableType", stream: TextIO) -> bytes:
    """Return what is to be written to a stream: coloured and wrapped for a terminal, else whole plain lines.

    What the stream's encoding cannot say becomes a question mark.
    """
    from rich.console import Console, Group

    from node.cli.layout import FullWidth

    written = BytesIO()
    file = TextIOWrapper(written, encoding=stream.encoding or "utf-8", errors="replace", newline="")
    watched = Console(file=stream).is_terminal
    console = Console(file=file, force_terminal=watched, highlight=False)
    if watched and not isinstance(content, FullWidth):
        console.width = min(console.width, READABLE_COLUMNS_MAX)
    elif not watched and not os.environ.get("COLUMNS", "").isdecimal():
        console.width = _PIPED_COLUMNS
    # What must not be broken, a code or path to copy, may be longer than a line: it is the terminal that wraps it.
    # In a group, since a text that is printed by itself is joined to another one and forgets that it must not.
    console.print(Group(content), crop=False)
    file.flush()
    lines = written.getvalue()
    return lines if watched else b"\n".join(line.rstrip(b" ") for line in lines.split(b"\n"))

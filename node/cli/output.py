"""The two ways in which a command answers: lines of JSON for programs, tables and progress for a person."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

import msgspec

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.progress import Progress, TaskID
    from rich.status import Status

S = TypeVar("S", bound=msgspec.Struct)


class Output(Protocol):
    """Where a command puts what it found out."""

    def show(self, value: S, render: "Callable[[S], RenderableType]") -> None:
        """Show a value; `render` draws it for a person."""

    def progress(self, value: msgspec.Struct, *, label: str, done: int, total: int | None) -> None:
        """Show how far something is; `total` is None when nobody can know it."""

    def is_terminal(self) -> bool:
        """Say whether a person watches the results."""

    def working(self, text: str) -> None:
        """Say what is being done, until the next thing is shown; for a person who waits."""

    def note(self, text: str) -> None:
        """Tell a person what to do or expect; a program does not need it."""

    def fail(self, message: str) -> None:
        """Show why a command failed."""

    def close(self) -> None:
        """Take away what is only there while a command works."""


class JsonOutput:
    """One JSON object a line on standard output, flushed at once; also errors, so that a program reads one stream."""

    def show(self, value: S, render: "Callable[[S], RenderableType]") -> None:
        """Write a value as one line."""
        self._write(msgspec.json.encode(value))

    def progress(self, value: msgspec.Struct, *, label: str, done: int, total: int | None) -> None:
        """Write the event that told of the progress."""
        self._write(msgspec.json.encode(value))

    def is_terminal(self) -> bool:
        """Return False: JSON is read by programs."""
        return False

    def working(self, text: str) -> None:
        """Say nothing."""

    def note(self, text: str) -> None:
        """Say nothing."""

    def fail(self, message: str) -> None:
        """Write one object whose field `error` holds the sentence."""
        self._write(msgspec.json.encode({"error": message}))

    def close(self) -> None:
        """Do nothing: every line is complete."""

    @staticmethod
    def _write(line: bytes) -> None:
        sys.stdout.buffer.write(line + b"\n")
        sys.stdout.buffer.flush()


class HumanOutput:
    """Tables, large digits and progress bars on a terminal; rich is loaded when there is something to show."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._status: Status | None = None

    def show(self, value: S, render: "Callable[[S], RenderableType]") -> None:
        """Draw a value."""
        self.close()
        # What must not be broken, a code to copy, may be longer than a line: it is the terminal that wraps it.
        _console().print(render(value), crop=False)

    def progress(self, value: msgspec.Struct, *, label: str, done: int, total: int | None) -> None:
        """Move the progress bar, which appears with the first call."""
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        if self._progress is None:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
            self._progress = Progress(*columns, console=_console(to_errors=True), transient=True)
            self._progress.start()
            self._task = self._progress.add_task(label, total=total)
        if self._task is not None:
            self._progress.update(self._task, description=label, completed=done, total=total)

    def is_terminal(self) -> bool:
        """Say whether standard output is a terminal."""
        return sys.stdout.isatty()

    def working(self, text: str) -> None:
        """Turn a spinner beside the text."""
        self.close()
        self._status = _console(to_errors=True).status(text)
        self._status.start()

    def note(self, text: str) -> None:
        """Write a hint to standard error, where it does not mix with results."""
        from rich.text import Text

        self.close()
        _console(to_errors=True).print(Text(text, style="dim"), soft_wrap=True)

    def fail(self, message: str) -> None:
        """Write the sentence to standard error."""
        from rich.text import Text

        from node.cli.plain_text import plain

        self.close()
        _console(to_errors=True).print(Text.assemble(("Error: ", "bold red"), plain(message)), soft_wrap=True)

    def close(self) -> None:
        """Take the progress bar or the spinner away."""
        if self._status is not None:
            self._status.stop()
            self._status = None
        if self._progress is not None:
            self._progress.stop()
            self._progress = self._task = None


def _console(*, to_errors: bool = False) -> "Console":
    from rich.console import Console

    return Console(stderr=to_errors, highlight=False)

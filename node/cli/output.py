"""The two ways in which a command answers: what every command may ask of either, and lines of JSON for programs."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

import msgspec

from node.cli.standard_output import write_out

if TYPE_CHECKING:
    from rich.console import RenderableType

S = TypeVar("S", bound=msgspec.Struct)


class Output(Protocol):
    """Where a command puts what it found out."""

    def show(self, value: S, render: "Callable[[S], RenderableType]") -> None:
        """Show a value, an answer of the command; `render` draws it for a person."""

    def happened(self, value: S, render: "Callable[[S], RenderableType]") -> None:
        """Show what happened on the way; left out if the person asked for quiet."""

    def write(self, content: bytes) -> None:
        """Write an answer that is exact bytes, a piece at a time; the end of the command flushes it."""

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

    def interrupted(self, message: str) -> None:
        """Show how things stand after the person broke the command off."""

    def close(self) -> None:
        """Take away what is only there while a command works."""


class JsonOutput:
    """One JSON object a line on standard output, flushed at once; also errors, so that a program reads one stream."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet

    def show(self, value: S, render: "Callable[[S], RenderableType]") -> None:
        """Write a value as one line."""
        self._write(value)

    def happened(self, value: S, render: "Callable[[S], RenderableType]") -> None:
        """Write a value as one line."""
        if not self._quiet:
            self._write(value)

    def write(self, content: bytes) -> None:
        """Write the bytes as they are."""
        write_out(content, flush=False)

    def progress(self, value: msgspec.Struct, *, label: str, done: int, total: int | None) -> None:
        """Write the event that told of the progress."""
        if not self._quiet:
            self._write(value)

    def is_terminal(self) -> bool:
        """Return False: JSON is read by programs."""
        return False

    def working(self, text: str) -> None:
        """Say nothing."""

    def note(self, text: str) -> None:
        """Say nothing."""

    def fail(self, message: str) -> None:
        """Write one object whose field `error` holds the sentence."""
        self._write({"error": message})

    def interrupted(self, message: str) -> None:
        """Write it as an error."""
        self.fail(message)

    def close(self) -> None:
        """Do nothing: every line is complete."""

    @staticmethod
    def _write(value: object) -> None:
        write_out(msgspec.json.encode(value) + b"\n")

"""Drawings that depend on how many columns there are."""

from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult


@dataclass(frozen=True, slots=True)
class Adaptive:
    """Something that looks different where there is little room: `draw` is given the columns."""

    draw: Callable[[int], RenderableType]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it for the columns that there are."""
        yield self.draw(options.max_width)


@dataclass(frozen=True, slots=True)
class FullWidth:
    """A drawing that uses all the columns of a terminal; what is not one keeps lines that are easy to read."""

    content: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it."""
        yield self.content

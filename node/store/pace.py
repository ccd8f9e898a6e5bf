"""Chooses how many rows a slice of long work takes, so that whoever shares the thread never waits long."""

from collections.abc import Callable

#: A slice aims at this; a node goes on answering in between.
SLICE_SECONDS = 0.015
_LEAST, _MOST = 1, 4096


class Pace:
    """The size of the next slice, from how long the last one took."""

    __slots__ = ("_began_seconds", "_monotonic_seconds", "size")

    def __init__(self, monotonic_seconds: Callable[[], float], size: int = 64) -> None:
        """Begin with slices of `size`."""
        self._monotonic_seconds = monotonic_seconds
        self._began_seconds = 0.0
        self.size = size

    def begin(self) -> None:
        """A slice begins."""
        self._began_seconds = self._monotonic_seconds()

    def end(self) -> None:
        """A slice is done: the next one is twice or half as large where this one was far from the aim."""
        took_seconds = self._monotonic_seconds() - self._began_seconds
        if took_seconds > SLICE_SECONDS:
            self.size = max(_LEAST, self.size // 2)
        elif took_seconds < SLICE_SECONDS / 3:
            self.size = min(_MOST, self.size * 2)

    def single(self) -> None:
        """Take one at a time, until slices prove quick again."""
        self.size = _LEAST

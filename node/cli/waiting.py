"""The line below everything else that says that a command is at work: a spinner, a count or a bar."""

import os
import sys
import time
from dataclasses import dataclass
from threading import Lock, Timer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn

# What is done sooner shows nothing: a line that flashes up disturbs more than it says.
APPEARS_AFTER_SECONDS = 0.5
_WIDE_COLUMNS = 70
_BAR_COLUMNS, _NARROW_BAR_COLUMNS = 30, 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What is being done and how far it is: `done` is None for what has no measure, `total` if nobody knows it."""

    label: str
    done: int | None = None
    total: int | None = None

    def is_drawn_like(self, other: "Work | None") -> bool:
        """Say whether one line can go on to show the other."""
        return other is not None and (self.done is None, self.total is None) == (
            other.done is None,
            other.total is None,
        )


class Waiting:
    """Shows work on the terminal of standard error, and nothing where that is no terminal.

    A thread of its own draws the line when the work has lasted a while, so that it also turns while the work holds up
    everything else, and short work does not even load what draws.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._began_at: float | None = None
        self._work: Work | None = None
        self._timer: Timer | None = None
        self._line: Progress | None = None

    def show(self, work: Work) -> None:
        """Say what is being done now; the line stays until `stop`."""
        if not _is_watched():
            return
        with self._lock:
            if not work.is_drawn_like(self._work):
                self._take_down()
            self._work = work
            now = time.monotonic()
            self._began_at = self._began_at or now
            if self._line is not None:
                self._line.update(
                    self._line.task_ids[0], description=work.label, completed=work.done or 0, total=work.total
                )
            elif self._timer is None:
                self._timer = Timer(max(0.0, self._began_at + APPEARS_AFTER_SECONDS - now), self._appear)
                self._timer.daemon = True
                self._timer.start()

    def stop(self) -> None:
        """Take the line away."""
        with self._lock:
            self._take_down()
            self._work = self._began_at = None

    def _take_down(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._line is not None:
            self._line.stop()
            self._line = None

    def _appear(self) -> None:
        from rich.console import Console
        from rich.progress import Progress

        with self._lock:
            # Stopped or begun anew while this thread waited for the lock: another one draws.
            if self._timer is None or self._work is None or self._line is not None:
                return
            console = Console(stderr=True, highlight=False)
            line = Progress(*_columns(self._work, console.width), console=console, transient=True)
            line.add_task(self._work.label, completed=self._work.done or 0, total=self._work.total)
            line.start()
            self._line = line


def _columns(work: Work, width: int) -> "list[ProgressColumn]":
    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    label = TextColumn("{task.description}", markup=False)
    if work.done is None:
        return [SpinnerColumn(), label]
    if work.total is None:
        return [SpinnerColumn(), label, TextColumn("{task.completed:,}"), TimeElapsedColumn()]
    bar = BarColumn(bar_width=_BAR_COLUMNS if width >= _WIDE_COLUMNS else _NARROW_BAR_COLUMNS)
    return [label, bar, TextColumn("{task.percentage:>3.0f} %"), TimeRemainingColumn(compact=True)]


def _is_watched() -> bool:
    return sys.stderr.isatty() and os.environ.get("TERM") not in {"dumb", "unknown"}

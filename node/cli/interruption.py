"""Ctrl-C while a command works: the work is broken off in good order, and once only.

Python's own handling raises `KeyboardInterrupt` wherever the program happens to be from the second Ctrl-C on, in the
middle of taking back what the first one broke off. Here the second changes nothing, and from the third on the process
ends on the spot, which the store survives as it survives a power cut.
"""

import os
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")

NOTHING_HALF_DONE = "Interrupted. What was begun was done whole, or not at all."
_STILL_STOPPING = b"\nStill stopping; a third Ctrl-C ends it on the spot.\n"
_SHOW_CURSOR = b"\x1b[?25h"
_PATIENCE = 3
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_STANDARD_ERROR = 2


class BrokenOffError(Exception):
    """The person broke a command off with Ctrl-C; the message says how things stand.

    A `KeyboardInterrupt` would be told by the library that calls the commands, with an exit code and no word.
    """


class Ended(BaseException):
    """The process was told to end by another signal than Ctrl-C."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


def run_to_end(work: Coroutine[object, object, T], *, interrupted: str = NOTHING_HALF_DONE) -> T:
    """Run a coroutine to its end.

    Raises `KeyboardInterrupt` with the sentence `interrupted` after Ctrl-C, `Ended` after SIGTERM or SIGHUP, both once
    the coroutine has cleaned up after itself.
    """
    # Costs a fifth of the start of a command that needs none, such as asking for help.
    import asyncio

    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        task = loop.create_task(work)
        received: list[int] = []

        def break_off(number: int, _frame: FrameType | None) -> None:
            received.append(number)
            if len(received) == 1:
                # Called between any two instructions of the loop itself: it must be woken to see it.
                loop.call_soon_threadsafe(task.cancel)
            else:
                insist(number, len(received))

        with _handling(break_off):
            try:
                return runner.run(_awaited(task))
            except asyncio.CancelledError:
                if not received:
                    raise
                if received[0] != signal.SIGINT:
                    raise Ended(received[0]) from None
                raise KeyboardInterrupt(interrupted) from None


@contextmanager
def person_answers() -> Iterator[None]:
    """Let a signal break off at once what waits for a person while the block runs: nothing has begun yet.

    The reading of a line goes on after a handler that only takes note, so Ctrl-C at a prompt would do nothing.
    """
    if current_thread() is not main_thread():
        yield
        return

    def break_off(number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt if number == signal.SIGINT else Ended(number)

    with _handling(break_off):
        yield


def insist(number: int, count: int) -> None:
    """Answer a person who does not want to wait: written by hand, since a handler may hold up whatever has a lock."""
    watched = os.isatty(_STANDARD_ERROR)
    if count >= _PATIENCE:
        if watched:
            os.write(_STANDARD_ERROR, _SHOW_CURSOR)
        os._exit(128 + number)
    if watched:
        os.write(_STANDARD_ERROR, _STILL_STOPPING)


async def _awaited(task: "asyncio.Task[T]") -> T:
    return await task


@contextmanager
def _handling(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Handle the signals, except those that this process was started to ignore, as by nohup."""
    wanted = [number for number in _SIGNALS if signal.getsignal(number) not in (signal.SIG_IGN, None)]
    earlier = {number: signal.signal(number, handler) for number in wanted}
    try:
        yield
    finally:
        for number, before in earlier.items():
            signal.signal(number, before)

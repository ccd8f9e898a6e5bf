"""Timers that have a name, so that what was asked for twice happens once; a full disk does not end what they repeat."""

import asyncio
import logging
from collections.abc import Callable

from node.errors import HostError

logger = logging.getLogger(__name__)


class NamedTimers:
    """The pending acts of one node."""

    def __init__(self) -> None:
        self._timer_by_name: dict[str, asyncio.TimerHandle] = {}
        self._stopped = False

    def once(self, name: str, seconds: float, act: Callable[[], None]) -> None:
        """Run `act` in `seconds` unless a timer of this name runs already."""
        if name in self._timer_by_name or self._stopped:
            return

        def fire() -> None:
            del self._timer_by_name[name]
            guarded(act)

        self._timer_by_name[name] = asyncio.get_running_loop().call_later(seconds, fire)

    def cancel(self, name: str) -> None:
        """Forget the timer of this name, if one runs."""
        if (timer := self._timer_by_name.pop(name, None)) is not None:
            timer.cancel()

    def stop(self) -> None:
        """Forget all of them, and take no more."""
        self._stopped = True
        for name in list(self._timer_by_name):
            self.cancel(name)


def guarded(act: Callable[[], None]) -> None:
    """Run what no peer waits for; a disk that is full now may not stop the node from trying again later."""
    try:
        act()
    except HostError as error:
        logger.exception("upkeep failed", extra={"reason": str(error)})

"""Notices that this device came to another network or woke from sleep.

On Linux the kernel says so (rtnetlink(7)); elsewhere the interfaces are looked at every POLL_SECONDS. Sleep shows in
the clocks: the monotonic one stands still meanwhile, or the time between two looks is much longer than was asked for.
"""

import asyncio
import logging
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from enum import Enum, auto

from node.clock import Clock
from node.discovery.interfaces import Interface, interfaces

logger = logging.getLogger(__name__)

# Where the kernel tells of changes, a look now and then only finds out about sleep.
TOLD_SECONDS = 2.0
POLL_SECONDS = 3.0
# Several messages belong to one change; this long after the first they are looked at together.
SETTLE_SECONDS = 0.05
# A clock that is set by its network moves by less; a machine that slept less keeps its connections.
SLEPT_SECONDS = 5.0
# RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR
_GROUPS = 0x1 | 0x10 | 0x100
_MESSAGES_BYTES_MAX = 65_536


class Look(Enum):
    """What a look at the network found."""

    SAME = auto()
    MOVED = auto()
    WOKE = auto()


class NetworkWatch:
    """Looks at the interfaces and the clocks for as long as `run` is awaited."""

    def __init__(self, clock: Clock, looked: Callable[[tuple[Interface, ...], Look], None]) -> None:
        """`looked` is told the interfaces whenever the kernel tells of something or a look finds something."""
        self._clock = clock
        self._looked = looked
        self._told = asyncio.Event()
        self._present = interfaces()

    @property
    def present(self) -> tuple[Interface, ...]:
        """The interfaces that were there at the last look."""
        return self._present

    async def run(self) -> None:
        """Watch until cancelled."""
        kernel = _kernel_socket()
        loop = asyncio.get_running_loop()
        if kernel is not None:
            loop.add_reader(kernel, self._heard, kernel)
        try:
            await self._watch(TOLD_SECONDS if kernel is not None else POLL_SECONDS, is_told=kernel is not None)
        finally:
            if kernel is not None:
                loop.remove_reader(kernel)
                kernel.close()

    async def _watch(self, pause_seconds: float, *, is_told: bool) -> None:
        asleep = SleepDetector(pause_seconds)
        asleep.look(self._clock.monotonic_seconds(), self._clock.now_milliseconds())
        while True:
            told = False
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_seconds):
                    await self._told.wait()
                    told = True
            if told:
                await asyncio.sleep(SETTLE_SECONDS)
                self._told.clear()
            slept = asleep.look(self._clock.monotonic_seconds(), self._clock.now_milliseconds())
            present = interfaces() if told or slept or not is_told else self._present
            look = _judged(slept=slept, moved=present != self._present)
            # What the kernel tells may be no change of ours: an address that has become usable was there before.
            if told or look is not Look.SAME:
                logger.debug("looked at the network", extra={"found": look.name, "interfaces": len(present)})
                self._present = present
                self._looked(present, look)

    def _heard(self, kernel: socket.socket) -> None:
        with suppress(BlockingIOError):
            while True:
                try:
                    kernel.recv(_MESSAGES_BYTES_MAX)
                except OSError as error:
                    if isinstance(error, BlockingIOError):
                        raise
                    # ENOBUFS: so much changed that messages were lost; looking is all that they would lead to.
                    break
        self._told.set()


class SleepDetector:
    """Compares two clocks between looks that should be `pause_seconds` apart."""

    def __init__(self, pause_seconds: float) -> None:
        self._pause_seconds = pause_seconds
        self._last: tuple[float, int] | None = None

    def look(self, monotonic_seconds: float, now_milliseconds: int) -> bool:
        """Take the time; return whether the machine slept, or was set by hours, since the last look."""
        last, self._last = self._last, (monotonic_seconds, now_milliseconds)
        if last is None:
            return False
        steady, wall = monotonic_seconds - last[0], (now_milliseconds - last[1]) / 1000
        return abs(wall - steady) > SLEPT_SECONDS or steady > self._pause_seconds + SLEPT_SECONDS


def _judged(*, slept: bool, moved: bool) -> Look:
    if slept:
        return Look.WOKE
    return Look.MOVED if moved else Look.SAME


def _kernel_socket() -> socket.socket | None:
    """Return a socket on which the kernel tells of changes, None where it does not."""
    if sys.platform != "linux":
        return None
    try:
        kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
        kernel.bind((0, _GROUPS))
    except OSError as error:
        logger.info("the kernel does not tell of the network; looking instead", extra={"reason": error.strerror})
        return None
    return kernel

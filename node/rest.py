"""Gives back what work has left when a node has been quiet for a while: page cache, write-ahead log, free heap.

The page cache may grow to 64 MB, which bulk writes need and an idle node does not; and an allocator keeps what it once
had unless it is told otherwise. The write-ahead log may have grown to twice that on the disk.
"""

import ctypes
import gc
import logging
from collections.abc import Callable
from functools import cache

from node.store.store import Store

logger = logging.getLogger(__name__)

QUIET_SECONDS = 20.0


class Rest:
    """Watches one store; `look` is called now and then."""

    def __init__(self, store: Store, monotonic_seconds: Callable[[], float]) -> None:
        """Begin to watch."""
        self._store = store
        self._monotonic_seconds = monotonic_seconds
        self._seen = store.activity
        self._quiet_since_seconds = monotonic_seconds()
        self._resting = False

    def look(self) -> None:
        """Give it back, once, when nothing was read or written for a while; raises StorageError."""
        now_seconds = self._monotonic_seconds()
        if self._store.activity != self._seen:
            self._seen, self._quiet_since_seconds, self._resting = self._store.activity, now_seconds, False
        elif not self._resting and now_seconds - self._quiet_since_seconds >= QUIET_SECONDS:
            self._resting = True
            self._store.rest()
            release_memory()
            logger.debug("resting")


def release_memory() -> None:
    """Give back what this process holds and does not use; takes some ten milliseconds."""
    gc.collect()
    if (trim := _trim()) is not None:
        trim(0)


@cache
def _trim() -> Callable[[int], int] | None:
    """Return glibc's malloc_trim(3), None where the allocator has none and decides by itself."""
    try:
        found: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None
    return found

"""The port through which the node reads time, and the system's clock behind it."""

import time
from typing import Protocol


class Clock(Protocol):
    """Wall time for stamps and people; monotonic time for waiting."""

    def now_milliseconds(self) -> int:
        """Return milliseconds since 1970 (UTC) by this device's wall clock."""

    def monotonic_seconds(self) -> float:
        """Return seconds on a clock that never goes back."""


class SystemClock:
    """The operating system's clocks."""

    def now_milliseconds(self) -> int:
        """Return milliseconds since 1970 (UTC)."""
        return time.time_ns() // 1_000_000

    def monotonic_seconds(self) -> float:
        """Return seconds since an arbitrary start."""
        return time.monotonic()

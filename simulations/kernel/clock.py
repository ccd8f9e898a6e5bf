"""Virtual time: one true clock for the world, and a skewed wall clock for each device."""


class TrueTime:
    """The time that really passes, in milliseconds; only the scheduler advances it."""

    def __init__(self, start_milliseconds: int) -> None:
        self.milliseconds = start_milliseconds

    def advance(self, milliseconds: int) -> None:
        """Let time pass."""
        self.milliseconds += milliseconds


class SkewedClock:
    """A device's wall clock: true time plus an offset that jumps; satisfies `node.clock.Clock`."""

    def __init__(self, true_time: TrueTime, offset_milliseconds: int = 0) -> None:
        self._true_time = true_time
        self.offset_milliseconds = offset_milliseconds

    def now_milliseconds(self) -> int:
        """Return what the device believes the time to be; never before 1970."""
        return max(0, self._true_time.milliseconds + self.offset_milliseconds)

    def monotonic_seconds(self) -> float:
        """Return true time: the monotonic clock is not skewed."""
        return self._true_time.milliseconds / 1000

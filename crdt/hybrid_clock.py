"""A hybrid logical clock: wall milliseconds with a counter that carries into them.

Source: Kulkarni et al., "Logical Physical Clocks" (2014), with the carry of a full counter into the milliseconds,
so that a burst within one millisecond never stops and never repeats a time.
"""

from crdt.identifiers import HybridTime

COUNTER_BITS = 16


def hybrid_milliseconds(time: int) -> int:
    """Return the milliseconds since 1970 inside a hybrid time."""
    return time >> COUNTER_BITS


class HybridClock:
    """The last hybrid time a device made or saw; the next one always exceeds it."""

    __slots__ = ("last",)

    def __init__(self, last: int = 0) -> None:
        self.last = HybridTime(last)

    def observe(self, seen: HybridTime) -> None:
        """Take note of an applied stamp; never clamps, or a causally later edit could lose."""
        self.last = max(self.last, seen)

    def next(self, wall_milliseconds: int) -> HybridTime:
        """Return a time greater than every one made or observed, and advance to it."""
        self.last = HybridTime(max(wall_milliseconds << COUNTER_BITS, self.last + 1))
        return self.last

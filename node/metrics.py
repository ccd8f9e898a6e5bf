"""What a running node counts: plain numbers that only grow, and a histogram of how long changes take to be applied.

Names, units and buckets follow the conventions of Prometheus (prometheus.io/docs/practices/naming). Everything here is
kept by one event loop, so counting is adding.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

# From one small batch to a bundle of 512 KiB on a slow disk.
APPLY_SECONDS_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Histogram:
    """Observed values, counted by buckets whose upper bounds are included; the last bucket has none."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.total = 0.0
        self._counts = [0] * (len(self.bounds) + 1)

    def observe(self, value: float) -> None:
        """Count one value."""
        self._counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def cumulative(self) -> list[int]:
        """Return how many values were at most each bound, and last how many there were at all."""
        sums, running = [], 0
        for count in self._counts:
            running += count
            sums.append(running)
        return sums


@dataclass(slots=True)
class Traffic:
    """What went through the links of a node since it was started."""

    frames_in: int = 0
    frames_out: int = 0
    frame_bytes_in: int = 0
    frame_bytes_out: int = 0
    links_opened: int = 0
    links_broken: int = 0
    batches_sent: int = 0
    batches_applied: int = 0
    batches_refused: int = 0
    pages_applied: int = 0
    apply_seconds: Histogram = field(default_factory=lambda: Histogram(APPLY_SECONDS_BOUNDS))

    def frame_in(self, frame_bytes: int) -> None:
        """Count a frame of a peer."""
        self.frames_in += 1
        self.frame_bytes_in += frame_bytes

    def frame_out(self, frame_bytes: int) -> None:
        """Count a frame for a peer."""
        self.frames_out += 1
        self.frame_bytes_out += frame_bytes

    def batches_in(self, count: int, refused: int, seconds: float) -> None:
        """Count batches that were given to the store together."""
        self.batches_applied += count
        self.batches_refused += refused
        self.apply_seconds.observe(seconds)

    def page_in(self, seconds: float) -> None:
        """Count a page that was merged."""
        self.pages_applied += 1
        self.apply_seconds.observe(seconds)

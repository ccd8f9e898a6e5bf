"""What was measured: one figure of a report, its samples, what it should reach, and whether it does."""

from collections.abc import Sequence
from statistics import median
from typing import Literal

import msgspec


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """The samples of one measured thing and, where there is one, its goal.

    `value` is the median, unless another measure of the samples is named (a p99, say).
    """

    name: str
    unit: str
    value: float
    low: float
    high: float
    samples: int
    goal: float | None = None
    better: Literal["more", "less"] = "more"

    @property
    def reached(self) -> bool | None:
        """Tell whether the goal is reached; None if there is none."""
        if self.goal is None:
            return None
        return self.value >= self.goal if self.better == "more" else self.value <= self.goal


def figure(
    name: str,
    unit: str,
    samples: Sequence[float],
    *,
    goal: float | None = None,
    better: Literal["more", "less"] = "more",
    percentile: int = 50,
) -> Figure:
    """Return the median of the samples (or another percentile, by nearest rank), with their range."""
    ordered = sorted(samples)
    nearest = ordered[max(0, -(-percentile * len(ordered) // 100) - 1)]
    return Figure(
        name=name,
        unit=unit,
        value=median(ordered) if percentile == 50 else nearest,
        low=ordered[0],
        high=ordered[-1],
        samples=len(ordered),
        goal=goal,
        better=better,
    )

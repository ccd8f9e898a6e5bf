"""Series of seeds: the plain lane, the repeat of a seed that must give the same trace, and the hunt for a mutant."""

import os
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from simulations.mutants.registry import Mutant
from simulations.violation import Violation
from simulations.world.plan import Plan, as_drawn
from simulations.world.run import Outcome, run_seed

#: Every so many seeds one is run twice: the same seed must give the same trace.
REPEAT_EVERY = 20


@dataclass(slots=True)
class Series:
    """What a series of seeds came to."""

    seeds: int = 0
    violations: list[Outcome] = field(default_factory=list)
    sometimes: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hunt:
    """Whether a mutant was noticed, by which check, after how many seeds."""

    mutant: Mutant
    killed_by: Violation | None
    seeds: int

    @property
    def as_expected(self) -> bool:
        """Whether one of the checks that ought to notice it did."""
        return self.killed_by is not None and self.killed_by.check in self.mutant.checks


def run_in_scratch(seed: int, change_plan: Callable[[Plan], Plan] = as_drawn) -> Outcome:
    """Run one seed in a directory that is gone afterwards."""
    with TemporaryDirectory(prefix="nuthatch-simulation-", dir=scratch_directory()) as home:
        return run_seed(seed, Path(home), change_plan)


def scratch_directory() -> Path | None:
    """Return a directory in memory, where there is one: a killed process loses nothing that it wrote, synced or not."""
    memory = Path("/dev/shm")  # noqa: S108 - only its TemporaryDirectory is used
    return memory if os.access(memory, os.W_OK | os.X_OK) else None


def run_series(
    seeds: Iterable[int], report: Callable[[Outcome], None], change_plan: Callable[[Plan], Plan] = as_drawn
) -> Series:
    """Run seeds one after the other, every twentieth twice, and gather what they reached."""
    series = Series()
    for seed in seeds:
        outcome = run_in_scratch(seed, change_plan)
        if outcome.violation is None and seed % REPEAT_EVERY == 0:
            again = run_in_scratch(seed, change_plan)
            if again.trace_digest != outcome.trace_digest:
                outcome = outcome.broken(Violation("determinism", f"seed {seed} took another course the second time"))
        series.seeds += 1
        series.sometimes.update(outcome.sometimes)
        if outcome.violation is not None:
            series.violations.append(outcome)
        report(outcome)
    return series


def hunt(mutant: Mutant, seeds: Iterable[int]) -> Hunt:
    """Run seeds with a bug planted, under plans that suit it, until one notices it."""
    tried = 0
    with mutant.plant():
        for seed in seeds:
            tried += 1
            outcome = run_in_scratch(seed, mutant.focus)
            if outcome.violation is not None:
                return Hunt(mutant=mutant, killed_by=outcome.violation, seeds=tried)
    return Hunt(mutant=mutant, killed_by=None, seeds=tried)

"""The checks are worth what they catch: every planted bug is killed soon, and without a bug the same runs are clean."""

import pytest

from simulations.lanes import hunt, run_in_scratch
from simulations.mutants.catalogue import MUTANTS
from simulations.mutants.registry import Mutant

SEEDS = range(30)
#: Each mutant's focused plans are run without it as well, on as many seeds as nearly all mutants need.
CLEAN_SEEDS = range(1)
#: Of so many planted bugs one is tried with the suite; the others have a lane of their own.
ONE_OF = 6


def _planted(index: int, mutant: Mutant) -> object:
    return pytest.param(mutant, id=mutant.name, marks=pytest.mark.long if index % ONE_OF else ())


@pytest.mark.parametrize("mutant", [_planted(*numbered) for numbered in enumerate(MUTANTS)])
def test_a_planted_bug_is_killed_by_a_check_that_ought_to_notice_it(mutant: Mutant) -> None:
    result = hunt(mutant, SEEDS)
    assert result.killed_by is not None, f"{mutant.name} survived {result.seeds} seeds"
    assert result.as_expected, f"{mutant.name} was killed by an unexpected check: {result.killed_by}"


@pytest.mark.long
def test_the_runs_that_kill_mutants_are_clean_without_them() -> None:
    plans = {mutant.focus: mutant.name for mutant in MUTANTS}
    for focus, name in plans.items():
        for seed in CLEAN_SEEDS:
            assert run_in_scratch(seed, focus).violation is None, f"seed {seed} as focused for {name}"


def test_there_are_mutants_of_merging_capturing_and_receiving_with_names_of_their_own() -> None:
    names = [mutant.name for mutant in MUTANTS]
    assert len(set(names)) == len(names)
    assert len(names) >= 30

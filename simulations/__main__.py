"""The simulations' command line: `python -m simulations --seed 42`."""

import argparse
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import replace

from simulations.lanes import Series, hunt, run_series
from simulations.mutants.catalogue import MUTANTS
from simulations.world.run import Outcome

_DEVICES = (2, 3, 4, 5, 6)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; return 0 if every invariant held (or every mutant was killed), else 1."""
    options = _parser().parse_args(arguments)
    seeds = range(options.seed, options.seed + options.seeds)
    if options.mutants:
        return _hunt_all(seeds, options)
    began = time.monotonic()
    series = run_series(
        seeds,
        lambda outcome: _report(outcome, verbose=options.verbose or options.seeds == 1),
        lambda plan: replace(plan, devices=options.devices or plan.devices, steps=options.steps or plan.steps),
    )
    _summarise(series, time.monotonic() - began)
    return 1 if series.violations else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m simulations", description=__doc__)
    parser.add_argument("--seed", type=int, default=42, help="the first seed (default 42)")
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds, one after the other (default 1)")
    parser.add_argument("--devices", type=int, choices=_DEVICES, help="how many devices (default: drawn from the seed)")
    parser.add_argument("--steps", type=int, help="how many steps (default: drawn from the seed)")
    parser.add_argument("--mutants", action="store_true", help="plant each known bug and show which check kills it")
    parser.add_argument("--mutant", help="with --mutants: only the mutants whose name contains this")
    parser.add_argument("--verbose", action="store_true", help="show the end of every trace")
    return parser


def _hunt_all(seeds: range, options: argparse.Namespace) -> int:
    survivors = 0
    for mutant in MUTANTS:
        if options.mutant and options.mutant not in mutant.name:
            continue
        result = hunt(mutant, seeds)
        survivors += not result.as_expected
        if result.killed_by is None:
            verdict = f"SURVIVES {result.seeds} seeds"
        else:
            unexpected = "" if result.as_expected else " (UNEXPECTED CHECK)"
            verdict = f"killed by {result.killed_by.check} at seed {result.seeds}{unexpected}"
        print(f"{mutant.name:30} {verdict}", flush=True)
        if options.verbose and result.killed_by is not None:
            print(f"    {result.killed_by}")
            if result.killed_by.__cause__ is not None:
                traceback.print_exception(result.killed_by.__cause__)
    print(f"{survivors} planted bugs were not noticed as they ought to be")
    return 1 if survivors else 0


def _report(outcome: Outcome, *, verbose: bool) -> None:
    if verbose or outcome.violation is not None:
        for line in outcome.recent:
            print(f"    {line}")
    if outcome.violation is not None:
        if outcome.violation.__cause__ is not None:
            traceback.print_exception(outcome.violation.__cause__, file=sys.stdout)
        print(f"seed {outcome.seed}: {outcome.violation}")
        print(f"    {outcome.plan}")
    if verbose and outcome.violation is None:
        print(f"seed {outcome.seed}: {outcome.plan.devices} devices, {outcome.plan.steps} steps, all invariants held")
    if verbose:
        print(f"    trace {outcome.trace_digest}", flush=True)


def _summarise(series: Series, seconds: float) -> None:
    print("situations reached: " + ", ".join(f"{label} {count}" for label, count in sorted(series.sometimes.items())))
    verdict = f"{len(series.violations)} violations" if series.violations else "no violation"
    print(f"{verdict} in {series.seeds} seeds, {seconds:.1f} s")


if __name__ == "__main__":
    sys.exit(main())

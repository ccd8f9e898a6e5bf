"""The command line of the crash images: `python -m simulations.crash_images --seed 42`."""

import argparse
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from simulations.crash_images.lane import Lane, Tally
from simulations.crash_images.planted_bugs import PLANTED_BUGS
from simulations.crash_images.recorder import compile_recorder, why_not_here
from simulations.crash_images.scenario import Scenario
from simulations.crash_images.scenarios import SCENARIOS


def main(arguments: list[str] | None = None) -> int:
    """Verify images of all scenarios, or show which check notices each planted bug; return the exit code."""
    options = _parser().parse_args(arguments)
    if reason := why_not_here():
        print(f"skipped: {reason}")
        return 0
    with TemporaryDirectory(prefix="nuthatch-recorder-") as folder:
        lane = Lane(compile_recorder(Path(folder)), options.workers)
        try:
            if options.bugs:
                return _hunt(lane, options)
            return max(
                _verify(lane, options), _make_homes(lane, options), _try_faults(lane, options), _lie(lane, options)
            )
        finally:
            lane.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m simulations.crash_images", description=__doc__)
    parser.add_argument("--seed", type=int, default=42, help="the first seed (default 42)")
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds, one after the other (default 1)")
    parser.add_argument("--draws", type=int, default=1, help="how often each way of surviving is drawn (default 1)")
    parser.add_argument("--homes", type=int, default=60, help="images of a home that is being made (default 60)")
    parser.add_argument("--trials", type=int, default=400, help="failing disks tried in each scenario (default 400)")
    parser.add_argument("--lies", type=float, default=0.2, help="share of a lying disk's falls looked at (default 0.2)")
    parser.add_argument("--scenario", choices=[scenario.name for scenario in SCENARIOS], help="only this one")
    parser.add_argument("--workers", type=int, default=2, help="how many processes verify (default 2)")
    parser.add_argument("--bugs", action="store_true", help="plant each known bug and show which check notices it")
    return parser


def _scenarios(options: argparse.Namespace) -> list[Scenario]:
    return [scenario for scenario in SCENARIOS if options.scenario in (None, scenario.name)]


def _verify(lane: Lane, options: argparse.Namespace) -> int:
    scenarios = _scenarios(options)
    findings = 0
    images = 0
    began = time.monotonic()
    for seed in range(options.seed, options.seed + options.seeds):
        tally = lane.run(scenarios, seed, options.draws)
        for finding in tally.findings:
            print(f"seed {seed}: {finding}")
        for name, count in tally.images.items():
            print(f"seed {seed} {name:14} {count:6} images", flush=True)
        findings += len(tally.findings)
        images += tally.images.total()
    verdict = f"{findings} violations" if findings else "no violation"
    print(f"{verdict} in {images} images, {time.monotonic() - began:.1f} s")
    return 1 if findings else 0


def _make_homes(lane: Lane, options: argparse.Namespace) -> int:
    return _conclude(lane.make_homes(options.seed, options.homes), "images of a home that was being made", options)


def _conclude(tally: Tally, what: str, options: argparse.Namespace) -> int:
    for finding in tally.findings:
        print(f"seed {options.seed}: {finding}")
    verdict = f"{len(tally.findings)} violations" if tally.findings else "no violation"
    print(f"{verdict} in {tally.images.total()} {what}", flush=True)
    return 1 if tally.findings else 0


def _try_faults(lane: Lane, options: argparse.Namespace) -> int:
    began = time.monotonic()
    reports = lane.try_faults(_scenarios(options), options.seed, options.trials)
    for name, report in reports.items():
        for finding in report.findings:
            print(f"seed {options.seed}: {finding}")
        print(f"seed {options.seed} {name:14} {report.trials:6} failing disks, {report.errors} errors reported")
    findings = sum(len(report.findings) for report in reports.values())
    trials = sum(report.trials for report in reports.values())
    verdict = f"{findings} violations" if findings else "no violation"
    print(f"{verdict} with {trials} failing disks, {time.monotonic() - began:.1f} s")
    return 1 if findings else 0


def _lie(lane: Lane, options: argparse.Namespace) -> int:
    return _conclude(lane.lie(options.seed, options.lies), "falls of a lying disk", options)


def _hunt(lane: Lane, options: argparse.Namespace) -> int:
    survivors = 0
    for bug in PLANTED_BUGS:
        finding = lane.hunt(bug, options.seed)
        survivors += finding is None or finding.check not in bug.checks
        print(f"{bug.name:30} {'SURVIVES' if finding is None else finding.message}", flush=True)
    print(f"{survivors} planted bugs were not noticed as they ought to be")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())

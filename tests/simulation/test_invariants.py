"""A slice of the simulations: real stores under seeded faults, against the independent model."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from simulations.lanes import run_in_scratch, run_series
from simulations.workloads.component import DRILL
from simulations.world.plan import Plan
from simulations.world.run import Outcome

SEEDS = range(211, 235)
#: Situations that a slice which is worth its time reaches.
REACHED = (
    "applied again",
    "batch held",
    "cloned",
    "clock jumped",
    "damage repaired",
    "damaged rows taken out",
    "duplicate delivered",
    "forgery refused",
    "killed between calls",
    "killed in a transaction",
    "killed while applying",
    "late batch released",
    "orphan deleted",
    "orphan out of sight",
    "parcel lost",
    "parcel shuffled",
    "reinsert",
    "repair page joined",
    "replace",
    "log compacted",
    "snapshot adopted",
    "snapshot of several pages",
    "store restored with its mark",
    "store restored without its mark",
    "transaction abandoned",
    "updated",
)
#: The same of runs in which only a peer can tell a device that it went back.
REACHED_BY_FORKS = (
    "fork settled",
    "own lost batches received",
    "store restored with its whole machine",
    "written under a number that was taken",
)
#: The same of runs in which some devices begin on an earlier version.
REACHED_BY_UPDATES = ("killed in an update", "reference repaired", "updated", "updated with a damaged row")


@pytest.mark.long
def test_no_invariant_breaks_in_a_slice_of_seeds_and_the_slice_reaches_the_situations_that_matter() -> None:
    broken: list[str] = []

    def note(outcome: Outcome) -> None:
        if outcome.violation is not None:
            broken.append(f"seed {outcome.seed}: {outcome.violation}")

    series = run_series(SEEDS, note)
    assert broken == []
    assert [label for label in REACHED if series.sometimes[label] == 0] == []


def test_a_device_set_back_without_a_trace_meets_its_lost_past_and_no_invariant_breaks() -> None:
    def focus(plan: Plan) -> Plan:
        faults = {"restore": 0.1, "unnoticed": 1.0, "clone": 0.0, "damage": 0.0}
        return replace(plan, tables=("drill_settings",), devices=3, steps=80, **faults)  # type: ignore[arg-type]

    broken: list[Outcome] = []
    series = run_series(range(1, 11), lambda outcome: broken.extend([outcome] if outcome.violation else []), focus)
    assert [f"seed {outcome.seed}: {outcome.violation}" for outcome in broken] == []
    assert [label for label in REACHED_BY_FORKS if series.sometimes[label] == 0] == []


@pytest.mark.long
def test_devices_of_two_versions_hold_the_same_and_show_the_same_once_all_are_updated() -> None:
    def focus(plan: Plan) -> Plan:
        tables = tuple(table.name for table in DRILL.tables)
        return replace(plan, tables=tables, earlier=0.7, damage=0.08, snapshot=0.06, kill=0.08, devices=3, steps=80)

    broken: list[Outcome] = []
    series = run_series(range(51, 61), lambda outcome: broken.extend([outcome] if outcome.violation else []), focus)
    assert [f"seed {outcome.seed}: {outcome.violation}" for outcome in broken] == []
    assert [label for label in REACHED_BY_UPDATES if series.sometimes[label] == 0] == []


def test_the_same_seed_takes_the_same_course_and_another_seed_another() -> None:
    first, second, other = (run_in_scratch(seed).trace_digest for seed in (7, 7, 8))
    assert first == second
    assert first != other


def test_the_course_does_not_depend_on_the_hash_seed_of_the_process() -> None:
    script = "from simulations.lanes import run_in_scratch; print(run_in_scratch(9).trace_digest)"
    digests = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(digests) == 1


@pytest.mark.parametrize("devices", [2, 6])
def test_any_number_of_devices_from_two_to_six_comes_to_agree(devices: int, capsys: pytest.CaptureFixture[str]) -> None:
    from simulations.__main__ import main

    assert main(["--seed", "5", "--devices", str(devices), "--steps", "40"]) == 0
    assert f"{devices} devices, 40 steps, all invariants held" in capsys.readouterr().out

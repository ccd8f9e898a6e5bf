"""A slice of the crash images: power cuts that the real node lives through, and planted bugs that the images show."""

from collections.abc import Iterator

import pytest

from simulations.crash_images.disk import Disk, Survival
from simulations.crash_images.lane import Lane
from simulations.crash_images.operations import Flush, FlushDirectory, Rename, Resize, Write
from simulations.crash_images.planted_bugs import PLANTED_BUGS
from simulations.crash_images.recorder import compile_recorder, why_not_here
from simulations.crash_images.scenario import Scenario
from simulations.crash_images.scenarios import CREATION, LOCAL, MIGRATION, RECEIVED, SCENARIOS, SNAPSHOT
from simulations.kernel.streams import SeededStream

SEED = 42
SHARE = 0.022
TRIALS_EACH = 6
HOMES = 2
LIES_SHARE = 0.01
#: All of them are planted by `make crash-images`.
QUICKLY_NOTICED = (
    "acknowledged-before-commit",
    "frontier-after-rows",
    "mark-before-store",
    "failed-commit-acknowledged",
)
RANDOM = SeededStream(1, "disk")

needs_recorder = pytest.mark.skipif(why_not_here() is not None, reason=why_not_here() or "")


@pytest.fixture(scope="module")
def lane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lane]:
    """Two workers under the compiled recorder."""
    opened = Lane(compile_recorder(tmp_path_factory.mktemp("recorder")), workers=2)
    yield opened
    opened.close()


@needs_recorder
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_power_cut_at_any_write_loses_nothing_acknowledged_and_leaves_nothing_half_done(
    lane: Lane, scenario: Scenario
) -> None:
    tally = lane.run([scenario], SEED, share=SHARE)
    assert tally.findings == []
    assert tally.images[scenario.name] > 0


@needs_recorder
def test_a_disk_that_fails_at_any_operation_is_reported_and_worked_with_once_it_is_well(lane: Lane) -> None:
    reports = lane.try_faults((LOCAL, RECEIVED, SNAPSHOT, CREATION, MIGRATION), SEED, TRIALS_EACH)
    assert [finding for report in reports.values() for finding in report.findings] == []
    assert sum(report.errors for report in reports.values()) > 8


@needs_recorder
def test_a_power_cut_while_a_home_is_made_leaves_a_device_or_a_free_place(lane: Lane) -> None:
    assert lane.make_homes(SEED, HOMES).findings == []


@needs_recorder
def test_what_a_lying_disk_forgot_comes_back_from_the_peer_and_nothing_written_since_is_lost(lane: Lane) -> None:
    tally = lane.lie(SEED, LIES_SHARE)
    assert tally.findings == []
    assert tally.images.total() > 10


@needs_recorder
@pytest.mark.parametrize("name", QUICKLY_NOTICED)
def test_a_planted_bug_is_noticed_by_a_check_that_ought_to(lane: Lane, name: str) -> None:
    bug = next(bug for bug in PLANTED_BUGS if bug.name == name)
    finding = lane.hunt(bug, SEED, share=0.1)
    assert finding is not None, f"{bug.name} leaves no image that any check refuses"
    assert finding.check in bug.checks, finding


def test_what_was_flushed_survives_and_what_was_not_may_be_gone() -> None:
    disk = Disk.holding({"a": b"old"})
    disk.do(Write(0, 0, b"new"))
    assert disk.after_power_cut(Survival.NONE, RANDOM) == {"a": b"old"}
    assert disk.after_power_cut(Survival.ALL, RANDOM) == {"a": b"new"}
    disk.do(Flush(0))
    disk.do(Resize(0, 5))
    assert disk.after_power_cut(Survival.NONE, RANDOM) == {"a": b"new"}
    assert disk.after_power_cut(Survival.ALL, RANDOM) == {"a": b"new\0\0"}


def test_a_name_is_durable_only_after_its_directory_was_flushed() -> None:
    disk = Disk.holding({"a": b"old"})
    disk.do(Rename((("b", 1),)))
    disk.do(Write(1, 0, b"new"))
    disk.do(Flush(1))
    disk.do(Rename((("b", None), ("a", 1))))
    assert disk.after_power_cut(Survival.NONE, RANDOM) == {"a": b"old"}
    assert disk.after_power_cut(Survival.ALL, RANDOM) == {"a": b"new"}
    disk.do(FlushDirectory())
    assert disk.after_power_cut(Survival.NONE, RANDOM) == {"a": b"new"}


def test_a_torn_write_is_torn_at_sectors_and_nowhere_else() -> None:
    disk = Disk.holding({"a": bytes(2048)})
    disk.do(Write(0, 100, b"x" * 1500))
    seen = set()
    for draw in range(40):
        content = disk.after_power_cut(Survival.TORN, RANDOM.child(str(draw)))["a"]
        kept = [b"x" in content[start : start + 512] for start in range(0, 2048, 512)]
        assert all(
            content[start : start + 512].strip(b"\0").count(b"x") in (0, min(start + 512, 1600) - max(start, 100))
            for start in range(0, 2048, 512)
        )
        seen.add(tuple(kept))
    assert len(seen) > 5

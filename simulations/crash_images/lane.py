"""Records scenarios and verifies their images on all cores; hunts the planted bugs with the same means."""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from simulations.crash_images.faults import FaultReport, try_faults
from simulations.crash_images.home_creation import record_home, verify_homes
from simulations.crash_images.images import Image, images
from simulations.crash_images.lying_disk import LIED_TO, lies, verify_lies
from simulations.crash_images.planted_bugs import PlantedBug
from simulations.crash_images.recording import SCENARIO_BY_NAME, Recording, material, record
from simulations.crash_images.scenario import Scenario
from simulations.crash_images.verification import Finding, Verifier
from simulations.kernel.streams import SeededStream
from simulations.lanes import scratch_directory
from simulations.violation import Violation

_IMAGES_PER_TASK = 20
_TRIALS_OF_A_HUNT = 400
_LIES_OF_A_HUNT = 0.05
_HOMES_OF_A_HUNT = 8

Item = TypeVar("Item")


@dataclass(slots=True)
class Tally:
    """What a lane came to."""

    images: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)


class Lane:
    """Worker processes and the compiled recorder."""

    def __init__(self, library: Path, workers: int) -> None:
        self._library = library
        self._workers = workers
        # Spawned, not forked: an engine that was loaded before a fork belongs to the parent.
        self._pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_be_quiet)

    def close(self) -> None:
        """Let the workers go."""
        self._pool.shutdown()

    def run(self, scenarios: Sequence[Scenario], seed: int, draws: int = 1, share: float = 1.0) -> Tally:
        """Verify the images of scenarios after a `share` of all operations."""
        tally = Tally()
        for scenario in scenarios:
            recording = record(self._library, scenario, seed)
            found = list(images(recording, seed, draws, share))
            tally.images[scenario.name] += len(found)
            tally.findings += self._verify(recording, found)
        return tally

    def make_homes(self, seed: int, images_max: int, bug: str = "") -> Tally:
        """Cut the power while a home is made, in `images_max` ways; slow on purpose, as each unlocks a passphrase."""
        recording = record_home(self._library, seed, bug)
        found = SeededStream(seed, "homes").sample(list(images(recording, seed)), images_max)
        parts = [found[worker :: self._workers] for worker in range(self._workers)]
        tally = Tally(images=Counter({recording.scenario: len(found)}))
        for findings in self._pool.map(verify_homes, [recording] * len(parts), parts, [bug] * len(parts)):
            tally.findings += findings
        return tally

    def try_faults(self, scenarios: Sequence[Scenario], seed: int, trials_max: int) -> dict[str, FaultReport]:
        """Let the disk fail in up to `trials_max` ways in each of the scenarios; returns reports by scenario."""
        with ThreadPoolExecutor(self._workers) as threads:
            reports = threads.map(lambda each: try_faults(self._library, each, seed, trials_max), scenarios)
            return {scenario.name: report for scenario, report in zip(scenarios, reports, strict=True)}

    def lie(self, seed: int, share: float = 1.0, bug: str = "") -> Tally:
        """Let the disk forget what it had promised to keep, after a `share` of all operations of local writes."""
        recording = record(self._library, SCENARIO_BY_NAME[LIED_TO], seed)
        told = list(lies(recording, seed, share))
        parts = _parts(told)
        tally = Tally(images=Counter({LIED_TO: len(told)}))
        for findings in self._pool.map(verify_lies, [recording] * len(parts), parts, [bug] * len(parts)):
            tally.findings += findings
        return tally

    def hunt(self, bug: PlantedBug, seed: int, share: float = 1.0) -> Finding | None:
        """Return the first finding of a run with a planted bug, among its images or trials as drawn from the seed."""
        match bug.shows_by:
            case "failing disk":
                scenario = SCENARIO_BY_NAME[bug.scenario]
                return next(iter(try_faults(self._library, scenario, seed, _TRIALS_OF_A_HUNT, bug.name).findings), None)
            case "lying disk":
                return next(iter(self.lie(seed, share * _LIES_OF_A_HUNT, bug.name).findings), None)
            case "power cut in init":
                return next(iter(self.make_homes(seed, _HOMES_OF_A_HUNT, bug.name).findings), None)
            case "power cut":
                return self._hunt_images(bug, seed, share)

    def _hunt_images(self, bug: PlantedBug, seed: int, share: float) -> Finding | None:
        recording = record(self._library, SCENARIO_BY_NAME[bug.scenario], seed, bug.name)
        shuffled = SeededStream(seed, bug.name).shuffled(list(images(recording, seed, share=share)))
        return next(self._verify(recording, shuffled), None)

    def _verify(self, recording: Recording, found: Sequence[Image]) -> Iterator[Finding]:
        parts = _parts(found)
        for findings in self._pool.map(verify_all, [recording] * len(parts), parts):
            yield from findings


def _parts(whole: Sequence[Item]) -> list[Sequence[Item]]:
    return [whole[start : start + _IMAGES_PER_TASK] for start in range(0, len(whole), _IMAGES_PER_TASK)]


def _be_quiet() -> None:
    # What the node logs of a planted bug, nobody reads.
    logging.getLogger("node").setLevel(logging.CRITICAL)


def verify_all(recording: Recording, found: Sequence[Image]) -> list[Finding]:
    """Verify images one after the other and return what is wrong."""
    findings: list[Finding] = []
    with TemporaryDirectory(prefix="nuthatch-images-", dir=scratch_directory()) as home:
        scenario = SCENARIO_BY_NAME[recording.scenario]
        verifier = Verifier(scenario, recording, material(scenario.name, recording.seed), Path(home) / "image")
        for image in found:
            try:
                verifier.verify(image)
            except Violation as violation:
                findings.append(
                    Finding(
                        scenario=recording.scenario,
                        operation=image.operation,
                        fate=image.survival.value,
                        acknowledged=image.acknowledged,
                        begun=image.begun,
                        check=violation.check,
                        message=str(violation),
                    )
                )
    return findings

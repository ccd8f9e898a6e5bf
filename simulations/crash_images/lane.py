"""Records scenarios and verifies their images on all cores; hunts the planted bugs with the same means."""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

from simulations.crash_images.images import Image, images
from simulations.crash_images.planted_bugs import PlantedBug
from simulations.crash_images.recording import SCENARIO_BY_NAME, Recording, record
from simulations.crash_images.scenario import Scenario
from simulations.crash_images.verification import Verifier
from simulations.kernel.streams import SeededStream
from simulations.lanes import scratch_directory
from simulations.violation import Violation

_IMAGES_PER_TASK = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """An image from which the node does not live on as it must."""

    scenario: str
    operation: int
    survival: str
    acknowledged: int
    begun: int
    check: str
    message: str


@dataclass(slots=True)
class Tally:
    """What a lane came to."""

    images: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)


class Lane:
    """Worker processes and the compiled recorder."""

    def __init__(self, library: Path, workers: int) -> None:
        self._library = library
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

    def hunt(self, bug: PlantedBug, seed: int, share: float = 1.0) -> Finding | None:
        """Return the first finding among the images of a run with a planted bug, in an order drawn from the seed."""
        recording = record(self._library, SCENARIO_BY_NAME[bug.scenario], seed, bug.name)
        shuffled = SeededStream(seed, bug.name).shuffled(list(images(recording, seed, share=share)))
        return next(self._verify(recording, shuffled), None)

    def _verify(self, recording: Recording, found: Sequence[Image]) -> Iterator[Finding]:
        parts = [found[start : start + _IMAGES_PER_TASK] for start in range(0, len(found), _IMAGES_PER_TASK)]
        for findings in self._pool.map(verify_all, [recording] * len(parts), parts):
            yield from findings


def _be_quiet() -> None:
    # What the node logs of a planted bug, nobody reads.
    logging.getLogger("node").setLevel(logging.CRITICAL)


def verify_all(recording: Recording, found: Sequence[Image]) -> list[Finding]:
    """Verify images one after the other and return what is wrong."""
    findings: list[Finding] = []
    with TemporaryDirectory(prefix="nuthatch-images-", dir=scratch_directory()) as home:
        verifier = Verifier(SCENARIO_BY_NAME[recording.scenario], recording, Path(home) / "image")
        for image in found:
            try:
                verifier.verify(image)
            except Violation as violation:
                findings.append(
                    Finding(
                        scenario=recording.scenario,
                        operation=image.operation,
                        survival=image.survival.value,
                        acknowledged=image.acknowledged,
                        begun=image.begun,
                        check=violation.check,
                        message=str(violation),
                    )
                )
    return findings

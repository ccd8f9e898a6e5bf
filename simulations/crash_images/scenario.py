"""What a scenario is: steps on one device that a power cut may strike anywhere, and what was prepared for them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from crdt.identifiers import DeviceId
from node.store.schema import Component
from simulations.crash_images.device import Device
from simulations.workloads.component import DRILL
from sync.snapshot import Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What the peer has ready for the steps."""

    batches: Sequence[bytes] = ()
    manifest: Manifest | None = None
    pages: Sequence[bytes] = ()
    sender: DeviceId | None = None
    #: A batch of the device's own that it does not hold any more.
    evidence: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing done; once `run` returns, it is acknowledged."""

    says: str
    run: Callable[[Device, Material], None]
    #: Those of the program that runs it.
    components: Sequence[Component] = (DRILL,)
    #: Whether it is one transaction; otherwise a power cut may leave some of several, and the step is done again.
    commits_once: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Steps on one device; `prepare` writes what stands before them, on the device and on its peer."""

    name: str
    prepare: Callable[[Device, Device], Material]
    steps: tuple[Step, ...]
    #: PRAGMAs that make rare acts of the engine happen in small stores.
    pragmas: tuple[str, ...] = ()
    #: Whether there is a store before the first step.
    created: bool = True
    #: How much time passes from step to step.
    step_milliseconds: int = 1_000

    def components(self, steps_begun: int) -> Sequence[Component]:
        """Return the components of the program that runs once so many steps were begun."""
        return self.steps[max(0, steps_begun - 1)].components

    def device(self, folder: Path, seed: int, *, index: int = 0, steps_begun: int = 0) -> Device:
        """Return a device that runs this scenario, closed, with the program of the last step begun."""
        return Device(
            folder,
            seed,
            index,
            self.components(steps_begun),
            pragmas=self.pragmas,
            step_milliseconds=self.step_milliseconds,
        )

"""Runs a scenario under the recorder and keeps what was done, in order, and what the store held after each step."""

import logging
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from node.store.incarnations import Cause
from simulations.crash_images.device import Device
from simulations.crash_images.directory import files_in
from simulations.crash_images.disk import Disk, Files, Survival
from simulations.crash_images.operations import read_trace
from simulations.crash_images.planted_bugs import planted
from simulations.crash_images.recorder import Recorder, run_recorded
from simulations.crash_images.scenario import Material, Scenario
from simulations.crash_images.scenarios import SCENARIOS
from simulations.kernel.streams import SeededStream
from simulations.lanes import scratch_directory

SCENARIO_BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One run of a scenario."""

    scenario: str
    seed: int
    #: The files before the first step, durable.
    initial: Files
    trace: bytes
    #: What the store held before the first step and after each; b"" where there was none.
    fingerprints: list[bytes]
    #: Why the store wrote under its incarnation, at the same moments.
    causes: list[str]


def record(library: Path, scenario: Scenario, seed: int, bug: str = "") -> Recording:
    """Record a scenario in a process of its own, with a planted bug if one is named."""
    with TemporaryDirectory(prefix="nuthatch-recording-") as folder:
        answer = Path(folder) / "recording"
        run_recorded(library, __name__, scenario.name, str(seed), str(answer), bug)
        return msgspec.msgpack.decode(answer.read_bytes(), type=Recording)


def prepare(scenario: Scenario, seed: int, home: Path) -> tuple[Device, Material]:
    """Make the device of a scenario, closed, within `home`, and what its peer has ready; the same for the same seed."""
    devices: list[Device] = []
    for index, name in enumerate(("device", "peer")):
        folder = home / name
        folder.mkdir()
        devices.append(scenario.device(folder, seed, index=index))
        if scenario.created or index:
            devices[index].open()
    material = scenario.prepare(*devices)
    for device in devices:
        device.close()
    return devices[0], material


@cache
def material(scenario: str, seed: int) -> Material:
    """Return what a scenario's peer has ready, made once a process."""
    with TemporaryDirectory(prefix="nuthatch-prepared-", dir=scratch_directory()) as home:
        return prepare(SCENARIO_BY_NAME[scenario], seed, Path(home))[1]


def _record_here(scenario: Scenario, seed: int, home: Path) -> Recording:
    device, material = prepare(scenario, seed, home)
    initial = files_in(device.folder)
    recorder = Recorder()
    recorder.watch(device.folder, home / "trace")
    fingerprints, causes = [b""], [Cause.CREATED.value]
    if scenario.created:
        device.open()
        fingerprints, causes = [device.fingerprint()], [device.store.last_minted().cause.value]
    for number, step in enumerate(scenario.steps, start=1):
        device.turn_to(number)
        device.components = step.components
        recorder.mark(2 * number - 1)
        step.run(device, material)
        recorder.mark(2 * number)
        fingerprints.append(device.fingerprint())
        causes.append(device.store.last_minted().cause.value)
    recorder.rest()
    recording = Recording(
        scenario=scenario.name,
        seed=seed,
        initial=initial,
        trace=(home / "trace").read_bytes(),
        fingerprints=fingerprints,
        causes=causes,
    )
    _check_complete(recording, files_in(device.folder))
    device.close()
    return recording


def _check_complete(recording: Recording, found: Files) -> None:
    """Compare the files with what the trace says they are: nothing may have changed them unseen."""
    disk = Disk.holding(recording.initial)
    for operation in read_trace(recording.trace, list(recording.initial)):
        disk.do(operation)
    told = disk.after_power_cut(Survival.ALL, SeededStream(0, "nothing is drawn"))
    if told != found:
        wrong = sorted(name for name in told.keys() | found.keys() if told.get(name) != found.get(name))
        raise AssertionError(f"{recording.scenario}: files were changed past the recorder: {', '.join(wrong)}")


def main(arguments: list[str]) -> None:
    """Record one scenario: its name, the seed, the file for the recording, the name of a planted bug."""
    name, seed, answer, bug = arguments
    logging.getLogger("node").setLevel(logging.CRITICAL)
    with TemporaryDirectory(prefix="nuthatch-recorded-", dir=scratch_directory()) as home, planted(bug):
        recording = _record_here(SCENARIO_BY_NAME[name], int(seed), Path(home).resolve())
    Path(answer).write_bytes(msgspec.msgpack.encode(recording))


if __name__ == "__main__":
    main(sys.argv[1:])

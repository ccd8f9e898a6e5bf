"""Lets operations on the disk fail, or kills the process at them, one trial after the other under the recorder.

Each trial runs one step on a fresh copy of the files that stood before it, in a process of its own. The checks are
those of the images, for the files as the trial leaves them, and for a process that lives on: `clean error` (a
StorageError whose message is a sentence, and the store as it was), `truth` (what succeeded is there), `recovery` (once
the disk works again, so does the step, in the same process).
"""

import logging
import multiprocessing
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import msgspec

from node.errors import StorageError
from node.store.incarnations import Cause
from simulations.crash_images.device import Device
from simulations.crash_images.directory import files_in, write_files
from simulations.crash_images.disk import Files, Survival
from simulations.crash_images.images import Image
from simulations.crash_images.planted_bugs import planted
from simulations.crash_images.recorder import Fault, Recorder, run_recorded
from simulations.crash_images.recording import SCENARIO_BY_NAME, Recording, prepare
from simulations.crash_images.scenario import Material, Scenario
from simulations.crash_images.verification import Finding, Verifier, check_integrity
from simulations.kernel.streams import SeededStream
from simulations.lanes import scratch_directory
from simulations.violation import Violation

_EVER = 10**9
_KILLING = (Fault.KILL, Fault.KILL_AMID)
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A fault that strikes one operation of a step, and those after it where it lasts."""

    step: int
    fault: Fault
    operation: int
    lasting: bool

    @property
    def says(self) -> str:
        """The fault in words."""
        return f"{self.fault.name.lower().replace('_', ' ')}{', lasting' if self.lasting else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Undisturbed:
    """The run of a scenario without faults."""

    recording: Recording
    material: Material
    #: Before each step: the files as they stand, and how many operations the step does on them.
    files: list[Files]
    operations: list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Survived:
    """What a process in which a fault struck had to say: the broken check or "", the error reported, the files."""

    check: str
    says: str
    remains: Files


@dataclass(slots=True, kw_only=True)
class FaultReport:
    """What the trials of a scenario came to, and in how many of them the step reported an error."""

    trials: int
    errors: int
    findings: list[Finding]


def try_faults(library: Path, scenario: Scenario, seed: int, trials_max: int, bug: str = "") -> FaultReport:
    """Run up to `trials_max` trials in a process under the recorder; where a bug is planted, until it is noticed."""
    with TemporaryDirectory(prefix="nuthatch-faults-") as folder:
        answer = Path(folder) / "report"
        run_recorded(library, __name__, scenario.name, str(seed), str(trials_max), str(answer), bug)
        return msgspec.msgpack.decode(answer.read_bytes(), type=FaultReport)


class _Killed(Exception):
    """The child did not come to its end."""


def _in_child(act: Callable[[], Answer]) -> Answer:
    """Run `act` in a process of its own: no engine outlives a trial, and the parent never loads one."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)

    def run() -> None:
        there.send(act())

    child = context.Process(target=run)
    child.start()
    there.close()
    try:
        answer: Answer = here.recv()
        return answer
    except EOFError as error:
        raise _Killed from error
    finally:
        child.join()


class Trials:
    """The trials of one scenario."""

    def __init__(self, scenario: Scenario, seed: int, home: Path) -> None:
        self._scenario = scenario
        self._seed = seed
        self._folder = home / "trial"
        self._home = home
        self._recorder = Recorder()
        self._undisturbed = _in_child(self._run_undisturbed)

    def drawn(self, trials_max: int) -> list[Trial]:
        """Return all trials, or so many of them, in an order that the seed gives."""
        kinds = [(fault, False) for fault in Fault if fault is not Fault.NONE]
        kinds += [(Fault.NO_SPACE, True), (Fault.INPUT_OUTPUT, True)]
        trials = [
            Trial(step=step, fault=fault, operation=operation, lasting=lasting)
            for step, operations in enumerate(self._undisturbed.operations, start=1)
            for operation in range(1, operations + 1)
            for fault, lasting in kinds
        ]
        return SeededStream(self._seed, f"faults of {self._scenario.name}").sample(trials, trials_max)

    def attempt(self, trial: Trial) -> tuple[Finding | None, bool]:
        """Run a trial; return what is wrong, and whether the step reported an error."""
        failed = False
        try:
            if trial.fault in _KILLING:
                self._die(trial)
            else:
                failed = self._suffer(trial)
        except Violation as violation:
            finding = Finding(
                scenario=self._scenario.name,
                operation=trial.operation,
                fate=trial.says,
                acknowledged=trial.step - 1,
                begun=trial.step,
                check=violation.check,
                message=str(violation),
            )
            return finding, failed
        return None, failed

    def _run_undisturbed(self) -> Undisturbed:
        device, material = prepare(self._scenario, self._seed, self._home)
        fingerprints, causes, files, operations = [b""], [Cause.CREATED.value], [], []
        self._recorder.watch(device.folder)
        if self._scenario.created:
            device.open()
            fingerprints, causes = [device.fingerprint()], [device.store.last_minted().cause.value]
        for number, step in enumerate(self._scenario.steps, start=1):
            files.append(files_in(device.folder))
            device.turn_to(number)
            device.components = step.components
            self._recorder.arm(Fault.NONE, 0, 0)
            step.run(device, material)
            operations.append(self._recorder.disarm())
            fingerprints.append(device.fingerprint())
            causes.append(device.store.last_minted().cause.value)
        device.close()
        recording = Recording(
            scenario=self._scenario.name,
            seed=self._seed,
            initial=files[0],
            trace=b"",
            fingerprints=fingerprints,
            causes=causes,
        )
        return Undisturbed(recording=recording, material=material, files=files, operations=operations)

    def _device(self, trial: Trial) -> Device:
        """Return the device as it stands before the step."""
        write_files(self._folder, self._undisturbed.files[trial.step - 1])
        device = self._scenario.device(self._folder, self._seed, steps_begun=trial.step - 1)
        device.turn_to(trial.step)
        # Only what is opened under its eyes, the recorder sees.
        self._recorder.watch(self._folder)
        if self._scenario.created or trial.step > 1:
            device.open()
        device.components = self._scenario.components(trial.step)
        return device

    def _strike(self, trial: Trial, device: Device) -> StorageError | None:
        """Run the step while the fault strikes, and return the error that it reports."""
        self._recorder.arm(trial.fault, trial.operation, _EVER if trial.lasting else trial.operation)
        try:
            self._scenario.steps[trial.step - 1].run(device, self._undisturbed.material)
        except StorageError as error:
            return error
        finally:
            self._recorder.disarm()
        return None

    def _die(self, trial: Trial) -> None:
        try:
            _in_child(lambda: self._strike(trial, self._device(trial)))
        except _Killed:
            self._verify_remains(trial, files_in(self._folder), acknowledged=False)
        else:
            # After recovery the step does fewer operations than in the undisturbed run, and came to its end.
            self._verify_remains(trial, files_in(self._folder), acknowledged=True)

    def _suffer(self, trial: Trial) -> bool:
        """Run a trial that the process survives; return whether the step reported an error."""
        survived = _in_child(lambda: self._live_on(trial))
        if survived.check:
            raise Violation(survived.check, survived.says)
        done = self._verify_remains(trial, survived.remains, acknowledged=not survived.says)
        before, after = self._undisturbed.recording.fingerprints[trial.step - 1 : trial.step + 1]
        once = self._scenario.steps[trial.step - 1].commits_once
        if once and "nothing was changed" in survived.says and done == trial.step and before != after:
            raise Violation("clean error", f"after a restart it is there all the same: {survived.says}")
        return bool(survived.says)

    def _live_on(self, trial: Trial) -> Survived:
        device = self._device(trial)
        try:
            error = self._strike(trial, device)
            remains = files_in(self._folder)
            said = "" if error is None else str(error)
            try:
                self._check_living(trial, device, said)
            except Violation as violation:
                return Survived(check=violation.check, says=f"{violation.message} ({said})", remains=remains)
            return Survived(check="", says=said, remains=remains)
        except Exception as error:  # noqa: BLE001 - any other error that reaches the caller is what a trial looks for
            return Survived(check="clean error", says=f"{type(error).__name__} reached the caller: {error}", remains={})

    def _check_living(self, trial: Trial, device: Device, said: str) -> None:
        """Check the process in which the fault struck, now that the disk works again."""
        fingerprints = self._undisturbed.recording.fingerprints
        if said and not (said[0].isupper() and said.endswith(".")):
            raise Violation("clean error", "the error is no sentence")
        step = self._scenario.steps[trial.step - 1]
        if not said or step.commits_once:
            found = device.fingerprint()
            if not said and found != fingerprints[trial.step]:
                raise Violation("truth", "the step says that it succeeded, and the store does not hold it")
            if said and found != fingerprints[trial.step - 1]:
                raise Violation("clean error", "the step failed, and the store is not as it was")
            check_integrity(device.store)
        for number in range(trial.step + (not said), len(fingerprints)):
            device.turn_to(number)
            step = self._scenario.steps[number - 1]
            device.components = step.components
            try:
                step.run(device, self._undisturbed.material)
            except StorageError as error:
                raise Violation("recovery", f"the step {step.says!r} fails on a disk that works: {error}") from error
        check_integrity(device.store)
        if device.fingerprint() != fingerprints[-1]:
            raise Violation("recovery", "the steps done again lead to another store than without the fault")

    def _verify_remains(self, trial: Trial, remains: Files, *, acknowledged: bool) -> int:
        """Verify the files as they lie when the process is gone; return how many steps they hold."""
        image = Image(
            files=remains,
            operation=trial.operation,
            survival=Survival.ALL,
            acknowledged=trial.step - (not acknowledged),
            begun=trial.step,
        )

        def verify() -> tuple[int, str, str]:
            undisturbed = self._undisturbed
            try:
                verifier = Verifier(self._scenario, undisturbed.recording, undisturbed.material, self._home / "remains")
                return verifier.verify(image), "", ""
            except Violation as violation:
                return 0, violation.check, violation.message

        done, check, says = _in_child(verify)
        if check:
            raise Violation(check, says)
        return done


def main(arguments: list[str]) -> None:
    """Run trials of one scenario: its name, seed, how many, the file for the report, the name of a planted bug."""
    name, seed, trials_max, answer, bug = arguments
    logging.getLogger("node").setLevel(logging.CRITICAL)
    report = FaultReport(trials=0, errors=0, findings=[])
    with TemporaryDirectory(prefix="nuthatch-trials-", dir=scratch_directory()) as home, planted(bug):
        trials = Trials(SCENARIO_BY_NAME[name], int(seed), Path(home).resolve())
        for trial in trials.drawn(int(trials_max)):
            finding, failed = trials.attempt(trial)
            report.trials += 1
            report.errors += failed
            if finding is not None:
                report.findings.append(finding)
                if bug:
                    break
    Path(answer).write_bytes(msgspec.msgpack.encode(report))


if __name__ == "__main__":
    main(sys.argv[1:])

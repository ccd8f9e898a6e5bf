"""Cuts the power while a home is made: afterwards there is a device that opens, or a place free to make one.

Checks: `durability` (a home that was acknowledged opens, as the device that it was), `opening` (a home that is there
opens), `going on` (where there is none, `init` makes one).
"""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from node.composition import init_home, open_home
from node.config import NodeConfig, PassphraseCost
from node.errors import HostError
from node.home import Home
from simulations.crash_images.directory import write_files
from simulations.crash_images.images import Image
from simulations.crash_images.planted_bugs import planted
from simulations.crash_images.recorder import Recorder, run_recorded
from simulations.crash_images.recording import Recording
from simulations.crash_images.verification import Finding, check_integrity
from simulations.kernel.clock import SkewedClock, TrueTime
from simulations.kernel.streams import SeededStream
from simulations.lanes import scratch_directory
from simulations.violation import Violation

NAME = "home"
_PASSPHRASE = "correct horse battery staple"
_NOW_MILLISECONDS = 1_795_219_200_000


def record_home(library: Path, seed: int, bug: str = "") -> Recording:
    """Record `init` in a process of its own; the recording's second fingerprint is the device's id."""
    with TemporaryDirectory(prefix="nuthatch-recording-") as folder:
        answer = Path(folder) / "recording"
        run_recorded(library, __name__, str(seed), str(answer), bug)
        return msgspec.msgpack.decode(answer.read_bytes(), type=Recording)


def verify_homes(recording: Recording, found: Sequence[Image], bug: str = "") -> list[Finding]:
    """Verify what is left of a home, image by image, with a bug planted if one is named; return what is wrong."""
    findings: list[Finding] = []
    with TemporaryDirectory(prefix="nuthatch-homes-", dir=scratch_directory()) as folder, planted(bug):
        for image in found:
            try:
                _verify(recording, image, Path(folder) / "home")
            except Violation as violation:
                findings.append(
                    Finding(
                        scenario=NAME,
                        operation=image.operation,
                        fate=image.survival.value,
                        acknowledged=image.acknowledged,
                        begun=image.begun,
                        check=violation.check,
                        message=str(violation),
                    )
                )
    return findings


def _verify(recording: Recording, image: Image, folder: Path) -> None:
    write_files(folder, image.files)
    if Home(folder).exists():
        device_id = _open(folder, "opening")
        if device_id != recording.fingerprints[1]:
            raise Violation("durability", "the home is that of another device")
        return
    if image.acknowledged:
        raise Violation("durability", "the home was acknowledged and is not there")
    try:
        _init(folder, recording.seed + 1)
    except HostError as error:
        raise Violation("going on", f"no home can be made in its place: {error}") from error
    _open(folder, "going on")


def _open(folder: Path, check: str) -> bytes:
    try:
        with open_home(_config(folder), passphrase=_PASSPHRASE) as service:
            check_integrity(service.store)
            assert service.store.statements(), "the realm's statements are lost"
            return bytes(service.keys.device_id)
    except (HostError, AssertionError) as error:
        raise Violation(check, f"the home does not open: {error}") from error


def _config(folder: Path) -> NodeConfig:
    cost = PassphraseCost.INTERACTIVE
    return NodeConfig(home_directory=folder, device_cost=cost, owner_cost=cost)


def _init(folder: Path, seed: int) -> bytes:
    initialised = init_home(
        _config(folder),
        name="laptop",
        passphrase=_PASSPHRASE,
        owner_passphrase=_PASSPHRASE,
        clock=SkewedClock(TrueTime(_NOW_MILLISECONDS)),
        entropy=SeededStream(seed, NAME),
    )
    return bytes.fromhex(initialised.device_id)


def main(arguments: list[str]) -> None:
    """Record `init`: the seed, the file for the recording, the name of a planted bug."""
    seed, answer, bug = arguments
    logging.getLogger("node").setLevel(logging.CRITICAL)
    with TemporaryDirectory(prefix="nuthatch-recorded-", dir=scratch_directory()) as scratch, planted(bug):
        home = (Path(scratch) / "home").resolve()
        home.mkdir()
        recorder = Recorder()
        recorder.watch(home, Path(scratch) / "trace")
        recorder.mark(1)
        device_id = _init(home, int(seed))
        recorder.mark(2)
        recorder.rest()
        recording = Recording(
            scenario=NAME,
            seed=int(seed),
            initial={},
            trace=(Path(scratch) / "trace").read_bytes(),
            fingerprints=[b"", device_id],
            causes=["", ""],
        )
    Path(answer).write_bytes(msgspec.msgpack.encode(recording))


if __name__ == "__main__":
    main(sys.argv[1:])

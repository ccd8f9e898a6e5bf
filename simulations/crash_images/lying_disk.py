"""A disk that says it kept what it forgets: the store is back in an earlier hour, after a peer had received the rest.

No store can notice that from its own file. The mark beside it can, where the disk kept that; otherwise the peer does,
in the next session. Checks: `incarnation` (a store that lacks what its mark names goes on under a new incarnation,
before its first write; any other keeps its own), `convergence` (both devices come to hold the same), `durability`
(which is all that was acknowledged and received, and what was written since).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from node.errors import StorageError
from node.store.incarnations import Cause
from simulations.crash_images.device import STORE_NAME, Device
from simulations.crash_images.directory import write_files
from simulations.crash_images.disk import Disk, Files, Survival
from simulations.crash_images.operations import Mark, read_trace
from simulations.crash_images.planted_bugs import planted
from simulations.crash_images.recording import SCENARIO_BY_NAME, Recording, prepare
from simulations.crash_images.verification import Finding, check_integrity
from simulations.kernel.streams import SeededStream
from simulations.lanes import scratch_directory
from simulations.violation import Violation
from sync.streams import Stream

#: The scenario whose power goes: local writes in two streams, deletes, a row inserted again, a new log.
LIED_TO = "local"
_MARK_NAME = f"{STORE_NAME}.mark"
_NEW_ITEM = 99
_AFTERWARDS = f"INSERT INTO drill_items (id, title) VALUES (x'{_NEW_ITEM:032x}', 'written after the fall')"

Rows = dict[str, list[tuple[object, ...]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lie:
    """What is left when the power goes at the end of step `last`: the files as they were after an earlier operation."""

    files: Files
    operation: int
    last: int
    mark_kept: bool


@dataclass(slots=True)
class _Told:
    """What the undisturbed run gave to its peer, and what its tables held, after each step."""

    batches: list[list[bytes]] = field(default_factory=list)
    rows: list[Rows] = field(default_factory=list)


def lies(recording: Recording, seed: int, share: float = 1.0) -> Iterator[Lie]:
    """Yield falls from the end of each step to a `share` of all earlier operations, with the mark kept or not."""
    disk = Disk.holding(recording.initial)
    random = SeededStream(seed, "lies")
    before: list[tuple[int, Files]] = []
    for number, operation in enumerate(read_trace(recording.trace, list(recording.initial))):
        disk.do(operation)
        files = disk.after_power_cut(Survival.ALL, random)
        if isinstance(operation, Mark) and operation.number % 2 == 0:
            for earlier, remains in before:
                for mark_kept in (True, False):
                    if random.chance(share):
                        kept = {_MARK_NAME: files[_MARK_NAME]} if mark_kept else {}
                        yield Lie(
                            files=remains | kept, operation=earlier, last=operation.number // 2, mark_kept=mark_kept
                        )
        before.append((number, files))


class LieVerifier:
    """Verifies what is left of one recording, within `home`."""

    def __init__(self, recording: Recording, home: Path) -> None:
        """Run the scenario once more, undisturbed, for what its peer received."""
        self._scenario = SCENARIO_BY_NAME[recording.scenario]
        self._seed = recording.seed
        self._home = home
        self._told = _Told()
        (home / "undisturbed").mkdir()
        device, material = prepare(self._scenario, self._seed, home / "undisturbed")
        device.open()
        self._note(device)
        for number, step in enumerate(self._scenario.steps, start=1):
            device.turn_to(number)
            step.run(device, material)
            self._note(device)
        device.close()

    def _note(self, device: Device) -> None:
        self._told.batches.append(_batches(device))
        self._told.rows.append(_rows(device))

    def verify(self, lie: Lie) -> None:
        """Raise Violation if anything acknowledged is lost, or the two devices do not come to agree."""
        device, peer = (self._scenario.device(self._home / name, self._seed, index=index) for index, name in _DEVICES)
        write_files(device.folder, lie.files)
        write_files(peer.folder, {})
        try:
            for each in (device, peer):
                each.turn_to(len(self._scenario.steps) + 1)
                each.open()
            peer.receive(self._told.batches[lie.last])
            self._check_incarnation(device, peer, lie)
            device.write(_AFTERWARDS)
            _meet(device, peer)
            self._check_agreement(device, peer, lie)
        except (StorageError, AssertionError) as error:
            if isinstance(error, Violation):
                raise
            raise Violation("convergence", f"the devices cannot meet: {error}") from error
        finally:
            device.close()
            peer.close()

    def _check_incarnation(self, device: Device, peer: Device, lie: Lie) -> None:
        fallen = any(
            device.store.view().stream(stream).frontier != peer.store.view().stream(stream).frontier
            for stream in Stream
        )
        expected = Cause.WENT_BACK if fallen and lie.mark_kept else Cause.CREATED
        cause = device.store.last_minted().cause
        if cause is not expected:
            raise Violation("incarnation", f"the store writes on as {cause.value!r}, not as {expected.value!r}")

    def _check_agreement(self, device: Device, peer: Device, lie: Lie) -> None:
        check_integrity(device.store)
        check_integrity(peer.store)
        if device.store.view() != peer.store.view():
            raise Violation("convergence", "the two devices do not come to hold the same")
        rows = _rows(device)
        new = [row for row in rows["drill_items"] if row[0] == _NEW_ITEM.to_bytes(16, "big")]
        rows["drill_items"] = [row for row in rows["drill_items"] if row not in new]
        if not new:
            raise Violation("durability", "what was written after the fall is lost")
        if rows != self._told.rows[lie.last]:
            raise Violation("durability", "the rows are not those that were acknowledged and received")


_DEVICES = ((0, "fallen"), (1, "witness"))


def _meet(device: Device, peer: Device) -> None:
    """Do what a session does: settle an own fork that the peer's batches prove, then exchange what each lacks."""
    for stream in Stream:
        held = {(batch.origin, batch.seq): batch.hash for batch in device.stored(stream)}
        for batch in peer.stored(stream):
            if held.get((batch.origin, batch.seq), batch.hash) != batch.hash:
                device.store.chains.settle_fork(batch.raw, device.realm.roster)
                break
    device.receive(_batches(peer))
    peer.receive(_batches(device))


def _batches(device: Device) -> list[bytes]:
    return [raw for stream in Stream for raw in device.batches(stream)]


def _rows(device: Device) -> Rows:
    names: Sequence[str] = [table.name for table in device.store.catalogue.tables]
    return {name: device.store.query(f"SELECT * FROM {name} ORDER BY id") for name in names}


def verify_lies(recording: Recording, found: Sequence[Lie], bug: str = "") -> list[Finding]:
    """Verify falls one after the other, with a bug planted if one is named, and return what is wrong."""
    findings: list[Finding] = []
    with TemporaryDirectory(prefix="nuthatch-lies-", dir=scratch_directory()) as home, planted(bug):
        verifier = LieVerifier(recording, Path(home))
        for lie in found:
            try:
                verifier.verify(lie)
            except Violation as violation:
                findings.append(_finding(recording, lie, violation))
    return findings


def _finding(recording: Recording, lie: Lie, violation: Violation) -> Finding:
    return Finding(
        scenario=recording.scenario,
        operation=lie.operation,
        fate=f"fallen back, its mark {'kept' if lie.mark_kept else 'too'}",
        acknowledged=lie.last,
        begun=lie.last,
        check=violation.check,
        message=str(violation),
    )

"""Backups and what people do with them: a store set back to an earlier day, alone or with the mark beside it.

Or the whole machine, as its own snapshot does it: then nothing beside the store tells that it went back.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from simulations.oracle.replica import ModelReplica
from simulations.violation import Violation
from simulations.world.device import Device
from simulations.world.forks import can_be_found, stray
from simulations.world.local import note_digests
from simulations.world.world import World
from sync.streams import Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """The files of one device as they lay on one day, and what the oracle knew of them."""

    directory: Path
    model: ModelReplica
    unsettled: dict[Stream, dict[bytes, int]]
    vague: frozenset[Stream]
    joined_snapshot: bool
    snapshot_claims: dict[Stream, dict[bytes, int]]
    origin: bytes
    copies: int


def back_up(world: World, device: Device) -> None:
    """Copy a device's files between two transactions; only the latest backup of a device is kept."""
    directory = world.home / f"backup-{device.index}"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    for path in sorted(device.directory.iterdir()):
        if path.is_file() and not path.name.endswith("-shm"):
            shutil.copyfile(path, directory / path.name)
    world.backup_by_device[device.index] = Backup(
        directory=directory,
        model=device.model.copy(),
        unsettled={stream: dict(reach) for stream, reach in device.unsettled.items()},
        vague=frozenset(device.vague),
        joined_snapshot=device.joined_snapshot,
        snapshot_claims=dict(device.snapshot_claims),
        origin=bytes(device.origin),
        copies=device.copies,
    )
    world.trace.record(f"{device.name} is backed up")


def restore(world: World, device: Device) -> None:
    """Put a device's backup in the place of its store; what nobody else holds of what it wrote since is lost."""
    backup = world.backup_by_device[device.index]
    unnoticed = world.random.chance(world.plan.unnoticed) and can_be_found(
        world, device, backup.model.frontier, backup.origin
    )
    alone = not unnoticed and world.random.chance(0.5)
    device.kill()
    if unnoticed:
        device.set_back_unnoticed(backup.directory, backup.copies)
    else:
        device.set_back(backup.directory, with_mark=not alone)
    before, lost = device.origin, device.model
    device.model = backup.model.copy()
    device.unsettled = {stream: dict(reach) for stream, reach in backup.unsettled.items()}
    device.vague = set(backup.vague)
    device.joined_snapshot = backup.joined_snapshot
    device.snapshot_claims = dict(backup.snapshot_claims)
    device.restart()
    went_back = any(
        written.version.origin == before and lost.covers(*written.name) and not device.model.covers(*written.name)
        for written in world.chronicle.written_by_name.values()
    )
    if unnoticed and device.origin != backup.origin:
        raise Violation("incarnation", f"{device.name} minted an incarnation and cannot know why")
    if went_back and device.origin == before and not unnoticed:
        raise Violation("incarnation", f"{device.name} was set back and goes on under the same incarnation")
    for name in device.forgotten:
        device.forgotten[name].clear()
    device.declare()
    world.chronicle.adrift |= {
        written.name
        for written in world.chronicle.written_by_name.values()
        if not any(other.model.covers(*written.name) for other in world.devices)
    }
    device.astray.behind.clear()
    stray(world, device)
    how = "with its whole machine" if unnoticed else "without its mark" if alone else "with its mark"
    world.trace.reached(f"store restored {how}")
    world.trace.record(f"{device.name} is set back to its backup, {how}")
    note_digests(world, device)

"""Damage at rest: what a disk, another program or a defect changes behind a store's back, and how it is found.

A device that holds a damaged row neither writes nor hands out rows of that stream as a snapshot until it is mended, as
its person was told; it goes on receiving and forwarding batches, some of which change the very row.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from node.errors import DamagedRowError
from node.store.damage import Kind, ScrubReport
from node.store.schema import Table
from simulations.oracle.history import RowKey
from simulations.violation import Violation
from simulations.world.device import Device
from simulations.world.plan import TABLES
from simulations.world.world import World
from sync.row_ranges import RowRange
from sync.snapshot import RowKey as PlaceOfRow
from sync.snapshot import open_page

#: What a scrub says of a row that another device's copy has to replace.
DAMAGED_ROWS = frozenset({Kind.ROW_CHANGED, Kind.ROW_LOST, Kind.ROW_RISEN, Kind.ROW_STATE_LOST, Kind.ROW_UNREADABLE})
#: What it says of words that have to be indexed anew.
DAMAGED_WORDS = frozenset({Kind.WORDS_MISSING, Kind.WORDS_SURPLUS, Kind.WORDS_WRONG, Kind.INDEX_UNREADABLE})
_PAGE_BYTES = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Blow:
    """One way to damage the row `?` of a table."""

    name: str
    statement: str


def isolated(table: Table) -> bool:
    """Tell whether a table neither refers to others nor is referred to: a damaged row then disturbs no other."""
    return not table.references and not any(
        reference.table == table.name for other in TABLES.values() for reference in other.references
    )


def strike(world: World, device: Device, names: Sequence[str], *, sudden: bool = True) -> None:
    """Damage one row that a person sees, and check that it is found, never handed out, and refused with a sentence.

    Not where the device or its person would be dealing with another trouble already, nor, before all have come to rest,
    where the row may be the last copy of what a page brought.
    """
    if sudden and world.pages_adrift:
        return
    visible = device.model.visible()
    damaged = {key for one in world.devices for key in one.damaged}
    rows = [
        (name, row_id)
        for name in names
        if name in visible
        for row_id in sorted(visible[name])
        if not (sudden and not isolated(TABLES[name])) and (name, row_id) not in damaged
    ]
    if not rows or device.astray.behind or device.astray.written:
        return
    key = world.random.choice(rows)
    blow = world.random.choice(_blows(device.model.declared[key[0]]))
    database = device.store._parts.database
    database.begin()
    changed = database.change(blow.statement, (key[1],))
    database.commit()
    if changed != 1:
        raise Violation("tables", f"{device.name} has no row {key[1].hex()[-8:]} of {key[0]} to be damaged")
    device.damaged.add(key)
    world.transfers = [one for one in world.transfers if one.source != device.index]
    # Which versions of the row will meet here meanwhile, a page that replaces it does not tell.
    device.joined_snapshot |= sudden
    world.trace.reached(f"damaged: {blow.name}")
    world.trace.record(f"{device.name} has a row of {key[0]} damaged: {blow.name}")
    # One whose row state was gone may have been born anew meanwhile, from what others did to it.
    found = damaged_rows(world, device)
    if key not in found or not found <= device.damaged:
        raise Violation("scrub", f"{device.name} finds {len(found)} damaged rows, not these {len(device.damaged)}")
    _check_refused(device, key)
    _check_not_sent(world, device, key)


def scrub(world: World, device: Device) -> ScrubReport:
    """Compare a whole store with its hashes."""
    report = ScrubReport()
    passage = device.store.health().scrub(world.realm.roster.sign_public, device.clock.monotonic_seconds, report)
    for _ in passage.slices():
        pass
    return report


def damaged_rows(world: World, device: Device) -> set[RowKey]:
    """Return the rows of which a scrub says that another device's copy has to replace them."""
    return {(found.where, found.key) for found in scrub(world, device).damage if found.kind in DAMAGED_ROWS}


def _blows(table: Table) -> list[Blow]:
    row = table.name, f"_row_{table.name}"
    blows = [
        Blow(name="the row is gone", statement=f"DELETE FROM {row[0]} WHERE id = ?"),
        Blow(name="the row state is gone", statement=f"DELETE FROM {row[1]} WHERE id = ?"),
        Blow(name="another hash", statement=f"UPDATE {row[1]} SET hash = zeroblob(32) WHERE id = ?"),
        Blow(name="a later life", statement=f"UPDATE {row[1]} SET generation = generation + 2 WHERE id = ?"),
        Blow(name="unreadable row state", statement=f"UPDATE {row[1]} SET cells = x'c1' WHERE id = ?"),
    ]
    references = {reference.column for reference in table.references}
    blows += [
        Blow(name="another value", statement=f"UPDATE {row[0]} SET {column.name} = 'rot' WHERE id = ?")
        for column in table.columns
        if column.type == "TEXT" and column.strategy in ("lww", "max", "min") and column.name not in references
    ][:3]
    return blows


def _check_refused(device: Device, key: RowKey) -> None:
    try:
        device.store.require_whole(key[0], [key[1]])
    except DamagedRowError as error:
        if "doctor" not in str(error):
            raise Violation("damage", f"{device.name} does not say how a damaged row is mended") from error
        return
    raise Violation("damage", f"{device.name} gives a damaged row of {key[0]} to who asks for it")


def _check_not_sent(world: World, device: Device, key: RowKey) -> None:
    stream = TABLES[key[0]].stream
    only = RowRange(PlaceOfRow(key[0], key[1]), PlaceOfRow(key[0], key[1] + b"\0"))
    _, raw, _ = device.store.pages().read_repair(stream, [only], _PAGE_BYTES)
    public = world.realm.roster.sign_public(device.device_id)
    assert public is not None
    if open_page(raw, world.realm.realm_id, device.device_id, public).sections:
        raise Violation("damage", f"{device.name} sends a damaged row of {key[0]} to a peer")

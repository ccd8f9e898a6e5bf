"""What a person sees of rows that refer to deleted ones, and which repairs the deleting device owes: from scratch.

Written from the rules in `crdt/MERGE.md`, section 6, over all rows at once, with nothing kept between two askings.
"""

from collections.abc import Iterator, Mapping

from crdt.identifiers import Origin, origin_device
from node.store.schema import Reference, Table
from simulations.oracle.fold import Row, current
from simulations.oracle.history import Cell, Change, RowKey, Version

Rows = Mapping[RowKey, Row]
Tables = Mapping[str, Table]


def standing(tables: Tables, rows: Rows) -> set[RowKey]:
    """Return the living rows whose owners stand, or were never seen."""
    down = {key for key, row in rows.items() if not row.alive}
    while True:
        falling = {
            key
            for key, row in rows.items()
            if key not in down
            for reference in tables[key[0]].references
            if reference.on_delete == "cascade" and _target(row, reference) in down
        }
        if not falling:
            return rows.keys() - down
        down |= falling


def shown_cells(tables: Tables, rows: Rows, stand: set[RowKey], key: RowKey) -> dict[str, Cell]:
    """Return a standing row's cells with its references as they are shown."""
    cells = dict(rows[key].cells)
    for reference in tables[key[0]].references:
        target = _target(rows[key], reference)
        if reference.on_delete == "cascade" or target is None or target not in rows or target in stand:
            continue
        cells[reference.column] = None
        passed: set[RowKey] = set()
        while reference.on_delete == "reparent" and target is not None and target in rows and target not in passed:
            if target in stand:
                cells[reference.column] = target[1]
                break
            passed.add(target)
            target = _target(rows[target], reference)
    return cells


def owed_deletes(
    tables: Tables, rows: Rows, changes: Mapping[RowKey, Mapping[Version, Change]], device_id: bytes
) -> set[RowKey]:
    """Return the living rows that this device must delete: it ended their owner, or must."""
    ended = {key for key, row in rows.items() if not row.alive and _ended_by(changes[key], device_id)}
    owed: set[RowKey] = set()
    while True:
        more = {
            key
            for key, row in rows.items()
            if row.alive and key not in owed
            for reference in tables[key[0]].references
            if reference.on_delete == "cascade" and _target(row, reference) in ended | owed
        }
        if not more:
            return owed
        owed |= more


def owed_updates(
    tables: Tables,
    rows: Rows,
    changes: Mapping[RowKey, Mapping[Version, Change]],
    stand: set[RowKey],
    device_id: bytes,
) -> Iterator[tuple[RowKey, str]]:
    """Yield the references of standing rows that this device must write anew: it ended their targets."""
    for key in sorted(stand):
        for reference in tables[key[0]].references:
            target = _target(rows[key], reference)
            if reference.on_delete == "cascade" or target is None or target not in rows or rows[target].alive:
                continue
            if _ended_by(changes[target], device_id):
                yield key, reference.column


def _target(row: Row, reference: Reference) -> RowKey | None:
    target = row.cells.get(reference.column)
    return (reference.table, target) if isinstance(target, bytes) else None


def _ended_by(changes: Mapping[Version, Change], device_id: bytes) -> bool:
    first = min(change.version for change in current(changes.values()))
    return origin_device(Origin(first.origin)) == device_id

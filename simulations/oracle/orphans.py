"""Children that arrive after their parent's end: the device that deleted the parent deletes them too, nobody else."""

from collections.abc import Iterable

from crdt.identifiers import Origin, origin_device
from simulations.oracle.fold import current
from simulations.oracle.history import RowKey, Write, Written
from simulations.oracle.replica import ModelReplica


def orphans(model: ModelReplica, arrived: Iterable[Written], device_id: bytes) -> list[RowKey]:
    """Return the rows that this device must now delete: it ended a parent to which an arrived row refers."""
    found: set[RowKey] = set()
    visible = model.visible()
    for written in arrived:
        for change in written.changes:
            for reference in model.tables[change.key[0]].references:
                cell = change.cells.get(reference.column)
                if reference.on_delete != "cascade" or change.generation % 2 == 0 or not isinstance(cell, Write):
                    continue
                if isinstance(cell.value, bytes) and _ended_by(model, (reference.table, cell.value), device_id):
                    rows = visible[change.key[0]]
                    found.update((change.key[0], key) for key in rows if rows[key][reference.column] == cell.value)
    return sorted(found)


def _ended_by(model: ModelReplica, parent: RowKey, device_id: bytes) -> bool:
    row = model.rows().get(parent)
    if row is None or row.alive:
        return False
    first = min(change.version for change in current(model.changes_by_row[parent].values()))
    return origin_device(Origin(first.origin)) == device_id

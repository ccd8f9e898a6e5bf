"""Children that arrive after their parent's end: the device that deleted the parent deletes them too, nobody else."""

from collections.abc import Iterable, Iterator, Mapping

from crdt.identifiers import Origin, origin_device
from simulations.oracle.fold import current
from simulations.oracle.history import Cell, RowKey, Write, Written
from simulations.oracle.replica import ModelReplica

#: A table and what an arrived, living row of it says in its columns.
Arrival = tuple[str, Mapping[str, Cell]]


def arrivals_of(batches: Iterable[Written]) -> Iterator[Arrival]:
    """Yield what batches say of living rows."""
    for written in batches:
        for change in written.changes:
            if change.generation % 2 == 1:
                cells = {name: cell.value for name, cell in change.cells.items() if isinstance(cell, Write)}
                yield change.key[0], cells


def orphans(model: ModelReplica, arrivals: Iterable[Arrival], device_id: bytes) -> list[RowKey]:
    """Return the rows that this device must now delete: it ended a parent to which an arrived row refers."""
    found: set[RowKey] = set()
    visible = model.visible()
    for table, cells in arrivals:
        for reference in model.tables[table].references:
            parent = cells.get(reference.column)
            if reference.on_delete != "cascade" or not isinstance(parent, bytes):
                continue
            if _ended_by(model, (reference.table, parent), device_id):
                rows = visible[table]
                found.update((table, row_id) for row_id in rows if rows[row_id][reference.column] == parent)
    return sorted(found)


def standing_orphans(model: ModelReplica) -> list[RowKey]:
    """Return living rows whose owner does not live; once all have exchanged everything there may be none."""
    visible = model.visible()
    return [
        (table.name, row_id)
        for table in model.tables.values()
        for reference in table.references
        if reference.on_delete == "cascade"
        for row_id, row in visible[table.name].items()
        if row[reference.column] is not None and row[reference.column] not in visible[reference.table]
    ]


def _ended_by(model: ModelReplica, parent: RowKey, device_id: bytes) -> bool:
    row = model.rows().get(parent)
    if row is None or row.alive:
        return False
    first = min(change.version for change in current(model.changes_by_row[parent].values()))
    return origin_device(Origin(first.origin)) == device_id

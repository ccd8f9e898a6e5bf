"""Shows what came from newer versions before this device was updated: rows of unknown tables, cells of unknown columns.

They were merged and forwarded all the while as `unknown` cells of their row states. Once the tables and columns are
declared, the same states are written as those of known columns and their values shown; neither states nor hashes, and
so no digest, change. It runs when a store is opened, for the tables that `schema_registry` has noted down. A cell that
its column cannot hold stays `unknown`, and the column shows its default.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from crdt.identifiers import RowId
from crdt.row import RowState
from crdt.strategies.register import Register
from crdt.version_vector import VersionVector
from node.errors import ConstraintError, StorageError
from node.store.catalogue import Catalogue, ReplicatedTable
from node.store.database import Database
from node.store.disturbed import Disturbed
from node.store.merge import Merge
from node.store.row_state import RowStates, split_cells

_ROWS_PER_ROUND = 2_000

logger = logging.getLogger(__name__)


def tables_to_adopt(database: Database, catalogue: Catalogue) -> list[ReplicatedTable]:
    """Return the declared tables whose rows may hold what is not shown yet."""
    names = {row[0] for row in database.query("SELECT table_name FROM _to_adopt")}
    return [table for table in catalogue.tables if table.name in names]


def adopt(
    database: Database,
    states: RowStates,
    merge: Merge,
    table: ReplicatedTable,
    vector: VersionVector,
    disturbed: Disturbed,
) -> int:
    """Show all of `table` within the open transaction and return how many rows are damaged.

    `vector` is the causal context of its stream; `disturbed` grows by what may change the derived state. Rows that
    are not what their hashes say stay as they are, for a peer's copy to come in their place.
    Raises StorageError where a newer version's rows do not fit what this version declares.
    """
    damaged: set[bytes] = set()
    for row_ids in _waiting(database, table, damaged):
        stored, unproven = states.read_proven(table, row_ids, vector)
        damaged |= unproven
        rows = {RowId(row_id): row.row for row_id, row in stored.items() if row_id not in unproven}
        _tell_unfit(table, rows.values())
        try:
            merge.show(table, rows)
        except ConstraintError as error:
            raise StorageError(f"Rows of {table.name} that came from other devices do not fit its columns.") from error
        states.write(table, rows)
        disturb(table, rows, disturbed)
    database.change("DELETE FROM _to_adopt WHERE table_name = ?", (table.name,))
    if damaged:
        logger.error("damaged rows stay as they are until they are repaired", extra={"rows": len(damaged)})
    return len(damaged)


def _waiting(database: Database, table: ReplicatedTable, damaged: set[bytes]) -> Iterator[Sequence[bytes]]:
    """Yield the ids of rows that hold cells of columns that are declared by now, or that are not in their new table.

    `damaged` grows by the rows of which not even that can be read.
    """
    declared = set(table.column_names)
    last = b""
    while True:
        rows = database.query(
            f"SELECT r.id, r.generation, r.cells, t.id IS NOT NULL FROM {table.row_table} r"
            f" LEFT JOIN main.{table.name} t ON t.id = r.id WHERE r.id > ? ORDER BY r.id LIMIT {_ROWS_PER_ROUND}",
            (last,),
        )
        if not rows:
            return
        found: list[bytes] = []
        for row_id, generation, cells, stands in rows:
            if cells is None:
                continue
            try:
                split = split_cells(cells)
            except msgspec.MsgspecError:
                damaged.add(row_id)
                continue
            out_of_sight = generation % 2 == 1 and not stands and not split.hidden
            if out_of_sight or not declared.isdisjoint(split.unknown):
                found.append(row_id)
        last = rows[-1][0]
        if found:
            yield found


def _tell_unfit(table: ReplicatedTable, rows: Iterable[RowState]) -> None:
    """Log which columns cannot show what was written to them elsewhere while they were unknown here.

    A person is not cut off from all that the device holds because another device, defective or not honest any more,
    wrote a few cells that do not fit. They stay in the row state as they came.
    """
    unfit = Counter(
        name
        for row in rows
        for name, cell in row.cell_by_column.items()
        if name in table.strategy_by_column and not table.can_hold(name, row.code_by_column[name], cell)
    )
    for name, count in unfit.items():
        logger.error(
            "values from other devices do not fit a column and are not shown",
            extra={"table": table.name, "column": name, "rows": count},
        )


def disturb(table: ReplicatedTable, rows: Mapping[RowId, RowState], disturbed: Disturbed) -> None:
    """Note that rows are shown anew."""
    disturbed.note(table.name, rows)
    disturbed.dead.update((table.name, row_id) for row_id, row in rows.items() if not row.alive)
    for reference in table.references:
        named = disturbed.named.setdefault((table.name, reference), set())
        for row in rows.values():
            cell = row.cell_by_column.get(reference.column)
            if row.alive and isinstance(cell, Register) and isinstance(cell.value, bytes):
                named.add(cell.value)

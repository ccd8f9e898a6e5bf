"""Turns the rows that a local transaction touched into row states and deltas: pure, cell by cell."""

from collections.abc import Sequence
from typing import Any

from crdt.identifiers import RowId, Stamp
from crdt.place import Place
from crdt.row import GENERATION_MAX, RowState
from crdt.strategies import CellState
from crdt.strategies.observed_set import ObservedSet
from crdt.strategies.register import Register
from node.errors import ConstraintError, StorageError
from node.store.capture import TouchedRow
from node.store.catalogue import ReplicatedTable
from node.store.database import Row
from node.store.literals import parse_literal
from node.store.row_state import StoredRow


def split_plain(table: ReplicatedTable, fresh: Sequence[Row]) -> tuple[Sequence[Row], Sequence[Row]]:
    """Return new rows whose values are their own spelling, and the others."""
    if not table.stated_indexes:
        return fresh, ()
    plain: list[Row] = []
    stated: list[Row] = []
    for row in fresh:
        untouched = all(row[index + 2] is None for index in table.stated_indexes)
        (plain if untouched else stated).append(row)
    return plain, stated


def new_row(table: ReplicatedTable, generation: int, row_id: RowId, values: Sequence[Any], stamp: Stamp) -> RowState:
    """Return the state of a row that `values`, in order of column name, were written to whole."""
    cells: dict[str, CellState] = {}
    for name, strategy, value in zip(table.column_names, table.strategies, values, strict=True):
        if strategy.stamped:
            cells[name] = Register(stamp, value)
        else:
            place = Place(table.name, row_id, generation, name)
            cell = None if value is None else strategy.delta(None, value, stamp, place)
            cells[name] = strategy.from_wire(None, stamp, place) if cell is None else cell
    return RowState(generation=generation, born=stamp, code_by_column=dict(table.layout), cell_by_column=cells)


def change_of(table: ReplicatedTable, row: TouchedRow, old: StoredRow | None, stamp: Stamp) -> RowState | None:
    """Return the change that a touched row amounts to, None for nothing."""
    if row.before is None:
        if row.after is None:
            return None
        return new_row(table, _next_generation(old.row, alive=True) if old else 1, RowId(row.row_id), row.values, stamp)
    if old is None or not old.row.alive:
        raise StorageError(f"A row of {table.name} has no state; the store is damaged. Restore a backup or pair anew.")
    if row.after is None:
        return tombstone(table, row.before, old, stamp)
    cells = _written_cells(table, row, old, stamp)
    if not cells:
        return None
    codes = {name: table.strategy_by_column[name].code for name in cells}
    return RowState(generation=old.row.generation, born=stamp, code_by_column=codes, cell_by_column=cells)


def _next_generation(row: RowState, *, alive: bool) -> int:
    # A row that is alive but kept out of its table, and is inserted anew, skips the tombstone.
    generation = row.generation + (2 if row.alive == alive else 1)
    if generation > GENERATION_MAX:
        raise ConstraintError("A row was deleted and written again too often; write it under a new id.")
    return generation


def _written_cells(table: ReplicatedTable, row: TouchedRow, old: StoredRow, stamp: Stamp) -> dict[str, CellState]:
    cells: dict[str, CellState] = {}
    assert row.before is not None
    assert row.after is not None
    for index, (name, strategy) in enumerate(zip(table.column_names, table.strategies, strict=True)):
        if row.before[index] == row.after[index]:
            continue
        if strategy.name == "immutable":
            raise ConstraintError(f"The column {name} of {table.name} is set once and cannot be changed.")
        state = old.row.cell_by_column.get(name)
        value: Any = parse_literal(row.after[index])
        if strategy.stamped and state is not None and name not in old.hidden:
            state = Register(_stamp_of(state), parse_literal(row.before[index]))
        place = Place(table.name, RowId(row.row_id), old.row.generation, name)
        cell = strategy.delta(state, value, stamp, place)
        if (
            isinstance(cell, ObservedSet)
            and isinstance(state, ObservedSet)
            and not all(map(state.vector.covers_dot, cell.removed))
        ):
            # Such an element came by a snapshot ahead of the batch that added it; no peer could merge its removal yet.
            raise ConstraintError(f"An element of {name} is still arriving from another device; try again in a moment.")
        if cell is not None and cell != state:
            cells[name] = cell
    return cells


def with_old_values(table: ReplicatedTable, row: TouchedRow, stored: StoredRow) -> RowState:
    """Return the old state with the values that stood before (the table shows the new ones by now).

    Where the table showed a derived value, the true one is in the state already.
    """
    old = stored.row
    if row.before is None or not old.alive:
        return old
    cells = dict(old.cell_by_column)
    for index, name in enumerate(table.column_names):
        cell = cells.get(name)
        if isinstance(cell, Register) and name not in stored.hidden:
            cells[name] = Register(cell.stamp, parse_literal(row.before[index]))
    return RowState(generation=old.generation, born=old.born, code_by_column=old.code_by_column, cell_by_column=cells)


def _stamp_of(state: CellState) -> Stamp:
    assert isinstance(state, Register)
    return state.stamp


def tombstone(table: ReplicatedTable, before: Sequence[str], old: StoredRow, stamp: Stamp) -> RowState:
    """Return a deleted row: id, generation, stamp and its true references, no content."""
    generation = _next_generation(old.row, alive=False)
    cells: dict[str, CellState] = {}
    for reference in table.references:
        index = table.column_names.index(reference.column)
        true = parse_literal(before[index])
        cells[reference.column] = Register(stamp, old.hidden.get(reference.column, true))
    codes = {name: table.strategy_by_column[name].code for name in cells}
    return RowState(generation=generation, born=stamp, code_by_column=codes, cell_by_column=cells)


def corrections(
    table: ReplicatedTable, row_id: RowId, state: RowState, values: Sequence[Any]
) -> list[tuple[str, object, RowId]]:
    """Return the cells whose merged, canonical value is not what the table shows."""
    found: list[tuple[str, object, RowId]] = []
    for name, strategy, written in zip(table.column_names, table.strategies, values, strict=True):
        if strategy.name not in ("set", "max", "min") or name not in state.cell_by_column:
            continue
        value = strategy.value(state.cell_by_column[name])
        if value != ("[]" if strategy.name == "set" and written is None else written):
            found.append((name, value, row_id))
    return found

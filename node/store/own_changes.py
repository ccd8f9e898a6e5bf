"""Turns the rows that a local transaction touched into row states and deltas: pure, cell by cell."""

from collections.abc import Sequence
from typing import Any

from crdt.identifiers import RowId, Stamp
from crdt.place import Place
from crdt.row import GENERATION_MAX, RowState, stamps_of
from crdt.strategies import CellState
from crdt.strategies.observed_set import ObservedSet
from crdt.strategies.register import Register
from crdt.strategies.text import Text, come_ahead
from crdt.version_vector import VersionVector
from node.errors import ConstraintError, StorageError
from node.store.capture import TouchedRow
from node.store.catalogue import ReplicatedTable
from node.store.literals import parse_literal
from node.store.row_state import StoredRow

# What a person writes to such a column is what it shows, unless a change of elsewhere is joined with it.
_SHOWN_AS_WRITTEN = frozenset({"lww", "immutable", "counter"})


def new_row(table: ReplicatedTable, row_id: RowId, generation: int, values: Sequence[Any], stamp: Stamp) -> RowState:
    """Return the state of a row to which `values`, in order of column name, were written as a whole."""
    cells: dict[str, CellState] = {}
    for name, strategy, value in zip(table.column_names, table.strategies, values, strict=True):
        place = Place(table.name, row_id, generation, name)
        if strategy.stamped:
            cells[name] = Register(stamp, value)
        elif value is None:
            cells[name] = strategy.from_wire(None, stamp, place)
        else:
            cells[name] = strategy.delta(None, value, stamp, place) or strategy.from_wire(None, stamp, place)
    return RowState(generation=generation, born=stamp, code_by_column=dict(table.layout), cell_by_column=cells)


def change_of(
    table: ReplicatedTable, row: TouchedRow, old: StoredRow | None, stamp: Stamp, vector: VersionVector
) -> RowState | None:
    """Return the change that a touched row amounts to, None for nothing; `vector` says which batches are held."""
    if row.before is None:
        if row.after is None:
            return None
        return new_row(table, RowId(row.row_id), _next_generation(old.row, alive=True) if old else 1, row.after, stamp)
    if old is None or not old.row.alive:
        raise StorageError(f"A row of {table.name} has no state; the store is damaged. Restore a backup or pair anew.")
    if row.after is None:
        return tombstone(table, row.before, old, stamp)
    cells = _written_cells(table, row, old, stamp, vector)
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


def _written_cells(
    table: ReplicatedTable, row: TouchedRow, old: StoredRow, stamp: Stamp, vector: VersionVector
) -> dict[str, CellState]:
    cells: dict[str, CellState] = {}
    assert row.before is not None
    assert row.after is not None
    for index, (name, strategy) in enumerate(zip(table.column_names, table.strategies, strict=True)):
        written = row.after[index]
        if row.before[index] == written:
            continue
        if strategy.name == "immutable":
            raise ConstraintError(f"The column {name} of {table.name} is set once and cannot be changed.")
        state = old.row.cell_by_column.get(name)
        if old.row.code_by_column.get(name, strategy.code) != strategy.code:
            raise ConstraintError(
                f"The column {name} of this record in {table.name} was written by another device in a way that this "
                "version does not merge, and cannot be changed. Write the record under a new id and forget this one."
            )
        if isinstance(state, Text) and not all(map(vector.covers_stamp, stamps_of(old.row))):
            state = come_ahead(state)
        nil = table.shown_for_nil[index]
        # A document that says nothing is not written at all; an emptied set or counter is written as that.
        value = parse_literal(nil) if written is None and nil is not None and strategy.name != "document" else written
        cell = strategy.delta(state, value, stamp, Place(table.name, RowId(row.row_id), old.row.generation, name))
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


def tombstone(table: ReplicatedTable, before: Sequence[Any], old: StoredRow, stamp: Stamp) -> RowState:
    """Return a deleted row: id, generation, stamp and its true references, no content."""
    generation = _next_generation(old.row, alive=False)
    cells: dict[str, CellState] = {}
    for reference in table.references:
        index = table.column_names.index(reference.column)
        cells[reference.column] = Register(stamp, old.hidden.get(reference.column, before[index]))
    codes = {name: table.strategy_by_column[name].code for name in cells}
    return RowState(generation=generation, born=stamp, code_by_column=codes, cell_by_column=cells)


def corrections(
    table: ReplicatedTable, row_id: RowId, state: RowState, values: Sequence[Any]
) -> list[tuple[str, object, RowId]]:
    """Return the cells whose merged, canonical value is not what the table shows."""
    found: list[tuple[str, object, RowId]] = []
    for name, strategy, written, nil in zip(
        table.column_names, table.strategies, values, table.shown_for_nil, strict=True
    ):
        cell = state.cell_by_column.get(name)
        if strategy.name in _SHOWN_AS_WRITTEN or cell is None:
            continue
        if not table.can_hold(name, state.code_by_column[name], cell):
            continue
        nothing = None if nil is None else parse_literal(nil)
        value = strategy.value(cell)
        shown = nothing if value is None else value
        if shown != (nothing if written is None else written):
            found.append((name, shown, row_id))
    return found

"""Computes what a batch's changes are called under another name: pure functions over row states and changes.

A batch is written again when its number turns out to be taken (a store that went back, a clone) or its time to be
wrong. Nothing of what was written changes, only the names by which it is known:
- its stamp becomes the new batch's, in every cell that still bears it; so does the number in a set's dot;
- of a counter's totals under the old origin, what this batch added moves to the new origin;
- a text's edits keep their bytes: their names are hashes of themselves.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from crdt.identifiers import (
    Dot,
    Origin,
    RowId,
    Stamp,
    dot_index,
    dot_origin,
    dot_seq,
    make_dot,
    stamp_origin,
    stamp_seq,
)
from crdt.row import RowState
from crdt.strategies import CellState
from crdt.strategies.counter import Counter
from crdt.strategies.json_document import JsonDocument, Leaf
from crdt.strategies.observed_set import ObservedSet
from crdt.strategies.register import Register
from crdt.strategies.text import Text

#: A counter's cell: table, row, generation, column.
CounterCell = tuple[str, RowId, int, str]
Totals = tuple[int, int]
NO_TOTALS: Totals = (0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Renaming:
    """One batch's old and new stamp, and by how much it moved each counter (added, subtracted).

    `earlier` says what the batches before it in the same chain are called since they were written again: a batch names
    elements of sets that it removes, and these may have been added by any of them.
    """

    old: Stamp
    new: Stamp
    step_by_cell: Mapping[CounterCell, Totals] = field(default_factory=dict)
    earlier: Mapping[tuple[Origin, int], tuple[Origin, int]] = field(default_factory=dict)

    def stamp(self, stamp: Stamp) -> Stamp:
        """Return the name of a version."""
        return self.new if stamp == self.old else stamp

    def dot(self, dot: Dot) -> Dot:
        """Return the name of an element of a set."""
        batch = dot_origin(dot), dot_seq(dot)
        if batch == (stamp_origin(self.old), stamp_seq(self.old)):
            return make_dot(stamp_origin(self.new), stamp_seq(self.new), dot_index(dot))
        return make_dot(*self.earlier[batch], dot_index(dot)) if batch in self.earlier else dot


def renamed_row(table: str, row_id: RowId, row: RowState, renaming: Renaming) -> RowState:
    """Return a row state under its new names; one that the renaming does not concern comes back equal."""
    cells = {
        column: _renamed(cell, (table, row_id, row.generation, column), renaming)
        for column, cell in row.cell_by_column.items()
    }
    return RowState(
        generation=row.generation,
        born=renaming.stamp(row.born),
        code_by_column=row.code_by_column,
        cell_by_column=cells,
    )


def renamed_change(
    table: str, row_id: RowId, change: RowState, renaming: Renaming, begun_by_cell: Mapping[CounterCell, Totals]
) -> RowState:
    """Return a change as the new batch states it: a counter's totals are the new origin's whole ones.

    `begun_by_cell` holds what the new origin had counted in each cell before this batch.
    """
    cells: dict[str, CellState] = {}
    for column, cell in change.cell_by_column.items():
        name = (table, row_id, change.generation, column)
        if isinstance(cell, Counter) and name in renaming.step_by_cell:
            totals = _sum(begun_by_cell.get(name, NO_TOTALS), renaming.step_by_cell[name])
            cells[column] = Counter({stamp_origin(renaming.new): totals})
        else:
            cells[column] = _renamed(cell, name, renaming)
    return RowState(
        generation=change.generation,
        born=renaming.stamp(change.born),
        code_by_column=change.code_by_column,
        cell_by_column=cells,
    )


def counters_moved(table: str, row_id: RowId, change: RowState, origin: Origin) -> dict[CounterCell, Totals]:
    """Return the counters of a row that `origin` has moved, with its totals."""
    return {
        (table, row_id, change.generation, column): cell.totals_by_origin[origin]
        for column, cell in change.cell_by_column.items()
        if isinstance(cell, Counter) and origin in cell.totals_by_origin
    }


def _renamed(cell: CellState, name: CounterCell, renaming: Renaming) -> CellState:
    match cell:
        case Register():
            return Register(renaming.stamp(cell.stamp), cell.value)
        case ObservedSet():
            elements = {renaming.dot(dot): element for dot, element in cell.element_by_dot.items()}
            removed = frozenset(map(renaming.dot, cell.removed))
            return ObservedSet(dict(sorted(elements.items())), cell.vector, removed)
        case Counter():
            return _renamed_counter(cell, name, renaming)
        case JsonDocument():
            leaves = cell.leaf_by_path.items()
            return JsonDocument({path: Leaf(renaming.stamp(leaf.stamp), leaf.text) for path, leaf in leaves})
        case Text():
            # A change of a text is named by its content, so it stays what it is under any author.
            return cell


def _renamed_counter(cell: Counter, name: CounterCell, renaming: Renaming) -> Counter:
    totals, old, new = dict(cell.totals_by_origin), stamp_origin(renaming.old), stamp_origin(renaming.new)
    step = renaming.step_by_cell.get(name)
    if step is None or old not in totals:
        return cell
    added, subtracted = totals.pop(old)
    left = (max(added - step[0], 0), max(subtracted - step[1], 0))
    if left != NO_TOTALS:
        totals[old] = left
    totals[new] = _sum(totals.get(new, NO_TOTALS), step)
    return Counter(dict(sorted(totals.items())))


def _sum(one: Totals, other: Totals) -> Totals:
    return one[0] + other[0], one[1] + other[1]


def step_between(before: Totals, after: Totals) -> Totals:
    """Return what was counted between two statements of an origin's totals; one that counts back says nothing."""
    return max(after[0] - before[0], 0), max(after[1] - before[1], 0)

"""Tells rows whose values are their own spelling from those whose state is more than the values shown.

Nearly all rows are inserted once and whole and take the set-based path, so they are looked at a column at a time.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

from node.store.catalogue import ReplicatedTable

_Row = TypeVar("_Row", bound=Sequence[Any])
_NOTHING = frozenset({type(None)})
# An inserted text is its own spelling, whatever it is.
_WORDS = frozenset({str})
# What only the state of a cell is spelled as, never a value.
_STATES = frozenset({list, tuple})


def all_plain(table: ReplicatedTable, rows: Sequence[_Row]) -> bool:
    """Tell whether each row (id, generation, values…), of the table's full layout, is its own spelling."""
    for index, plain in table.conditional:
        cells = [row[index + 2] for row in rows]
        kinds = set(map(type, cells))
        if (kinds == _NOTHING and plain(None)) or (kinds == _WORDS and index in table.texts):
            continue
        if not kinds.isdisjoint(_STATES) or not all(map(plain, cells)):
            return False
    return True


def is_plain(table: ReplicatedTable, row: Sequence[Any]) -> bool:
    """Tell the same of one row."""
    return all(type(row[index + 2]) not in _STATES and plain(row[index + 2]) for index, plain in table.conditional)


def split_plain(table: ReplicatedTable, rows: Sequence[_Row]) -> tuple[Sequence[_Row], Sequence[_Row]]:
    """Return the rows that are their own spelling, and the others."""
    if all_plain(table, rows):
        return rows, ()
    plain: list[_Row] = []
    stated: list[_Row] = []
    for row in rows:
        (plain if is_plain(table, row) else stated).append(row)
    return plain, stated

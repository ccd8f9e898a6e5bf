"""Merge of all changes of one row by the documented rules, from scratch, without any state kept between changes."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from node.store.schema import Column, Table
from simulations.oracle.history import Cell, Change, Count, Leaves, Members, Version, Write


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row merged from its changes: alive at odd generations; a tombstone keeps only its references."""

    generation: int
    cells: Mapping[str, Cell]

    @property
    def alive(self) -> bool:
        """Return whether the row exists for a person."""
        return self.generation % 2 == 1


def value_order(value: Cell) -> tuple[int, float, bytes]:
    """Return the key by which `max` compares: nothing, then numbers, text, bytes."""
    match value:
        case None:
            return (0, 0, b"")
        case int() | float():
            return (1, value, b"")
        case str():
            return (2, 0, value.encode())
        case bytes():
            return (3, 0, value)
        case _:
            raise TypeError("a set has no order")


def _last(changes: list[Change], column: str) -> Cell:
    return max(_writes(changes, column), key=lambda pair: pair[0], default=(None, None))[1]


def _first(changes: list[Change], column: str) -> Cell:
    return min(_writes(changes, column), key=lambda pair: pair[0], default=(None, None))[1]


def _greatest(changes: list[Change], column: str) -> Cell:
    return max((value for _, value in _writes(changes, column)), key=value_order, default=None)


def _least(changes: list[Change], column: str) -> Cell:
    values = (value for _, value in _writes(changes, column) if value is not None)
    return min(values, key=value_order, default=None)


def _sum(changes: list[Change], column: str) -> Cell:
    return sum(cell.amount for change in changes if isinstance(cell := change.cells.get(column), Count))


def _present(changes: list[Change], column: str) -> Cell:
    return frozenset(element for _, element in live_members(changes, column))


def _leaves(changes: list[Change], column: str) -> Cell:
    latest: dict[str, tuple[Version, str | None]] = {}
    for change in changes:
        cell = change.cells.get(column)
        if isinstance(cell, Leaves):
            for key, text in cell.text_by_key.items():
                if key not in latest or latest[key][0] < change.version:
                    latest[key] = (change.version, text)
    return frozenset(f"{key}={text}" for key, (_, text) in latest.items() if text is not None)


def live_members(changes: Iterable[Change], column: str) -> frozenset[tuple[Version, str]]:
    """Return the additions to a set that no change removed: add wins over a remove that did not see it."""
    added: set[tuple[Version, str]] = set()
    removed: set[tuple[Version, str]] = set()
    for change in changes:
        cell = change.cells.get(column)
        if isinstance(cell, Members):
            added.update((change.version, element) for element in cell.added)
            removed |= cell.removed
    return frozenset(added - removed)


def _writes(changes: list[Change], column: str) -> list[tuple[Version, Cell]]:
    return [(change.version, cell.value) for change in changes if isinstance(cell := change.cells.get(column), Write)]


_VALUE_BY_STRATEGY: Mapping[str, Callable[[list[Change], str], Cell]] = {
    "lww": _last,
    "immutable": _first,
    "max": _greatest,
    "min": _least,
    "counter": _sum,
    "set": _present,
    "text": _present,
    "document": _leaves,
}


def current(changes: Iterable[Change]) -> list[Change]:
    """Return the changes of the highest generation: causal length alone decides life, and a higher one wins whole."""
    known = list(changes)
    generation = max(change.generation for change in known)
    return [change for change in known if change.generation == generation]


def fold(table: Table, changes: Iterable[Change]) -> Row:
    """Return the row that these changes (at least one, in any order) merge to."""
    newest = current(changes)
    generation = newest[0].generation
    columns: Iterable[Column] = table.columns
    if generation % 2 == 0:
        kept = {reference.column for reference in table.references}
        return Row(
            generation=generation,
            cells={
                column.name: _VALUE_BY_STRATEGY[column.strategy](newest, column.name)
                for column in columns
                if column.name in kept
            },
        )
    return Row(generation=generation, cells={column.name: _shown(column, newest) for column in columns})


def _shown(column: Column, changes: list[Change]) -> Cell:
    if not any(column.name in change.cells for change in changes):
        # An edit can be here before the insert: its author knew the row by a snapshot.
        return default_value(column)
    return _VALUE_BY_STRATEGY[column.strategy](changes, column.name)


def default_value(column: Column) -> Cell:
    """Return the value of a column's declared SQL literal."""
    if column.strategy in ("text", "document"):
        return frozenset()
    if column.default is None:
        return None
    if column.strategy == "set":
        return frozenset(json.loads(column.default.strip("'")))
    if column.default.startswith("'"):
        return column.default[1:-1].replace("''", "'")
    return float(column.default) if column.type == "REAL" else int(column.default)

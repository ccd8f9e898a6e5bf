"""Comparisons of a real store with what the oracle says it must hold."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from enum import Enum, auto

from node.store.schema import Column, Table
from simulations.oracle.fold import current
from simulations.oracle.history import Cell, Change, Members
from simulations.oracle.replica import ModelReplica
from simulations.oracle.transaction import leaves
from simulations.violation import Violation

Query = Callable[[str], list[tuple[object, ...]]]


def check_tables(query: Query, model: ModelReplica, names: Sequence[str], who: str, check: str) -> None:
    """Compare the whole content of tables, cell by cell and type by type, with the oracle's."""
    visible = model.visible()
    for name in names:
        table = model.declared[name]
        expected = {row_id: shown(table, cells) for row_id, cells in visible[name].items()}
        actual = read_table(query, table)
        lacking = {key for _, key in model.lacking}
        whole = _History.WHOLE if check == "tables" else _History.UNDER_WAY
        for row_id in actual.keys() & expected.keys():
            changes = current(model.changes_by_row[(name, row_id)].values())
            history = _History.OF_A_FORGOTTEN if (name, row_id) in lacking else whole
            actual[row_id] = _compared(table, actual[row_id], expected[row_id], changes, history)
        if not same_rows(actual, expected):
            raise Violation(check, f"{who}, table {name}: {_difference(table, actual, expected)}")


def read_table(query: Query, table: Table) -> dict[bytes, tuple[object, ...]]:
    """Return id -> values in order of declaration."""
    columns = ", ".join(["id", *(column.name for column in table.columns)])
    rows: dict[bytes, tuple[object, ...]] = {}
    for row in query(f"SELECT {columns} FROM {table.name}"):
        assert isinstance(row[0], bytes)
        rows[row[0]] = row[1:]
    return rows


def shown(table: Table, cells: Mapping[str, Cell]) -> tuple[object, ...]:
    """Return a row as SQL shows it: sets and documents as canonical JSON, texts with their characters in order."""
    return tuple(_shown(column, cells[column.name]) for column in table.columns)


def text_of(characters: Sequence[str]) -> str:
    """Return a text of which each character is a line of its own: edits are found line by line, and so exactly."""
    return "".join(f"{character}\n" for character in characters)


def document_text(cell: frozenset[str]) -> str:
    """Return the canonical JSON of a document's leaves."""
    return "{" + ",".join(f"{json.dumps(key)}:{text}" for key, text in sorted(leaves(cell).items())) + "}"


def same_rows(left: Mapping[bytes, tuple[object, ...]], right: Mapping[bytes, tuple[object, ...]]) -> bool:
    """Return whether two tables are equal, an integer not being equal to a real."""
    return left == right and all(
        [type(value) for value in left[row_id]] == [type(value) for value in right[row_id]] for row_id in left
    )


class _History(Enum):
    """What is held of the changes of a row."""

    WHOLE = auto()
    UNDER_WAY = auto()
    OF_A_FORGOTTEN = auto()


def _compared(
    table: Table,
    row: tuple[object, ...],
    expected: tuple[object, ...],
    changes: Sequence[Change],
    history: _History,
) -> tuple[object, ...]:
    """Return a row with what the model says of those texts that show the right characters, in whatever order.

    None may be missing, unless the row was forgotten elsewhere: an edit can come without the words that it builds on,
    while the row's end is under way. None may stand there that one of `changes`, all that are held of the row, took
    away. One of which they do not tell may, until the whole history is held: an edit carries what it builds on, where
    its author had that by a page only.
    """
    compared: list[object] = []
    for column, value, ought in zip(table.columns, row, expected, strict=True):
        if column.strategy == "text" and isinstance(value, str) and isinstance(ought, str):
            shown, due = Counter(value.replace("\n", "")), Counter(ought)
            more, fewer = (shown - due).keys(), (due - shown).keys()
            wrong = more if history is _History.WHOLE else more & _removed(changes, column.name)
            if not wrong and (not fewer or history is _History.OF_A_FORGOTTEN):
                value = ought
        compared.append(value)
    return tuple(compared)


def _removed(changes: Sequence[Change], column: str) -> set[str]:
    cells = (change.cells.get(column) for change in changes)
    return {element for cell in cells if isinstance(cell, Members) for _, element in cell.removed}


def _shown(column: Column, cell: Cell) -> object:
    if isinstance(cell, frozenset) and column.strategy == "text":
        return "".join(sorted(cell))
    if isinstance(cell, frozenset) and column.strategy == "document":
        return document_text(cell) if cell or column.default is not None else None
    if isinstance(cell, frozenset):
        return json.dumps(sorted(cell), ensure_ascii=False, separators=(",", ":"))
    return cell


def _difference(
    table: Table, actual: Mapping[bytes, tuple[object, ...]], expected: Mapping[bytes, tuple[object, ...]]
) -> str:
    for row_id in sorted(expected.keys() - actual.keys()):
        return f"row {row_id.hex()[-8:]} is missing"
    for row_id in sorted(actual.keys() - expected.keys()):
        return f"row {row_id.hex()[-8:]} ought not to be there"
    for row_id in sorted(expected):
        for column, is_value, ought in zip(table.columns, actual[row_id], expected[row_id], strict=True):
            if is_value != ought or type(is_value) is not type(ought):
                return f"row {row_id.hex()[-8:]}, {column.name} ({column.strategy}) is {is_value!r}, not {ought!r}"
    return "they differ"

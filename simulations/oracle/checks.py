"""Comparisons of a real store with what the oracle says it must hold."""

import json
from collections.abc import Callable, Mapping, Sequence

from node.store.schema import Column, Table
from simulations.oracle.history import Cell
from simulations.oracle.replica import ModelReplica
from simulations.oracle.transaction import leaves
from simulations.violation import Violation

Query = Callable[[str], list[tuple[object, ...]]]


def check_tables(query: Query, model: ModelReplica, names: Sequence[str], who: str, check: str) -> None:
    """Compare the whole content of tables, cell by cell and type by type, with the oracle's."""
    visible = model.visible()
    for name in names:
        table = model.tables[name]
        expected = {row_id: shown(table, cells) for row_id, cells in visible[name].items()}
        actual = {
            row_id: _compared(table, row, expected.get(row_id)) for row_id, row in read_table(query, table).items()
        }
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


def _compared(table: Table, row: tuple[object, ...], expected: tuple[object, ...] | None) -> tuple[object, ...]:
    """Return a row with what the model says of those texts in which no character is missing.

    The model does not say how characters stand, and one that an edit took away and wrote again, as an editor does that
    replaces a line, may outlive a removal made apart. So this asks for no character lost; that all devices show the
    same is asked of their digests.
    """
    if expected is None:
        return row
    return tuple(
        ought
        if column.strategy == "text" and isinstance(value, str) and isinstance(ought, str) and set(ought) <= set(value)
        else value
        for column, value, ought in zip(table.columns, row, expected, strict=True)
    )


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

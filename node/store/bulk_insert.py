"""Inserts or updates many rows of one table with one statement.

To bind a row's cells one by one costs two microseconds; one JSON text that the engine takes apart costs half of that.
Cells of one length travel end to end and are cut by position, few different values are bound once and chosen by a byte,
so that as a rule one column of texts is left: a JSON array whose elements are the cells. Only a REAL must not pass
through text: whether it comes back to the bit is up to the engine's parser.
"""

from collections.abc import Sequence
from itertools import repeat
from typing import Any

import msgspec

from node.errors import ConstraintError
from node.store.catalogue import ReplicatedTable, shown_for_nil
from node.store.database import Database, Row
from node.store.literals import parse_literal
from node.store.row_state import ids_blob, insert_rows, upsert_rows
from node.store.schema import Column

# The binding turns integers beyond this into REAL; those travel as text and are cast by the column's placeholder.
_BOUND_INTEGER_MAX = 2**31 - 1
# Beyond this a person's integer might have come through a floating-point number and lost digits on the way.
_EXACT_INTEGER_MAX = 2**53
_ID_BYTES = 16
# Cells of one length lie side by side and are cut out; longer ones gain nothing by it.
_WIDTH_MAX = 64
# So few different values are bound once each; whether a column has so few is guessed by its first cells.
_CHOICES_MAX = 4
_LOOKED_AT = 32
_TYPES: dict[str, frozenset[type]] = {
    "TEXT": frozenset({str, type(None)}),
    "INTEGER": frozenset({int, type(None)}),
    "REAL": frozenset({float, type(None)}),
    "BLOB": frozenset({bytes, type(None)}),
}

_encode_json = msgspec.json.Encoder().encode


def insert_in_bulk(
    database: Database, table: ReplicatedTable, row_ids: Sequence[bytes], by_column: Sequence[Sequence[Any]]
) -> None:
    """Insert rows given as columns, in the order of `table.columns`; None stands for the column's default.

    Values fit their columns' types. Raises ConstraintError for an id that stands already.
    """
    filled = [
        (column, cells)
        for column, cells in zip(table.columns, by_column, strict=True)
        if cells.count(None) < len(cells)
    ]
    names = ", ".join(["id", *(column.name for column, _ in filled)])
    if any(column.type == "REAL" for column, _ in filled):
        marks = ["?", *(placeholder(column) for column, _ in filled)]
        values = [row_ids, *(bindable_cells(column, cells) for column, cells in filled)]
        insert_rows(database, table.name, names.split(", "), list(zip(*values, strict=True)), f"({', '.join(marks)})")
        return
    parameters: list[object] = [ids_blob(row_ids), ""]
    picked = [_packed(1, _ID_BYTES)]
    in_json: list[tuple[int, Column, Sequence[Any]]] = []
    for column, cells in filled:
        spelled = _spelled_apart(column, cells, parameters)
        if spelled is None:
            in_json.append((len(picked), column, cells))
        picked.append(spelled or "")
    parameters[1] = _spelled_in_json(in_json, len(row_ids), picked)
    database.change(
        f"INSERT INTO {table.name} ({names}) SELECT {', '.join(picked)} FROM json_each(?2)",
        parameters,
    )


def _spelled_apart(column: Column, cells: Sequence[Any], parameters: list[object]) -> str | None:
    """Add a column's cells to `parameters` and return the expression that takes out a row's.

    None where they differ in length and are many: those travel in JSON.
    """
    if column.type == "INTEGER":
        return None
    if cells.count(cells[0]) == len(cells):
        parameters.append(cells[0])
        return f"?{len(parameters)}"
    if len(set(cells[:_LOOKED_AT])) <= _CHOICES_MAX and len(choices := dict.fromkeys(cells)) <= _CHOICES_MAX:
        number_by_cell = {cell: number for number, cell in enumerate(choices)}
        parameters.append(bytes(map(number_by_cell.__getitem__, cells)))
        chosen = f"CASE {_packed(len(parameters), 1)}"
        for cell, number in number_by_cell.items():
            parameters.append(cell)
            chosen += f" WHEN x'{number:02x}' THEN ?{len(parameters)}"
        return _with_default(column, f"{chosen} END")
    width = len(cells[0] or "")
    alike = all(cell and len(cell) == width for cell in cells[:_LOOKED_AT])
    if not alike or width > _WIDTH_MAX or None in cells or not {width}.issuperset(map(len, cells)):
        return None
    if column.type == "BLOB":
        parameters.append(b"".join(cells))
        return _packed(len(parameters), width)
    joined = "".join(cells)
    if not joined.isascii():
        return None
    parameters.append(joined.encode())
    return f"CAST({_packed(len(parameters), width)} AS TEXT)"


def _spelled_in_json(columns: Sequence[tuple[int, Column, Sequence[Any]]], count: int, picked: list[str]) -> str:
    """Return a JSON array of an element a row, and put how a cell is taken out of it into `picked`."""
    spelled = [
        [cell and cell.hex() for cell in cells] if column.type == "BLOB" else cells for _, column, cells in columns
    ]
    for number, (position, column, _) in enumerate(columns):
        # A lone cell is the row; of an array, each cell is looked for in its text once more.
        taken = "value" if len(columns) == 1 else f"value ->> '$[{number}]'"
        picked[position] = _with_default(column, f"unhex({taken})" if column.type == "BLOB" else taken)
    if len(spelled) == 1:
        return _encode_json(spelled[0]).decode()
    return _encode_json(list(zip(*spelled, strict=True)) or [0] * count).decode()


def update_in_bulk(
    database: Database, table: ReplicatedTable, names: Sequence[str], rows: Sequence[Sequence[Any]]
) -> None:
    """Give columns of rows that stand new values; `rows` are (id, values of `names`…), None for a column's default.

    Only these columns are written: an index on any other is left alone.
    """
    columns = [table.columns[table.column_names.index(name)] for name in names]
    row_ids, *by_column = zip(*rows, strict=True)
    values = [row_ids, *(bindable_cells(column, cells) for column, cells in zip(columns, by_column, strict=True))]
    marks = f"({', '.join(['?', *(placeholder(column) for column in columns)])})"
    # The rows stand, so each of them is updated: UPDATE … FROM (VALUES …) would take three times as long.
    upsert_rows(database, table.name, ("id", *names), list(zip(*values, strict=True)), marks)


def as_stored(table: ReplicatedTable, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> list[Row] | None:
    """Return local rows of `columns` as (id, 1, values in order of column name), as they will be read back.

    None where a value is not exactly of its column's type, or an id is missing: then plain SQL must say what it makes
    of them. Raises ConstraintError for what no cell can hold.
    """
    cells_by_name = dict(zip(columns, zip(*rows, strict=True), strict=True))
    row_ids = cells_by_name.pop("id", None)
    if row_ids is None or not ({bytes}.issuperset(map(type, row_ids)) and {16}.issuperset(map(len, row_ids))):
        return None
    if not cells_by_name.keys() <= table.strategy_by_column.keys():
        return None
    by_column: list[Sequence[object]] = []
    for column in table.columns:
        cells = cells_by_name.get(column.name)
        if cells is not None:
            if not _TYPES[column.type].issuperset(map(type, cells)) or not _keeps(column, cells):
                return None
            _check_cells(column, cells)
        by_column.append(_shown(column, cells, len(rows)))
    return list(zip(row_ids, repeat(1), *by_column))


def _check_cells(column: Column, cells: Sequence[Any]) -> None:
    if column.type == "TEXT":
        joined = "".join(filter(None, cells))
        if "\0" in joined:
            raise ConstraintError("A text cannot hold a NUL character; remove it first.")
        if not joined.isascii():
            try:
                joined.encode()
            except UnicodeEncodeError as error:
                raise ConstraintError("A text holds half of a surrogate pair, which is no Unicode text.") from error
    elif column.type == "INTEGER":
        for cell in cells:
            if cell is not None and abs(cell) > _EXACT_INTEGER_MAX:
                raise ConstraintError(f"The integer {cell} is beyond ±2^53 and would lose digits; write it as text.")


def _keeps(column: Column, cells: Sequence[Any]) -> bool:
    """Tell whether the column stores these cells as they are: NaN would become NULL, and −0 become 0."""
    return column.type != "REAL" or not any(cell is not None and (cell != cell or cell == 0) for cell in cells)


def _shown(column: Column, cells: Sequence[object] | None, count: int) -> Sequence[object]:
    """Return what a column will show of `cells`: its default for None, and None for what says nothing."""
    nothing = shown_for_nil(column)
    default = None if column.default is None or nothing is not None else parse_literal(column.default)
    if cells is None:
        return (default,) * count
    says_nothing = None if nothing is None else parse_literal(nothing)
    if (default is None or None not in cells) and (nothing is None or says_nothing not in cells):
        return cells
    return [default if cell is None or (nothing is not None and cell == says_nothing) else cell for cell in cells]


def _packed(number: int, width: int) -> str:
    return f"substr(?{number}, key * {width} + 1, {width})"


def placeholder(column: Column) -> str:
    """Return the placeholder by which a column takes any value exactly."""
    return _with_default(column, "CAST(? AS INTEGER)" if column.type == "INTEGER" else "?")


def bindable_cells(column: Column, cells: Sequence[Any]) -> Sequence[Any]:
    """Return a column's cells with integers too large for the binding as texts (rare, so looked for first)."""
    if column.type != "INTEGER" or not any(abs(cell) > _BOUND_INTEGER_MAX for cell in cells if cell is not None):
        return cells
    return [None if cell is None else str(cell) for cell in cells]


def bindable(table: ReplicatedTable, column: str, value: object) -> tuple[str, object]:
    """Return (placeholder, value to bind) by which a column takes a value exactly, large integers too."""
    declared = table.columns[table.column_names.index(column)]
    return ("CAST(? AS INTEGER)", str(value)) if declared.type == "INTEGER" and value is not None else ("?", value)


def _with_default(column: Column, mark: str) -> str:
    return mark if column.default is None else f"ifnull({mark}, {column.default})"

"""Writes everything that belongs to the person as lines of JSON, losslessly and with ids kept.

The format, one JSON object a line, UTF-8:

    {"nuthatch":"export","format":1,"schemas":{"memories":1,…}}
    {"table":"memories","id":"0192f0c1-…","cells":{"content":"…","tags":["a","b"],"project_id":null,…}}
    …
    {"nuthatch":"end","rows":{"memories":203,…}}

Text is text, numbers are numbers, a set is a list. Bytes are `{"$base64": …}`, or `{"$id": …}` where a column holds
the id of a row; an infinite number is `{"$real": "inf"}`. The last line counts the rows, so that a file which was cut
off is noticed. Tables come in the order in which they refer to each other.
"""

import base64
import math
from collections.abc import Iterator, Sequence

from crdt.identifiers import ROW_ID_BYTES, row_id_to_text
from node.repositories.ports import Database, SqlValue
from node.repositories.values import read_id, read_integer, strings_from_json, to_json
from node.store.schema import Column, Component, Table

EXPORT_FORMAT = 1

_ROWS_PER_PAGE = 1_000
# Some programs end a line at these too; JSON reads the escape as the character.
_LINE_SEPARATORS = str.maketrans({"\x85": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"})


def export_lines(database: Database, components: Sequence[Component]) -> Iterator[str]:
    """Return the lines of an export, each with its newline.

    The caller takes all lines without letting others write meanwhile, if the export is to show one moment.
    """
    schemas = {component.name: component.version for component in components}
    yield _line({"nuthatch": "export", "format": EXPORT_FORMAT, "schemas": schemas})
    rows_by_table: dict[str, int] = {}
    for component in sorted(components, key=lambda component: (component.priority, component.name)):
        for table in component.tables:
            for line in _table_lines(database, table):
                rows_by_table[table.name] = rows_by_table.get(table.name, 0) + 1
                yield line
    yield _line({"nuthatch": "end", "rows": rows_by_table})


def _table_lines(database: Database, table: Table) -> Iterator[str]:
    names = ", ".join(column.name for column in table.columns)
    after = -1
    while True:
        rows = database.query(
            f"SELECT rowid, id, {names} FROM {table.name} WHERE rowid > ? ORDER BY rowid LIMIT ?",
            (after, _ROWS_PER_PAGE),
        )
        for place, row_id, *values in rows:
            after = read_integer(place)
            cells = {column.name: _json(column, value) for column, value in zip(table.columns, values, strict=True)}
            yield _line({"table": table.name, "id": row_id_to_text(read_id(row_id)), "cells": cells})
        if len(rows) < _ROWS_PER_PAGE:
            return


def _json(column: Column, value: SqlValue) -> object:
    match value:
        case bytes() if column.name.endswith("_id") and len(value) == ROW_ID_BYTES:
            return {"$id": row_id_to_text(value)}
        case bytes():
            return {"$base64": base64.b64encode(value).decode("ascii")}
        case float() if math.isinf(value):
            return {"$real": "inf" if value > 0 else "-inf"}
        case str() if column.strategy == "set":
            return list(strings_from_json(value))
        case _:
            return value


def _line(record: object) -> str:
    return to_json(record).translate(_LINE_SEPARATORS) + "\n"

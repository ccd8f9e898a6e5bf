"""Reads rows among which a text may be damaged: one such row must not keep all others from being read.

The engine's page cipher is not authenticated, so a flipped bit on the disk comes back as sixteen other bytes, as a rule
no valid UTF-8, and the binding then gives up the whole statement. What cannot be decoded is read with U+FFFD in its
place: the row's hash says that it is not what was written.
"""

from collections.abc import Callable, Sequence

from node.errors import UnreadableTextError
from node.store.catalogue import ReplicatedTable
from node.store.database import Database, Row


def query_rows(
    database: Database,
    table: ReplicatedTable,
    spell: Callable[[str], str],
    parameters: Sequence[object],
    first: int,
    alias: str = "t",
) -> list[Row]:
    """Return the rows of the statement that `spell` makes of the SQL of all columns of `table`, called `alias`.

    `first` is where the columns begin in a row of the result. Raises StorageError for any other trouble.
    """
    try:
        return database.query(spell(", ".join(table.selections_of(alias))), parameters)
    except UnreadableTextError:
        rows = database.query(spell(table.selected_as_bytes_of(alias)), parameters)
        return [(*row[:first], *legible(table, row[first : first + len(table.columns)])) for row in rows]


def legible(table: ReplicatedTable, values: Sequence[object]) -> list[object]:
    """Return the columns of a row, texts given as their bytes, with U+FFFD for what is no valid UTF-8."""
    return [
        value.decode(errors="replace") if column.type == "TEXT" and isinstance(value, bytes) else value
        for column, value in zip(table.columns, values, strict=True)
    ]

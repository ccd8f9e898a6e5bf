"""Where a cell stands: what a strategy may know of its surroundings."""

from typing import NamedTuple

from crdt.identifiers import RowId


class Place(NamedTuple):
    """The table, row, life and column of a cell; only texts make names (of their authors) from it."""

    table: str
    row_id: RowId
    generation: int
    column: str

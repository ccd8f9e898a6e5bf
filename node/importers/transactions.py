"""Cuts the rows of an import into transactions that each make a batch of allowed size."""

from collections.abc import Iterator, Sequence

from node.importers.plan import ImportedRow
from node.repositories.ports import SqlValue

ROWS_PER_TRANSACTION = 1_000
#: A transaction becomes a signed batch, which has at most 8 MiB; what is added to the text is far less than this.
BYTES_PER_TRANSACTION = 2 * 1024 * 1024
#: A row alone in its transaction still has to fit in one batch.
ROW_BYTES_MAX = 6 * 1024 * 1024


def parts_of(rows: Sequence[ImportedRow]) -> Iterator[list[ImportedRow]]:
    """Return rows in order, as many together as go into one transaction."""
    part: list[ImportedRow] = []
    size = 0
    for row in rows:
        row_bytes = row_size_bytes(row)
        if part and (len(part) == ROWS_PER_TRANSACTION or size + row_bytes > BYTES_PER_TRANSACTION):
            yield part
            part, size = [], 0
        part.append(row)
        size += row_bytes
    if part:
        yield part


def row_size_bytes(row: ImportedRow) -> int:
    """Return about how much a row adds to its batch."""
    return sum(_size(value) for value in row.cells.values())


def _size(value: SqlValue) -> int:
    match value:
        case str():
            return len(value.encode())
        case bytes():
            return len(value)
        case _:
            return 8


def insert_statements(
    part: Sequence[ImportedRow],
) -> Iterator[tuple[str, tuple[str, ...], list[tuple[SqlValue, ...]]]]:
    """Return the rows grouped by table and by the columns they name."""
    groups: dict[tuple[str, tuple[str, ...]], list[tuple[SqlValue, ...]]] = {}
    for row in part:
        cells = {column: value for column, value in row.cells.items() if value is not None}
        groups.setdefault((row.table, ("id", *cells)), []).append((row.id, *cells.values()))
    # References are checked at the end of the transaction, so the order of groups within it does not matter.
    for (table, columns), rows in groups.items():
        yield table, columns, rows

"""Writes rows of a table so that nothing is touched that did not change."""

from collections.abc import Iterable, Mapping

from msgspec import UnsetType

from crdt.identifiers import RowId
from node.repositories.ports import SqlValue, WriteTransaction


def insert_row(transaction: WriteTransaction, table: str, cells: Mapping[str, SqlValue]) -> None:
    """Insert one row; columns that are None are left to their default."""
    transaction.insert_rows(table, tuple(cells), [tuple(cells.values())])


def update_changed(
    transaction: WriteTransaction, table: str, row_id: RowId, cells: Mapping[str, SqlValue], *, updated_at: str | None
) -> bool:
    """Write those cells that differ from the row's and, if there are any, `updated_at`; return whether the row exists.

    An unchanged cell that is written again would get a new stamp and beat an edit made elsewhere meanwhile.
    """
    columns = tuple(cells)
    rows = transaction.execute(f"SELECT {', '.join(('id', *columns))} FROM {table} WHERE id = ?", (row_id,)).rows
    if not rows:
        return False
    # An edit of a damaged row would sign the damage with a new hash.
    transaction.require_whole(table, row_id)
    before = rows[0][1:]
    changed = [column for column, old in zip(columns, before, strict=True) if old != cells[column]]
    if changed:
        values = [cells[column] for column in changed]
        if updated_at is not None:
            changed.append("updated_at")
            values.append(updated_at)
        assignments = ", ".join(f"{column} = ?" for column in changed)
        transaction.execute(f"UPDATE {table} SET {assignments} WHERE id = ?", (*values, row_id))
    return True


def delete_row(transaction: WriteTransaction, table: str, row_id: RowId) -> bool:
    """Delete one row and what hangs on it; return whether it existed."""
    exists = bool(transaction.execute(f"SELECT 1 FROM {table} WHERE id = ?", (row_id,)).rows)
    if exists:
        transaction.execute(f"DELETE FROM {table} WHERE id = ?", (row_id,))
    return exists


def given_cells(cells: Iterable[tuple[str, SqlValue | UnsetType]]) -> dict[str, SqlValue]:
    """Return the cells that an edit names, without those that it leaves alone."""
    return {column: value for column, value in cells if not isinstance(value, UnsetType)}

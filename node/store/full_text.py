"""Keeps the full-text tables in step with their tables, set-based, in the transaction that changes them.

They hold no content of their own (`contentless_delete`): a deleted rowid takes its words with it, whatever the row
says by then, so forgotten text is never found.
"""

from collections.abc import Sequence

from node.store.catalogue import ReplicatedTable
from node.store.database import Database
from node.store.row_state import IDS, ids_blob


def _insert(table: ReplicatedTable) -> str:
    columns = ", ".join(table.declaration.full_text)
    selected = ", ".join(f"t.{name}" for name in table.declaration.full_text)
    return f"INSERT INTO {table.full_text_table} (rowid, {columns}) SELECT t.rowid, {selected} FROM"


def index_captured(database: Database, table: ReplicatedTable) -> None:
    """Follow what the capture tables say of the open transaction."""
    if table.full_text_table is None:
        return
    name = table.name
    database.change(f"DELETE FROM {table.full_text_table} WHERE rowid IN (SELECT rid FROM temp._bef_{name})")
    database.change(f"{_insert(table)} temp._ins_{name} i JOIN main.{name} t ON t.rowid = i.rid")
    database.change(
        f"{_insert(table)} temp._bef_{name} b JOIN main.{name} t ON t.id = b.id"
        f" WHERE t.rowid NOT IN (SELECT rid FROM temp._ins_{name})"
    )


def index_after(database: Database, table: ReplicatedTable, rowid: int) -> None:
    """Add all rows whose rowid is greater than `rowid`."""
    if table.full_text_table is not None:
        database.change(f"{_insert(table)} main.{table.name} t WHERE t.rowid > ?", (rowid,))


def unindex(database: Database, table: ReplicatedTable, row_ids: Sequence[bytes]) -> None:
    """Take out rows that are about to be changed or deleted, while they still stand."""
    if table.full_text_table is not None:
        database.change(
            f"DELETE FROM {table.full_text_table} WHERE rowid IN"
            f" (SELECT t.rowid FROM {IDS} JOIN main.{table.name} t ON t.id = k)",
            (ids_blob(row_ids), len(row_ids)),
        )


def index(database: Database, table: ReplicatedTable, row_ids: Sequence[bytes]) -> None:
    """Add rows that stand and are not in the full-text table."""
    if table.full_text_table is not None:
        database.change(
            f"{_insert(table)} {IDS} JOIN main.{table.name} t ON t.id = k", (ids_blob(row_ids), len(row_ids))
        )

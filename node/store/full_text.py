"""Keeps the full-text tables in step with their tables, set-based, in the transaction that changes them.

They hold no content of their own (`contentless_delete`): a deleted rowid takes its words with it, whatever the row
says by then, so forgotten text is never found.
"""

import json
from collections.abc import Sequence

from node.store.catalogue import ReplicatedTable
from node.store.database import Database
from node.store.row_state import IDS, ids_blob

#: How the tables are made: FTS5's options beside the columns.
OPTIONS = "content='', contentless_delete=1, tokenize='porter unicode61'"


def _insert(table: ReplicatedTable) -> str:
    columns = ", ".join(table.declaration.full_text)
    selected = ", ".join(f"t.{name}" for name in table.declaration.full_text)
    return f"INSERT INTO {table.full_text_table} (rowid, {columns}) SELECT t.rowid, {selected} FROM"


def index_captured(database: Database, table: ReplicatedTable, mark: int, rowids: Sequence[int]) -> None:
    """Follow what was captured of the open transaction: new rows lie above rowid `mark`.

    `rowids` are those of rows that were moved, or a searched column of which changed: before and after.
    """
    if table.full_text_table is None:
        return
    if rowids:
        given = json.dumps(rowids)
        database.change(
            f"DELETE FROM {table.full_text_table} WHERE rowid IN (SELECT value FROM json_each(?))", (given,)
        )
        database.change(
            f"{_insert(table)} json_each(?) JOIN main.{table.name} t ON t.rowid = value WHERE t.rowid <= ?",
            (given, mark),
        )
    index_after(database, table, mark)


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


def index_again(database: Database, table: ReplicatedTable, after: int, until: int | None) -> None:
    """Index the rows whose rowid lies in (after, until] anew, whatever the index holds; `until` None is the end."""
    bound, parameters = (" > ?", (after,)) if until is None else (" > ? AND {0} <= ?", (after, until))
    held = f"SELECT id FROM {table.full_text_table}_docsize WHERE id{bound.format('id')}"
    database.change(f"DELETE FROM {table.full_text_table} WHERE rowid IN ({held})", parameters)
    database.change(f"{_insert(table)} main.{table.name} t WHERE t.rowid{bound.format('t.rowid')}", parameters)


def layout(table: ReplicatedTable) -> str:
    """Return the statement that creates the full-text table of a table that has one."""
    columns = ", ".join(table.declaration.full_text)
    return f"CREATE VIRTUAL TABLE {table.full_text_table} USING fts5({columns}, {OPTIONS})"

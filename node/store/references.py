"""Carries out what the logical references promise at a local write: existence, cascade, set-null, re-parenting.

It runs once before the commit, over the netted transaction, and not by a trigger a row: INSERT OR REPLACE deletes and
re-inserts a parent, and a trigger would take its children with it although the parent stands after as before.
"""

from collections.abc import Sequence

from crdt.identifiers import RowId
from node.errors import ConstraintError
from node.store.capture import Capture, TouchedTable
from node.store.catalogue import Catalogue, ReplicatedTable
from node.store.database import Database


def _deleted(parent: ReplicatedTable) -> str:
    return (
        f"SELECT b.id FROM temp._bef_{parent.name} b"
        f" WHERE NOT EXISTS (SELECT 1 FROM main.{parent.name} p WHERE p.id = b.id)"
    )


def settle_references(database: Database, catalogue: Catalogue, touched: Sequence[ReplicatedTable]) -> None:
    """Delete, clear or re-parent the children of all rows that the open transaction deleted, to a fixed point."""
    pending = list(touched)
    cleared: list[ReplicatedTable] = []
    while pending:
        parent = pending.pop(0)
        if not database.query(f"SELECT EXISTS ({_deleted(parent)})")[0][0]:
            continue
        cleared.append(parent)
        for child, reference in catalogue.children[parent.name]:
            if reference.on_delete == "cascade":
                gone = database.change(f"DELETE FROM {child.name} WHERE {reference.column} IN ({_deleted(parent)})")
                if gone:
                    pending.append(child)
    for name in dict.fromkeys(table.name for table in cleared):
        _clear_children(database, catalogue, catalogue.table_by_name[name])


def rows_to_go(database: Database, catalogue: Catalogue, capture: Capture) -> dict[str, list[RowId]]:
    """Carry out the references of the open transaction and return the rows by table that it deletes in all."""
    settle_references(database, catalogue, capture.touched())
    gone = {table.name: [RowId(row[0]) for row in database.query(_deleted(table))] for table in capture.touched()}
    return {name: row_ids for name, row_ids in gone.items() if row_ids}


def _clear_children(database: Database, catalogue: Catalogue, parent: ReplicatedTable) -> None:
    for child, reference in catalogue.children[parent.name]:
        column = reference.column
        if reference.on_delete == "set_null":
            database.change(f"UPDATE {child.name} SET {column} = NULL WHERE {column} IN ({_deleted(parent)})")
        elif reference.on_delete == "reparent":
            _reparent(database, parent, column)


def _reparent(database: Database, table: ReplicatedTable, column: str) -> None:
    """Give the children of deleted rows the nearest ancestor that still stands, if any.

    An ancestor need not stand although nobody deleted it here: a peer may have, while the reference to it was written.
    """
    grandparent: dict[bytes, bytes | None] = dict(
        database.query(f"SELECT b.id, b.{column} FROM temp._bef_{table.name} b WHERE b.id IN ({_deleted(table)})")
    )
    for row_id in grandparent:
        ancestor, seen = grandparent[row_id], {row_id}
        while ancestor in grandparent and ancestor not in seen:
            seen.add(ancestor)
            ancestor = grandparent[ancestor]
        stands = database.query(f"SELECT 1 FROM {table.name} WHERE id = ?", (ancestor,))
        target = ancestor if stands else None
        database.change(f"UPDATE {table.name} SET {column} = ? WHERE {column} = ?", (target, row_id))


def check_references(database: Database, touched: TouchedTable) -> None:
    """Raise ConstraintError where a row written by the open transaction refers to a row that does not stand."""
    table = touched.table
    for reference in table.references:
        index = table.column_names.index(reference.column)
        wanted = {row[index + 2] for row in touched.fresh}
        wanted |= {
            row.after[index]
            for row in touched.others
            if row.after is not None and (row.before is None or row.before[index] != row.after[index])
        }
        wanted.discard(None)
        for parent_id in wanted:
            if not database.query(f"SELECT 1 FROM {reference.table} WHERE id = ?", (parent_id,)):
                raise ConstraintError(
                    f"A row of {table.name} refers by {reference.column} to a row of {reference.table} "
                    "that does not exist."
                )

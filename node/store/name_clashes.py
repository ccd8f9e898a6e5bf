"""Finds rows that came to bear one name while devices were apart: none is changed, and all devices find the same.

A clash is derived state: computed from the rows that stand whenever it is asked for, never stored or sent. Where one
row is looked up by a name that several bear, it is the one whose life began earliest, by its stamp.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from crdt.identifiers import RowId
from crdt.values import Scalar
from node.store.catalogue import Catalogue, ReplicatedTable
from node.store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class NameClash:
    """Rows of one table that bear one name, the earliest first: it is the one that a look-up gives."""

    table: str
    name: tuple[Scalar, ...]
    row_ids: tuple[RowId, ...]


def name_clashes(database: Database, catalogue: Catalogue) -> list[NameClash]:
    """Return all clashes, in order of table and name; rows whose name is empty do not clash."""
    found: list[NameClash] = []
    for table in catalogue.tables:
        columns = table.declaration.unique_name
        if not columns:
            continue
        listed = ", ".join(f"t.{column}" for column in columns)
        same = " AND ".join(f"o.{column} IS t.{column}" for column in columns)
        present = " AND ".join(f"ifnull(t.{column}, '') <> ''" for column in columns)
        ids_by_name: dict[tuple[Scalar, ...], list[RowId]] = {}
        for row_id, *name in database.query(
            f"SELECT t.id, {listed} {_by_stamp(table)} WHERE {present}"
            f" AND EXISTS (SELECT 1 FROM main.{table.name} o WHERE {same} AND o.id <> t.id) {_ORDER}"
        ):
            ids_by_name.setdefault(tuple(name), []).append(RowId(row_id))
        found += [
            NameClash(table=table.name, name=name, row_ids=tuple(row_ids))
            for name, row_ids in sorted(ids_by_name.items(), key=lambda pair: str(pair[0]))
        ]
    return found


def earliest_named(database: Database, table: ReplicatedTable, name: Sequence[Scalar]) -> RowId | None:
    """Return the row of this name, of several the one with the earliest stamp, None if there is none."""
    same = " AND ".join(f"t.{column} IS ?" for column in table.declaration.unique_name)
    rows = database.query(f"SELECT t.id {_by_stamp(table)} WHERE {same} {_ORDER} LIMIT 1", list(name))
    return RowId(rows[0][0]) if rows else None


def _by_stamp(table: ReplicatedTable) -> str:
    return f"FROM main.{table.name} t JOIN {table.row_table} r ON r.id = t.id JOIN _origin n ON n.number = r.origin"


_ORDER = "ORDER BY r.hlc, n.origin, r.seq"

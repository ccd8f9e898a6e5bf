"""Records which rows a transaction touched, by TEMP triggers of the one connection, and nets them per row.

For each replicated table `t` two TEMP tables:
    _ins_t (rid)              rowids that came into being in this transaction
    _bef_t (id, rid, before)  rows that stood before it and were updated or deleted, as they stood
A row that was there before and is there after is an update, whatever happened between (also INSERT OR REPLACE). The
triggers are silent while `_silent` holds a row: remote batches and the store's own repairs are not captured.
"""

from dataclasses import dataclass
from typing import Any

import msgspec

from node.store.catalogue import Catalogue, ReplicatedTable
from node.store.database import Database, Row

_LOUD = "NOT EXISTS (SELECT 1 FROM temp._silent)"


@dataclass(frozen=True, slots=True, kw_only=True)
class TouchedRow:
    """A row that stood before the transaction, or whose id has a row state from before.

    `before` and `after` are SQL literals of the columns (`quote()`), None where the row did not stand; `values` are
    the columns as they are now.
    """

    row_id: bytes
    before: list[str] | None
    after: list[str] | None
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TouchedTable:
    """What a transaction did to one table: `fresh` rows are (id, 1, values in order of column name)."""

    table: ReplicatedTable
    fresh: list[Row]
    others: list[TouchedRow]


def _literals(table: ReplicatedTable, prefix: str) -> str:
    return "json_array(" + ", ".join(f"quote({prefix}.{name})" for name in table.column_names) + ")"


class Capture:
    """The triggers of one connection and the reading of what they recorded."""

    __slots__ = ("_any_sql", "_catalogue", "_database")

    def __init__(self, database: Database, catalogue: Catalogue) -> None:
        """Create the TEMP tables and triggers on the connection."""
        self._database = database
        self._catalogue = catalogue
        database.change("CREATE TEMP TABLE _silent (yes INTEGER PRIMARY KEY)")
        for table in catalogue.tables:
            self._create(table)
        self._any_sql = "SELECT " + ", ".join(
            f"EXISTS (SELECT 1 FROM temp._ins_{table.name}), EXISTS (SELECT 1 FROM temp._bef_{table.name})"
            for table in catalogue.tables
        )

    def _create(self, table: ReplicatedTable) -> None:
        name = table.name
        change = self._database.change
        change(f"CREATE TEMP TABLE _ins_{name} (rid INTEGER PRIMARY KEY)")
        change(f"CREATE TEMP TABLE _bef_{name} (id BLOB PRIMARY KEY, rid INTEGER, before TEXT) WITHOUT ROWID")
        change(
            f"CREATE TEMP TRIGGER _ins_{name} AFTER INSERT ON main.{name} WHEN {_LOUD}"
            f" BEGIN INSERT OR IGNORE INTO _ins_{name} VALUES (NEW.rowid); END"
        )
        remember = (
            f"INSERT OR IGNORE INTO _bef_{name} SELECT OLD.id, OLD.rowid, {_literals(table, 'OLD')}"
            f" WHERE NOT EXISTS (SELECT 1 FROM _ins_{name} WHERE rid = OLD.rowid)"
        )
        change(f"CREATE TEMP TRIGGER _upd_{name} AFTER UPDATE ON main.{name} WHEN {_LOUD} BEGIN {remember}; END")
        change(
            f"CREATE TEMP TRIGGER _del_{name} AFTER DELETE ON main.{name} WHEN {_LOUD}"
            f" BEGIN {remember}; DELETE FROM _ins_{name} WHERE rid = OLD.rowid; END"
        )
        change(
            f"CREATE TEMP TRIGGER _key_{name} BEFORE UPDATE OF id ON main.{name} WHEN OLD.id IS NOT NEW.id"
            f" BEGIN SELECT RAISE(ABORT, 'nuthatch: The id of a row in {name} cannot be changed;"
            " insert a new row and delete the old one.'); END"
        )

    def touched(self) -> list[ReplicatedTable]:
        """Return the tables that the open transaction touched."""
        flags = self._database.query(self._any_sql)[0]
        return [
            table
            for index, table in enumerate(self._catalogue.tables)
            if flags[2 * index] or flags[2 * index + 1]
        ]

    def collect(self, table: ReplicatedTable) -> TouchedTable:
        """Return what the open transaction did to `table`, netted per row."""
        inserted = self._database.query(
            f"SELECT t.id, ifnull(r.generation, 0) + 1, {table.selected} FROM temp._ins_{table.name} i"
            f" JOIN main.{table.name} t ON t.rowid = i.rid LEFT JOIN {table.row_table} r ON r.id = t.id"
        )
        fresh = [row for row in inserted if row[1] == 1]
        literals = _literals(table, "t")
        rows = self._database.query(
            f"SELECT b.id, b.before, t.id IS NOT NULL, {literals}, {table.selected} FROM temp._bef_{table.name} b"
            f" LEFT JOIN main.{table.name} t ON t.id = b.id ORDER BY b.id"
        )
        if len(fresh) < len(inserted):
            # Re-inserted after a delete: no row stood before the transaction, but a tombstone did.
            rows += self._database.query(
                f"SELECT t.id, NULL, 1, {literals}, {table.selected} FROM temp._ins_{table.name} i"
                f" JOIN main.{table.name} t ON t.rowid = i.rid JOIN {table.row_table} r ON r.id = t.id"
                f" WHERE NOT EXISTS (SELECT 1 FROM temp._bef_{table.name} b WHERE b.id = t.id) ORDER BY t.id"
            )
        others = [
            TouchedRow(
                row_id=row[0],
                before=_parsed(row[1]),
                after=_parsed(row[3]) if row[2] else None,
                values=row[4:],
            )
            for row in rows
        ]
        return TouchedTable(table=table, fresh=fresh, others=others)

    def clear(self, table: ReplicatedTable) -> None:
        """Forget what was recorded of `table`."""
        self._database.change(f"DELETE FROM temp._ins_{table.name}")
        self._database.change(f"DELETE FROM temp._bef_{table.name}")

    def silence(self) -> None:
        """Record nothing until `speak`; both are undone by a rollback."""
        self._database.change("INSERT OR IGNORE INTO temp._silent VALUES (1)")

    def speak(self) -> None:
        """Record again."""
        self._database.change("DELETE FROM temp._silent")


def _parsed(text: str | None) -> list[str] | None:
    return None if text is None else msgspec.json.decode(text, type=list[str])

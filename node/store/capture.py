"""Finds which rows a transaction touched, and nets them per row.

Two observations suffice, and an insert costs nothing:
- Rowids grow: a row whose rowid is above the table's highest one at the start came into being in the transaction. Where
  the topmost rows were deleted the engine gives their rowids again, and any below them that were free: then the mark is
  lowered to the highest row that stood before and was not touched.
- TEMP triggers of the one connection keep each updated or deleted row as it first stood, in `_bef_t (id, _rowid, …)`.
A row that was alive before and stands after is an update, whatever happened between (also INSERT OR REPLACE). The
triggers cannot rely on OR IGNORE to keep the first image: within a trigger the conflict clause of the person's own
statement takes its place, and under INSERT OR REPLACE the last image would be kept.

The triggers are silent while `_silent` holds a row, which is so except in a person's transaction: remote batches and
the store's own repairs are not captured. Statements that write rowids are refused before they get here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from node.errors import ConstraintError, UnreadableTextError
from node.store.catalogue import Catalogue, ReplicatedTable
from node.store.damaged_texts import legible
from node.store.database import Database, Row
from node.store.row_state import STATE, RowStates

# What stands before the values in a row that `collect` reads: id, rowids before and after, length, and the row state.
_KEPT = 10
_LOUD = "NOT EXISTS (SELECT 1 FROM temp._silent)"


class TouchedRow(NamedTuple):
    """A row that was alive before the transaction, or that once was and came back.

    `before` and `after` are its columns in order of name, as `ReplicatedTable.selected` gives them: `before` is None
    where the row was not alive, `after` where it no longer stands. `noted` is its state (`row_state.STATE`), None of a
    row that came back by a plain insert.
    """

    row_id: bytes
    before: Sequence[Any] | None
    after: Sequence[Any] | None
    noted: Sequence[Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TouchedTable:
    """What a transaction did to one table: `fresh` rows are (id, 1, values in order of column name).

    `rowids` are those, before and after, of rows that the full text has to follow. `text_bytes` is how long the texts
    of all rows that stand are in the table, None where it was not asked for or is known to be what was read.
    """

    table: ReplicatedTable
    fresh: list[Row]
    others: list[TouchedRow]
    rowids: list[int]
    text_bytes: int | None


def measured_columns(table: ReplicatedTable) -> list[int]:
    """Return the positions of columns whose texts a statement may have made."""
    return [index for index, column in enumerate(table.columns) if column.type == "TEXT" and column.strategy != "set"]


def _text_bytes(table: ReplicatedTable) -> str:
    """Return the SQL of how many bytes the texts of a row `t` have; the engine need not read them for that."""
    return " + ".join(["0", *(f"ifnull(octet_length({table.selections[i]}), 0)" for i in measured_columns(table))])


class Capture:
    """The triggers of one connection and the reading of what they recorded."""

    __slots__ = ("_announced", "_catalogue", "_database", "_marks_sql", "_states", "_touched_sql", "mark_by_table")

    def __init__(self, database: Database, catalogue: Catalogue, states: RowStates) -> None:
        """Create the TEMP tables and triggers on the connection, silent."""
        self._database = database
        self._catalogue = catalogue
        self._states = states
        self.mark_by_table: dict[str, int] = {}
        self._announced: dict[str, list[Row]] = {}
        database.change("CREATE TEMP TABLE _silent (yes INTEGER PRIMARY KEY)")
        for table in catalogue.tables:
            self._create(table)
        self.silence()
        self._marks_sql = "SELECT " + ", ".join(
            f"ifnull((SELECT max(rowid) FROM main.{table.name}), 0)" for table in catalogue.tables
        )
        self._touched_sql = "SELECT " + ", ".join(
            f"EXISTS (SELECT 1 FROM main.{table.name} WHERE rowid > ?) OR EXISTS (SELECT 1 FROM temp._bef_{table.name})"
            for table in catalogue.tables
        )

    def _create(self, table: ReplicatedTable) -> None:
        name = table.name
        change = self._database.change
        columns = ", ".join(table.column_names)
        change(f"CREATE TEMP TABLE _bef_{name} (id BLOB PRIMARY KEY, _rowid INTEGER, {columns}) WITHOUT ROWID")
        old = ", ".join(f"OLD.{column}" for column in table.column_names)
        remember = (
            f"INSERT INTO _bef_{name} SELECT OLD.id, OLD.rowid, {old}"
            f" WHERE NOT EXISTS (SELECT 1 FROM _bef_{name} WHERE id = OLD.id)"
        )
        change(f"CREATE TEMP TRIGGER _upd_{name} AFTER UPDATE ON main.{name} WHEN {_LOUD} BEGIN {remember}; END")
        change(f"CREATE TEMP TRIGGER _del_{name} AFTER DELETE ON main.{name} WHEN {_LOUD} BEGIN {remember}; END")
        change(
            f"CREATE TEMP TRIGGER _key_{name} BEFORE UPDATE OF id ON main.{name} WHEN OLD.id IS NOT NEW.id"
            f" BEGIN SELECT RAISE(ABORT, 'nuthatch: The id of a row in {name} cannot be changed;"
            " insert a new row and delete the old one.'); END"
        )

    def begin(self) -> None:
        """Record from here on, within the open transaction."""
        marks = self._database.query(self._marks_sql)[0]
        self.mark_by_table = {table.name: mark for table, mark in zip(self._catalogue.tables, marks, strict=True)}
        self._announced = {}
        self._database.change("DELETE FROM temp._silent")

    def announce(self, table: ReplicatedTable, rows: Sequence[Row]) -> None:
        """Take note of rows (id, 1, values in order of column name) that were just inserted exactly so."""
        self._announced.setdefault(table.name, []).extend(rows)

    def silence(self) -> None:
        """Record nothing until `begin`."""
        self._database.change("INSERT OR IGNORE INTO temp._silent VALUES (1)")

    def touched(self) -> list[ReplicatedTable]:
        """Return the tables that were touched since `begin`."""
        flags = self._database.query(self._touched_sql, tuple(self.mark_by_table.values()))[0]
        return [table for table, flag in zip(self._catalogue.tables, flags, strict=True) if flag]

    def has_touched(self, table: str, row_id: bytes) -> bool:
        """Tell whether a row was written since `begin`, and so is not what its row state says."""
        return bool(
            self._database.query(
                f"SELECT EXISTS (SELECT 1 FROM temp._bef_{table} WHERE id = ?1)"
                f" OR EXISTS (SELECT 1 FROM main.{table} WHERE id = ?1 AND rowid > ?2)",
                (row_id, self.mark_by_table[table]),
            )[0][0]
        )

    def collect(self, table: ReplicatedTable, *, measured: bool = False) -> TouchedTable:
        """Return what was done to `table` since `begin`, netted per row; raises ConstraintError for a malformed id.

        `measured` asks for `text_bytes`.
        """
        length = _text_bytes(table) if measured else "0"
        kept = self._kept(table, length)
        if kept:
            self.mark_by_table[table.name] = self._highest_untouched(table)
        inserted, text_bytes = self._inserted(table, untouched=not kept, length=length)
        if not {16}.issuperset(map(len, (row[0] for row in inserted))):
            raise ConstraintError(f"The id of a row in {table.name} is 16 bytes; leave it out to be given one.")
        generations = self._states.generations(table, [row[0] for row in inserted])
        fresh, others = inserted, list[TouchedRow]()
        if generations:
            fresh = [row for row in inserted if row[0] not in generations]
            others = [TouchedRow(row[0], None, row[2:]) for row in inserted if row[0] in generations]
        self._net(table, kept, fresh, others)
        if text_bytes is not None:
            text_bytes = text_bytes + sum(row[3] for row in kept) if measured else None
        rowids = self._to_reindex(table, kept)
        return TouchedTable(table=table, fresh=fresh, others=others, rowids=rowids, text_bytes=text_bytes)

    def _kept(self, table: ReplicatedTable, length: str) -> list[Row]:
        """Return the rows that were updated or deleted: `_KEPT` columns, then all columns before, then after."""
        before = ", ".join(table.selections_of("b"))
        try:
            return self._query_kept(table, length, f"{before}, {table.selected}")
        except UnreadableTextError:
            return self._kept_damaged(table, length)

    def _query_kept(self, table: ReplicatedTable, length: str, columns: str) -> list[Row]:
        return self._database.query(
            f"SELECT b.id, b._rowid, t.rowid, {length}, {STATE}, {columns}"
            f" FROM temp._bef_{table.name} b LEFT JOIN main.{table.name} t ON t.id = b.id"
            f" LEFT JOIN {table.row_table} r ON r.id = b.id ORDER BY b.id"
        )

    def _kept_damaged(self, table: ReplicatedTable, length: str) -> list[Row]:
        """Read rows of which one held a text that was damaged before: it may be deleted, and an edit of it is refused.

        Raises UnreadableTextError where the transaction itself made such a text.
        """
        columns = ", ".join([table.selected_as_bytes_of(alias) for alias in ("b", "t")])
        cut = _KEPT + len(table.columns)
        kept: list[Row] = []
        for row in self._query_kept(table, length, columns):
            before, after = legible(table, row[_KEPT:cut]), legible(table, row[cut:])
            if any(
                type(now) is bytes and now != was and now != shown.encode()
                for was, now, shown in zip(row[_KEPT:cut], row[cut:], after, strict=True)
                if isinstance(shown, str)
            ):
                raise UnreadableTextError("A text that a statement made is no valid UTF-8; nothing was changed.")
            kept.append((*row[:_KEPT], *before, *after))
        return kept

    def _net(self, table: ReplicatedTable, kept: Sequence[Row], fresh: list[Row], others: list[TouchedRow]) -> None:
        cut = _KEPT + len(table.columns)
        for row in kept:
            generation, stands = row[4], row[2] is not None
            if generation is not None:
                before = row[_KEPT:cut] if generation % 2 == 1 else None
                others.append(TouchedRow(row[0], before, row[cut:] if stands else None, row[4:_KEPT]))
            elif stands:
                # It came into being in this transaction, and was updated or replaced in it.
                fresh.append((row[0], 1, *row[cut:]))

    def _to_reindex(self, table: ReplicatedTable, kept: Sequence[Row]) -> list[int]:
        """Return the rowids of rows that do not stand where they stood, or of which a searched column changed."""
        mark = self.mark_by_table[table.name]
        searched = [_KEPT + table.index_by_column[name] for name in table.declaration.full_text]
        pairs = [(index, index + len(table.columns)) for index in searched]
        rowids: set[int] = set()
        for row in kept:
            first, last = row[1], row[2]
            if first > mark or first != last or any(row[before] != row[after] for before, after in pairs):
                rowids.update((first,) if last is None else (first, last))
        return sorted(rowids)

    def _inserted(self, table: ReplicatedTable, *, untouched: bool, length: str) -> tuple[list[Row], int | None]:
        """Return the rows that came into being and were not touched again, as (id, 1, values), and their `length`.

        None is the length of rows that were announced: what they hold was looked at when they were written.
        """
        mark = self.mark_by_table[table.name]
        announced = self._announced.get(table.name)
        if announced and untouched:
            # Each insert takes the next rowid, so as many above the mark as were announced are just those.
            ((highest,),) = self._database.query(f"SELECT max(rowid) FROM main.{table.name}")
            if highest == mark + len(announced):
                return announced, None
        rows = self._database.query(
            f"SELECT t.id, 1, {table.selected}, {length} FROM main.{table.name} t WHERE t.rowid > ?"
            f" AND NOT EXISTS (SELECT 1 FROM temp._bef_{table.name} b WHERE b.id = t.id)",
            (mark,),
        )
        return [row[:-1] for row in rows], sum(row[-1] for row in rows)

    def _highest_untouched(self, table: ReplicatedTable) -> int:
        """Return the highest rowid of a row that stood before and was not touched: whatever is above it was."""
        rows = self._database.query(
            f"SELECT t.rowid FROM main.{table.name} t JOIN {table.row_table} r ON r.id = t.id"
            f" WHERE t.rowid <= ? AND r.generation % 2 = 1 AND NOT EXISTS"
            f" (SELECT 1 FROM temp._bef_{table.name} b WHERE b.id = t.id) ORDER BY t.rowid DESC LIMIT 1",
            (self.mark_by_table[table.name],),
        )
        return rows[0][0] if rows else 0

    def clear(self, table: ReplicatedTable) -> None:
        """Forget what was recorded of `table`."""
        self._database.change(f"DELETE FROM temp._bef_{table.name}")

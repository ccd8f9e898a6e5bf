"""Joins rows that came from elsewhere with the rows that stand here: set-based where they are new, one by one else."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, groupby, repeat
from types import MappingProxyType
from typing import Any

from crdt.digest import sum_hashes
from crdt.identifiers import RowId, Stamp
from crdt.row import Layout, RowState, join_rows
from crdt.version_vector import VersionVector
from node.errors import ConstraintError
from node.store import full_text
from node.store.bulk_insert import bindable_cells, insert_in_bulk, placeholder, update_in_bulk
from node.store.catalogue import ReplicatedTable
from node.store.change_log import RowsMoved
from node.store.conflict_log import Conflict, find_conflicts, note_conflicts, settle_conflicts
from node.store.database import Database
from node.store.forgetting import Forgetting
from node.store.history import Step
from node.store.plain_edits import PlainEdits
from node.store.row_state import IDS, RowStates, ids_blob, in_context, met, upsert_rows


class Merge:
    """The joining of incoming row states with one store's tables."""

    __slots__ = ("_database", "_forgetting", "_index_text", "_plain_edits", "_states")

    def __init__(
        self,
        database: Database,
        states: RowStates,
        forgetting: Forgetting,
        plain_edits: PlainEdits,
        *,
        index_text: bool,
    ) -> None:
        """Work on `database`; capture is silent while anything here runs."""
        self._database = database
        self._forgetting = forgetting
        self._plain_edits = plain_edits
        self._states = states
        self._index_text = index_text

    def known(self, table: ReplicatedTable, row_ids: Sequence[bytes]) -> Mapping[bytes, int]:
        """Return those of `row_ids` that were ever seen here."""
        return self._states.generations(table, row_ids)

    def insert_new(
        self,
        table: ReplicatedTable,
        rows: Sequence[Sequence[Any]],
        hashes: Sequence[bytes],
        births: Sequence[tuple[int, Stamp]],
    ) -> RowsMoved:
        """Insert rows (id, 1, payloads…) never seen here, of full layout, with their hashes.

        `births` says, in runs, how many of them were born under which stamp. A row that stands all the same has lost
        its row state: it is damaged, and stays as it is.
        """
        self._database.change("SAVEPOINT new_rows")
        try:
            return self._insert_new(table, rows, hashes, births)
        except ConstraintError:
            self._database.change("ROLLBACK TO new_rows")
            standing = self._states.stateless(table, [row[0] for row in rows])
            sound = [position for position, row in enumerate(rows) if row[0] not in standing]
            if len(sound) == len(rows):
                raise
            if not sound:
                return RowsMoved()
            born = list(chain.from_iterable(repeat(stamp, count) for count, stamp in births))
            runs = [(len(list(run)), stamp) for stamp, run in groupby(born[position] for position in sound)]
            return self._insert_new(table, [rows[at] for at in sound], [hashes[at] for at in sound], runs)
        finally:
            self._database.change("RELEASE new_rows")

    def _insert_new(
        self,
        table: ReplicatedTable,
        rows: Sequence[Sequence[Any]],
        hashes: Sequence[bytes],
        births: Sequence[tuple[int, Stamp]],
    ) -> RowsMoved:
        last = self._database.query(f"SELECT ifnull(max(rowid), 0) FROM {table.name}")[0][0]
        row_ids, _, *by_column = zip(*rows, strict=True)
        insert_in_bulk(self._database, table, row_ids, by_column)
        self._states.insert_fresh(table, row_ids, hashes, births)
        if self._index_text:
            full_text.index_after(self._database, table, last)
        return RowsMoved(added=sum_hashes(hashes), rows=len(rows))

    def join(
        self,
        table: ReplicatedTable,
        incoming: Mapping[RowId, RowState],
        *,
        stamp: Stamp | None,
        my_vector: VersionVector,
        their_vector: VersionVector,
    ) -> RowsMoved:
        """Join row states with those that stand here; the vectors say what each side had seen.

        `stamp` is that of the batch which made all of `incoming`, None for a page of rows of many authors. A row that
        is not what its hash says stays as it is: joined, it would be proven by a new hash and spread. The digest then
        differs from that of others, and a copy of theirs, with what arrived, takes its place.
        Raises crdt.errors.MergeError where a state cannot be joined.
        """
        stored_by_id, damaged = self._states.read_proven(table, list(incoming), my_vector)
        merged_by_id: dict[RowId, RowState] = {}
        moved_by_id: dict[RowId, tuple[str, ...]] = {}
        conflicts: list[Conflict] = []
        steps: list[Step] = []
        removed = rows = 0
        for row_id, theirs in incoming.items():
            if row_id in damaged:
                continue
            stored = stored_by_id.get(row_id)
            if stored is None:
                merged_by_id[row_id] = in_context(theirs, my_vector)
                rows += int(theirs.alive)
                continue
            merged = met(in_context(join_rows(stored.row, theirs), my_vector), stamp)
            # Also where what arrived loses outright and the row stays as it is: the loser is kept all the same.
            conflicts += find_conflicts(
                table, row_id, stored.row, theirs, merged, my_vector=my_vector, their_vector=their_vector
            )
            if stamp is not None or merged != stored.row or theirs.generation != merged.generation:
                # What a page brings once more, as pages do after a cut, is no change and has no batch in the log.
                steps.append(Step(row_id, stored.row, theirs, merged))
            if merged == stored.row:
                continue
            merged_by_id[row_id] = merged
            if merged.alive and merged.generation == stored.row.generation and not stored.hidden:
                moved_by_id[row_id] = _moved(table, stored.row, theirs, merged)
            removed += int.from_bytes(stored.hash, "big")
            rows += int(merged.alive) - int(stored.row.alive)
        self.show(table, merged_by_id, moved_by_id)
        self._forgetting.follow(table, stamp, steps)
        settle_conflicts(self._database, table, incoming, merged_by_id, stamp=stamp, vector=their_vector)
        note_conflicts(self._database, table, conflicts)
        hashes = self._states.write(table, merged_by_id)
        return RowsMoved(added=sum_hashes(hashes), removed=removed, rows=rows)

    def replace(self, table: ReplicatedTable, generation_by_id: Mapping[bytes, int], stamp: Stamp) -> None:
        """Note rows, one of them born by `stamp`, that came for copies that were damaged and taken out."""
        self._forgetting.replace(table, generation_by_id, stamp)

    def edit(
        self,
        table: ReplicatedTable,
        layout: Layout,
        rows: Sequence[Sequence[Any]],
        stamp: Stamp,
        their_vector: VersionVector,
    ) -> tuple[RowsMoved, list[Sequence[Any]]]:
        """Join changes (id, generation, payloads of `layout`) that are plain edits; return those that are not, too."""
        edits, others = self._plain_edits.join(table, layout, rows, stamp, their_vector)
        if not edits:
            return RowsMoved(), others
        searched = set(table.declaration.full_text)
        reread = [edit.row.row_id for edit in edits if not searched.isdisjoint(edit.differences)]
        if self._index_text and reread:
            full_text.unindex(self._database, table, reread)
        rows_by_columns: dict[tuple[str, ...], list[tuple[object, ...]]] = {}
        for edit in edits:
            if edit.differences:
                values = (new for _, new in edit.differences.values())
                rows_by_columns.setdefault(tuple(edit.differences), []).append((edit.row.row_id, *values))
        for columns, moved in rows_by_columns.items():
            update_in_bulk(self._database, table, columns, moved)
        if self._index_text and reread:
            full_text.index(self._database, table, reread)
        return self._plain_edits.write(table, edits, stamp), others

    def show(
        self,
        table: ReplicatedTable,
        states: Mapping[RowId, RowState],
        moved_by_id: Mapping[RowId, Sequence[str]] = MappingProxyType({}),
    ) -> None:
        """Bring the table and its full text in step with merged states.

        `moved_by_id` names, of rows that stand in the table as their states say, the columns that show another value
        from now on: only those are written, and an index or the full text only where its columns are among them.
        """
        searched = set(table.declaration.full_text)
        reread = [
            row_id for row_id in states if row_id not in moved_by_id or not searched.isdisjoint(moved_by_id[row_id])
        ]
        if self._index_text and reread:
            full_text.unindex(self._database, table, reread)
        dead = [row_id for row_id, state in states.items() if not state.alive]
        if dead:
            self._database.change(
                f"DELETE FROM {table.name} WHERE id IN (SELECT k FROM {IDS})", (ids_blob(dead), len(dead))
            )
        whole = [row_id for row_id, state in states.items() if state.alive and row_id not in moved_by_id]
        self._upsert(table, [(row_id, *_values(table, states[row_id], table.column_names)) for row_id in whole])
        rows_by_columns: dict[Sequence[str], list[RowId]] = {}
        for row_id, columns in moved_by_id.items():
            rows_by_columns.setdefault(columns, []).append(row_id)
        for columns, row_ids in rows_by_columns.items():
            if columns:
                rows = [(row_id, *_values(table, states[row_id], columns)) for row_id in row_ids]
                update_in_bulk(self._database, table, columns, rows)
        again = [row_id for row_id in reread if states[row_id].alive]
        if self._index_text and again:
            full_text.index(self._database, table, again)

    def _upsert(self, table: ReplicatedTable, rows: Sequence[Sequence[Any]]) -> None:
        if not rows:
            return
        ids, *by_column = zip(*rows, strict=True)
        values = [ids, *(bindable_cells(column, cells) for column, cells in zip(table.columns, by_column, strict=True))]
        marks = f"({', '.join(['?', *(placeholder(column) for column in table.columns)])})"
        upsert_rows(self._database, table.name, ("id", *table.column_names), list(zip(*values, strict=True)), marks)


def _moved(table: ReplicatedTable, before: RowState, written: RowState, after: RowState) -> tuple[str, ...]:
    """Return the columns of a living row that show another value than before, in order of name."""
    moved: list[str] = []
    for name in written.cell_by_column:
        old, new = before.cell_by_column.get(name), after.cell_by_column[name]
        if old is not new and name in table.strategy_by_column:
            value = table.strategy_by_column[name].value
            if old is None or value(old) != value(new):
                moved.append(name)
    return tuple(sorted(moved))


def _values(table: ReplicatedTable, state: RowState, columns: Sequence[str]) -> Iterable[object]:
    for name in columns:
        cell = state.cell_by_column.get(name)
        shown = cell is not None and table.can_hold(name, state.code_by_column[name], cell)
        yield table.strategy_by_column[name].value(cell) if cell is not None and shown else None

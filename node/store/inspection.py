"""Looks into a store beyond its tables, for readers of conflicts and history; changes nothing."""

from collections.abc import Sequence

from crdt.identifiers import RowId, Stamp, make_stamp
from crdt.row import RowState
from node.store.conflict_log import KeptConflict, read_conflicts
from node.store.references import rows_to_go
from node.store.row_state import IDS, StoredRow, ids_blob
from node.store.row_version import read_version, rebased, version_of
from node.store.store_parts import StoreParts


class Inspection:
    """The inner state of one store, to be read."""

    __slots__ = ("_parts",)

    def __init__(self, parts: StoreParts) -> None:
        """Read from an open store's parts."""
        self._parts = parts

    def kept_conflicts(self, condition: str, parameters: Sequence[object] = ()) -> list[KeptConflict]:
        """Return the losing versions `c` of `_conflict` for which an SQL condition holds, of columns declared here."""
        declared = self._parts.catalogue.table_by_name
        return [
            kept
            for kept in read_conflicts(self._parts.database, condition, parameters)
            if kept.table in declared and kept.column in declared[kept.table].column_names
        ]

    def row_state(self, table: str, row_id: bytes) -> RowState | None:
        """Return a row's state, alive or dead, None for a row that was never seen."""
        stored = self._stored(table, row_id)
        return None if stored is None else stored.row

    def version(self, table: str, row_id: bytes) -> str | None:
        """Return the version of a row that stands, as `edit` takes it; None where none does."""
        stored = self._stored(table, row_id)
        return version_of(stored) if stored is not None and stored.row.alive else None

    def rebased(self, table: str, row_id: bytes, column: str, version: str, new_value: str) -> str | None:
        """Return what an edit of a text, taken at `version`, leaves of the text as it stands; None for no such row.

        Raises UsageError for what is no version, ConstraintError for one that the edit cannot be taken at.
        """
        seen = read_version(version)
        stored = self._stored(table, row_id)
        return rebased(stored, column, seen, new_value) if stored is not None and stored.row.alive else None

    def _stored(self, table: str, row_id: bytes) -> StoredRow | None:
        replicated = self._parts.catalogue.table_by_name[table]
        vector = self._parts.log.view().stream(replicated.stream).frontier.vector()
        return self._parts.states.read(replicated, [row_id], vector).get(row_id)

    def newest_rows(self, table: str, limit: int) -> list[tuple[RowId, Stamp]]:
        """Return the rows that came to a table last and stand, newest first, and the stamps of their births."""
        row_table = self._parts.catalogue.table_by_name[table].row_table
        rows = self._parts.database.query(
            f"SELECT t.id, r.hlc, r.origin, r.seq FROM {table} t JOIN {row_table} r ON r.id = t.id"
            " ORDER BY t.rowid DESC LIMIT ?",
            (limit,),
        )
        number = self._parts.origins.origin
        return [
            (RowId(row_id), make_stamp(int.from_bytes(hlc, "big"), number(origin), seq))
            for row_id, hlc, origin, seq in rows
        ]

    def rehearse_delete(self, table: str, row_id: bytes) -> dict[str, list[RowId]]:
        """Return the rows by table that would go if this row were deleted; nothing is changed."""
        parts = self._parts
        parts.database.begin()
        try:
            parts.capture.begin()
            parts.database.change(f"DELETE FROM {parts.catalogue.table_by_name[table].name} WHERE id = ?", (row_id,))
            return rows_to_go(parts.database, parts.catalogue, parts.capture)
        finally:
            parts.database.rollback()

    def traces(self, row_ids: Sequence[bytes]) -> tuple[int, int]:
        """Return how many remembered changes and losing versions rows have."""
        kept = read_conflicts(
            self._parts.database, f"c.row_id IN (SELECT k FROM {IDS})", (ids_blob(row_ids), len(row_ids))
        )
        return self._parts.history.count(row_ids), len(kept)

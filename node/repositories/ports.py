"""The port through which repositories, search, importers and exporters reach the store."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from crdt.identifiers import RowId

SqlValue = None | int | float | str | bytes
SqlRow = tuple[SqlValue, ...]


class WriteResult(Protocol):
    """What a statement returned."""

    @property
    def rows(self) -> Sequence[SqlRow]:
        """The rows that the statement returned."""

    @property
    def changes(self) -> int:
        """How many rows it wrote."""


class WriteTransaction(Protocol):
    """One transaction: what it writes becomes a signed batch at its end, or nothing of it remains."""

    def execute(self, sql: str, parameters: Sequence[SqlValue] = (), /) -> WriteResult:
        """Run one statement; raises StorageError."""

    def require_whole(self, table: str, row_id: RowId, /) -> None:
        """Raise DamagedRowError where a row that this transaction did not write is not what its hash says."""

    def insert_rows(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[SqlValue]], /) -> None:
        """Insert many rows of the same columns, None for a column's default; raises StorageError."""


class Database(Protocol):
    """The part of the store that speaks SQL."""

    def transaction(self) -> AbstractContextManager[WriteTransaction]:
        """Open a transaction that commits at the end of the block and rolls back on an exception."""

    def query(self, sql: str, parameters: Sequence[SqlValue] = (), /) -> Sequence[SqlRow]:
        """Run one reading statement; raises StorageError."""

    def require_whole(self, table: str, row_ids: Sequence[RowId], /) -> None:
        """Raise DamagedRowError where a row is not what its hash says."""

    def note_listed(self, table: str, row_ids: Sequence[RowId], /) -> None:
        """Have rows that were handed out verified when there is time."""

    def new_row_id(self) -> RowId:
        """Return a fresh time-ordered id."""

    def earliest_named(self, table: str, /, *name: SqlValue) -> RowId | None:
        """Return the row of this name, of several that were made apart the one made first, None if there is none."""

    def is_forgotten(self, table: str, row_ids: Sequence[RowId], /) -> set[RowId]:
        """Return those of `row_ids` whose row was deleted on some device."""

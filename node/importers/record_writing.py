"""Writes records as they are read, adding what is new and leaving alone what is known or was forgotten.

Every record stands for itself, so an import that was interrupted is completed by importing again: what is there is
looked up by its id and costs no write.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from crdt.identifiers import RowId
from node.importers.fresh_rows import FreshRows, fresh_rows
from node.importers.plan import Continuation, ImportedRecord, ImportedRow, RowKey
from node.importers.transactions import insert_statements, parts_of
from node.repositories.ports import Database, WriteTransaction
from node.repositories.values import object_from_json
from node.store.schema import Component


class RecordWriter:
    """One import into a store. In a rehearsal everything is looked up and counted, and nothing is written."""

    def __init__(self, database: Database, components: Sequence[Component], *, rehearsal: bool = False) -> None:
        self._database = database
        self._tables = {table.name: table for component in components for table in component.tables}
        self._rehearsal = rehearsal
        self._rehearsed: set[RowKey] = set()
        self.added_by_table: Counter[str] = Counter()
        self.unchanged = 0
        self.skipped = 0

    @property
    def rows_done(self) -> int:
        """How many rows have been looked at."""
        return self.added_by_table.total() + self.unchanged + self.skipped

    def write(self, records: Sequence[ImportedRecord]) -> None:
        """Write some records in bounded transactions; raises StorageError.

        Other work may be done between two calls, and peers may bring or forget rows of the same file.
        """
        # No record refers to another's rows.
        self._rehearsed.clear()
        row_by_key: dict[RowKey, ImportedRow] = {}
        for record in records:
            for row in record.rows:
                # The same record twice in one file is one record.
                self.unchanged += int((row.table, row.id) in row_by_key)
                row_by_key.setdefault((row.table, row.id), row)
        continuations = {
            record.continuation.conversation_id: record.continuation
            for record in records
            if record.continuation is not None
        }
        for part in parts_of(list(row_by_key.values())):
            self.write_part(part, continuations)

    def write_part(
        self, part: Sequence[ImportedRow], continuations: Mapping[RowId, Continuation] = MappingProxyType({})
    ) -> Sequence[ImportedRow]:
        """Write rows with ids that differ in one transaction and return those that were added; raises StorageError."""
        fresh = fresh_rows(self._database, self._tables, part, as_if_there=self._rehearsed)
        self.unchanged += len(fresh.known)
        self.skipped += fresh.skipped
        self.added_by_table.update(row.table for row in fresh.rows)
        if self._rehearsal:
            self._rehearsed.update((row.table, row.id) for row in fresh.rows)
        elif fresh.rows:
            self._add(fresh, continuations)
        return fresh.rows

    def _add(self, fresh: FreshRows, continuations: Mapping[RowId, Continuation]) -> None:
        new_conversations = {row.id for row in fresh.rows if row.table == "conversations"}
        continued = {row.cells["conversation_id"] for row in fresh.rows if row.table == "messages"}
        with self._database.transaction() as transaction:
            for table, columns, rows in insert_statements(fresh.rows):
                transaction.insert_rows(table, columns, rows)
            for conversation_id, continuation in continuations.items():
                if conversation_id in continued and conversation_id not in new_conversations:
                    _continue(transaction, continuation)


def _continue(transaction: WriteTransaction, continuation: Continuation) -> None:
    """Move a conversation's instant and its current branch on; what the person changed in it stays."""
    row_id = continuation.conversation_id
    found = transaction.execute("SELECT metadata FROM conversations WHERE id = ?", (row_id,)).rows
    if not found:
        return
    # What the row holds is signed again with the change.
    transaction.require_whole("conversations", row_id)
    if continuation.updated_at is not None:
        transaction.execute(
            "UPDATE conversations SET updated_at = ? WHERE id = ? AND coalesce(updated_at, '') < ?",
            (continuation.updated_at, row_id, continuation.updated_at),
        )
    current = continuation.current_message
    if current is not None and object_from_json(found[0][0]).get("current_message") != current:
        transaction.execute(
            "UPDATE conversations SET metadata = json_set(metadata, '$.current_message', ?) WHERE id = ?",
            (current, row_id),
        )

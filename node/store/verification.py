"""Verifies rows that are read: what a person is shown, and what is edited, is what was written and merged.

A row read by itself is verified before it is handed out. The rows of a list are verified afterwards, when there is
time: a list must not wait for it, nor fail because of one row.
"""

import logging
from collections import deque
from collections.abc import Mapping, Sequence

from crdt.identifiers import RowId
from crdt.row import RowState, hash_row, prove_row
from crdt.strategies import text
from crdt.strategies.text import Text
from node.errors import StorageError
from node.store.catalogue import Catalogue, ReplicatedTable
from node.store.cells_at_rest import damaged_row
from node.store.change_log import ChangeLog
from node.store.database import Database
from node.store.row_state import RowStates

logger = logging.getLogger(__name__)

# Older ones are left to the scrub.
_LISTED_MAX = 10_000


def has_whole_texts(row: RowState) -> bool:
    """Tell whether what is kept of a row's edited texts is what their changes make."""
    return all(text.is_whole(cell) for cell in row.cell_by_column.values() if isinstance(cell, Text))


class Verification:
    """The verification of one store's rows."""

    __slots__ = ("_catalogue", "_database", "_listed", "_log", "_states")

    def __init__(self, database: Database, catalogue: Catalogue, states: RowStates, log: ChangeLog) -> None:
        """Verify committed rows."""
        self._database = database
        self._catalogue = catalogue
        self._states = states
        self._log = log
        self._listed: deque[tuple[str, bytes]] = deque(maxlen=_LISTED_MAX)

    def require_whole(self, table: str, row_ids: Sequence[bytes]) -> None:
        """Raise DamagedRowError where a row that stands is not what its hash says."""
        for row_id in self.damaged(table, row_ids):
            raise damaged_row(row_id)

    def damaged(self, table: str, row_ids: Sequence[bytes], *, texts: bool = False) -> list[bytes]:
        """Return those of `row_ids` that stand in `table` and are not what their hashes say.

        What is shown of an edited text is in its row's hash; `texts` asks as well for what is kept beside it.
        """
        held = self._catalogue.held_table(table)
        vector = self._log.view().stream(held.stream).frontier.vector()
        try:
            stored = self._states.read(held, row_ids, vector)
        except StorageError:
            if len(row_ids) == 1:
                return list(row_ids)
            return [row_id for one in row_ids for row_id in self.damaged(table, [one], texts=texts)]
        found = [
            row_id
            for row_id, state in stored.items()
            if hash_row(table, prove_row(RowId(row_id), state.row)) != state.hash
            or (texts and not has_whole_texts(state.row))
        ]
        return found + [row_id for row_id in row_ids if row_id not in stored and self._stands(held, row_id)]

    def damaged_by_table(self, row_ids_by_table: Mapping[str, Sequence[bytes]]) -> dict[str, list[bytes]]:
        """Return, by table, those rows held here that are not what their hashes say.

        Also those of which only what is kept beside an edited text is damaged: nothing can be joined with them.
        """
        found = {
            table: self.damaged(table, row_ids, texts=True)
            for table, row_ids in row_ids_by_table.items()
            if self._catalogue.find(table) is not None
        }
        return {table: row_ids for table, row_ids in found.items() if row_ids}

    def note_listed(self, table: str, row_ids: Sequence[bytes]) -> None:
        """Remember that rows were handed out, to be verified by and by."""
        self._listed.extend((table, row_id) for row_id in row_ids)

    def verify_listed(self, rows_max: int) -> int:
        """Verify at most `rows_max` rows that were handed out and return how many of them are damaged."""
        row_ids_by_table: dict[str, list[bytes]] = {}
        for _ in range(min(rows_max, len(self._listed))):
            table, row_id = self._listed.popleft()
            row_ids_by_table.setdefault(table, []).append(row_id)
        count = 0
        for table, row_ids in row_ids_by_table.items():
            try:
                count += len(self.damaged(table, row_ids))
            except StorageError as error:
                logger.warning("rows that were listed cannot be read again", extra={"reason": str(error)})
                count += 1
        return count

    def _stands(self, table: ReplicatedTable, row_id: bytes) -> bool:
        return bool(self._database.query(f"SELECT 1 FROM main.{table.name} WHERE id = ?", (row_id,)))

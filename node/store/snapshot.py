"""Reads a stream's row states page by page, tombstones included, newest first, for a peer that lacks the batches."""

from collections.abc import Mapping
from dataclasses import dataclass

from crdt.identifiers import ROW_ID_BYTES
from crdt.row import Layout
from crdt.version_vector import VersionVector
from node.store.catalogue import Catalogue, ReplicatedTable
from node.store.database import Database, Row
from node.store.row_spelling import PageDraft, RowSpelling, row_id_of, rows_to_spell
from sync.snapshot import PageSection, RowKey
from sync.streams import Stream

# Enough to learn how large the rows of a table are; what does not fit a page is read again for the next.
_ROWS_FIRST_READ = 256
_ROWS_PER_READ = 2_000
# Above every row id.
_AFTER_ALL_IDS = b"\xff" * (ROW_ID_BYTES + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsignedPage:
    """Rows of one page before it is signed, and its last row where more follow (None: it is the last page)."""

    sections: Mapping[tuple[str, Layout], PageSection]
    next_cursor: RowKey | None


class SnapshotReader:
    """Walks the row states of a stream: tables in order of name, the rows of each in descending order of id."""

    __slots__ = ("_catalogue", "_database", "_spelling")

    def __init__(self, database: Database, catalogue: Catalogue, spelling: RowSpelling) -> None:
        """Read from `database`."""
        self._database = database
        self._catalogue = catalogue
        self._spelling = spelling

    def read(self, stream: Stream, vector: VersionVector, cursor: RowKey, bytes_max: int) -> UnsignedPage:
        """Return at most `bytes_max` bytes of rows, at least one row, of those that follow `cursor`."""
        draft = PageDraft(bytes_max)
        count = 0
        reached = cursor
        for table in self._tables(stream, cursor.table):
            last = cursor.row_id if table.name == cursor.table else _AFTER_ALL_IDS
            limit = _ROWS_FIRST_READ
            while chunk := self._chunk(table, last, limit):
                for run in self._spelling.spell(table, chunk, vector):
                    taken = draft.add(table.name, run)
                    count += taken
                    if taken:
                        reached = RowKey(table.name, run.row_ids[taken - 1])
                    if taken < len(run.row_ids):
                        return UnsignedPage(sections=draft.sections(), next_cursor=reached)
                last = row_id_of(chunk[-1])
                if len(chunk) < limit:
                    break
                left, gathered = draft.left_bytes(), bytes_max - draft.left_bytes()
                limit = max(1, min(_ROWS_PER_READ, left * count // max(1, gathered) + 1))
        return UnsignedPage(sections=draft.sections(), next_cursor=None)

    def _tables(self, stream: Stream, first: str) -> list[ReplicatedTable]:
        tables = (table for table in self._catalogue.held_tables if table.stream == stream and table.name >= first)
        return sorted(tables, key=lambda table: table.name)

    def _chunk(self, table: ReplicatedTable, last: bytes, limit: int) -> list[Row]:
        return rows_to_spell(self._database, table, f"r.id < ? ORDER BY r.id DESC LIMIT {limit}", (last,))

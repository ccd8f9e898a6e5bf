"""Reads a stream's row states page by page, tombstones included, newest first, for a peer that lacks the batches."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from crdt.identifiers import ROW_ID_BYTES, STAMP_BYTES, RowId, Stamp, make_stamp
from crdt.row import Layout, spell_row
from crdt.version_vector import VersionVector
from node.store.catalogue import Catalogue, ReplicatedTable
from node.store.database import Database, Row
from node.store.origins import Origins
from node.store.row_state import RowStates
from sync.snapshot import PageRow, RowKey
from sync.streams import Stream

_encode = msgspec.msgpack.Encoder().encode

# Enough to learn how large the rows of a table are; what does not fit a page is read again for the next.
_ROWS_FIRST_READ = 256
_ROWS_PER_READ = 2_000
# The stamp `born`, the layout's index and the headers of the arrays.
_ROW_OVERHEAD_BYTES = 80
# Above every row id.
_AFTER_ALL_IDS = b"\xff" * (ROW_ID_BYTES + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageDraft:
    """Rows of one page before it is signed, and its last row where more follow (None: it is the last page)."""

    layouts: tuple[tuple[str, Layout], ...]
    rows: list[PageRow]
    next_cursor: RowKey | None


class SnapshotReader:
    """Walks the row states of a stream: tables in order of name, the rows of each in descending order of id."""

    __slots__ = ("_catalogue", "_database", "_origins", "_states")

    def __init__(self, database: Database, catalogue: Catalogue, states: RowStates, origins: Origins) -> None:
        """Read from `database`."""
        self._database = database
        self._catalogue = catalogue
        self._states = states
        self._origins = origins

    def read(self, stream: Stream, vector: VersionVector, cursor: RowKey, bytes_max: int) -> PageDraft:
        """Return at most `bytes_max` bytes of rows, at least one row, of those that follow `cursor`."""
        layouts: dict[tuple[str, Layout], int] = {}
        rows: list[PageRow] = []
        size = 0
        reached = cursor
        for table in self._tables(stream, cursor.table):
            last = cursor.row_id if table.name == cursor.table else _AFTER_ALL_IDS
            limit = _ROWS_FIRST_READ
            while chunk := self._chunk(table, last, limit):
                for row_id, layout, page_row in self._spelled(table, chunk, vector):
                    length = len(page_row[1]) + _ROW_OVERHEAD_BYTES + STAMP_BYTES * len(page_row[2])
                    if rows and size + length > bytes_max:
                        return PageDraft(layouts=tuple(layouts), rows=rows, next_cursor=reached)
                    index = layouts.setdefault((table.name, layout), len(layouts))
                    rows.append((index, *page_row))
                    size += length
                    last = row_id
                    reached = RowKey(table.name, row_id)
                if len(chunk) < limit:
                    break
                limit = max(1, min(_ROWS_PER_READ, (bytes_max - size) * len(rows) // max(1, size) + 1))
        return PageDraft(layouts=tuple(layouts), rows=rows, next_cursor=None)

    def _spelled(
        self, table: ReplicatedTable, chunk: Sequence[Row], vector: VersionVector
    ) -> Iterable[tuple[bytes, Layout, tuple[Stamp, bytes, tuple[tuple[int, bytes], ...]]]]:
        """Yield (id, layout, (born, body, ((column index, stamp), …))) of each row."""
        layout, born_by_change = table.layout, dict[tuple[bytes, int, int], Stamp]()
        for row in chunk:
            here, row_id, generation, hlc, origin, seq, cells = row[:7]
            if cells is None and generation == 1 and here:
                # Born by one change and never touched again: the values in the table are the payloads.
                born = born_by_change.get((hlc, origin, seq))
                if born is None:
                    born = make_stamp(int.from_bytes(hlc, "big"), self._origins.origin(origin), seq)
                    born_by_change[hlc, origin, seq] = born
                yield row_id, layout, (born, _encode((row_id, 1, *row[8:])), ())
                continue
            spelled = spell_row(RowId(row_id), self._states.from_row(table, row[1:], vector).row)
            stamps = tuple(sorted(spelled.stamp_by_index.items()))
            yield row_id, spelled.layout, (spelled.born, spelled.body, stamps)

    def _tables(self, stream: Stream, first: str) -> list[ReplicatedTable]:
        tables = (table for table in self._catalogue.held_tables if table.stream == stream and table.name >= first)
        return sorted(tables, key=lambda table: table.name)

    def _chunk(self, table: ReplicatedTable, last: bytes, limit: int) -> list[Row]:
        return self._database.query(
            f"SELECT t.id IS NOT NULL, r.id, r.generation, r.hlc, r.origin, r.seq, r.cells, r.hash, {table.selected}"
            f" FROM {table.row_table} r LEFT JOIN main.{table.name} t ON t.id = r.id WHERE r.id < ?"
            f" ORDER BY r.id DESC LIMIT {limit}",
            (last,),
        )

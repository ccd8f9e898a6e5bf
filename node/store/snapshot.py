"""Reads a stream's row states page by page, tombstones included, for a peer that lacks the batches."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from crdt.identifiers import STAMP_BYTES, RowId
from crdt.row import Layout, spell_row
from crdt.version_vector import VersionVector
from node.store.catalogue import Catalogue, ReplicatedTable
from node.store.database import Database, Row
from node.store.row_state import RowStates
from sync.snapshot import PageRow
from sync.streams import Stream

_decode_cursor = msgspec.msgpack.Decoder(tuple[int, bytes]).decode
_encode = msgspec.msgpack.Encoder().encode

START = _encode((0, b""))
_ROWS_PER_READ = 1000
# The stamp `born`, the layout's index and the headers of the arrays.
_ROW_OVERHEAD_BYTES = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class PageDraft:
    """Rows of one page before it is signed, and where the next one begins (None after the last)."""

    layouts: tuple[tuple[str, Layout], ...]
    rows: list[PageRow]
    next_cursor: bytes | None


class SnapshotReader:
    """Walks the row states of a stream's tables in order of id."""

    __slots__ = ("_catalogue", "_database", "_states")

    def __init__(self, database: Database, catalogue: Catalogue, states: RowStates) -> None:
        """Read from `database`."""
        self._database = database
        self._catalogue = catalogue
        self._states = states

    def count(self, stream: Stream) -> int:
        """Return how many row states, alive or dead, the stream holds."""
        return sum(
            self._database.query(f"SELECT count(*) FROM {table.row_table}")[0][0] for table in self._tables(stream)
        )

    def read(self, stream: Stream, vector: VersionVector, cursor: bytes, bytes_max: int) -> PageDraft:
        """Return at most `bytes_max` bytes of rows, at least one row, from `cursor` on (START for the first page)."""
        table_index, last = _decode_cursor(cursor)
        tables = self._tables(stream)
        layouts: dict[tuple[str, Layout], int] = {}
        rows: list[PageRow] = []
        size = 0
        while table_index < len(tables):
            table = tables[table_index]
            chunk = self._chunk(table, last)
            for row in chunk:
                state = self._states.from_row(table, row, vector).row
                spelled = spell_row(RowId(row[0]), state)
                length = len(spelled.body) + _ROW_OVERHEAD_BYTES + STAMP_BYTES * len(spelled.stamp_by_index)
                if rows and size + length > bytes_max:
                    return PageDraft(layouts=tuple(layouts), rows=rows, next_cursor=_encode((table_index, last)))
                index = layouts.setdefault((table.name, spelled.layout), len(layouts))
                rows.append((index, spelled.born, spelled.body, tuple(sorted(spelled.stamp_by_index.items()))))
                size += length
                last = row[0]
            if len(chunk) < _ROWS_PER_READ:
                table_index, last = table_index + 1, b""
        return PageDraft(layouts=tuple(layouts), rows=rows, next_cursor=None)

    def _tables(self, stream: Stream) -> Sequence[ReplicatedTable]:
        return [table for table in self._catalogue.tables if table.stream == stream]

    def _chunk(self, table: ReplicatedTable, last: bytes) -> list[Row]:
        return self._database.query(
            f"SELECT r.id, r.generation, r.hlc, r.origin, r.seq, r.cells, r.hash, {table.selected}"
            f" FROM {table.row_table} r LEFT JOIN main.{table.name} t ON t.id = r.id WHERE r.id > ?"
            f" ORDER BY r.id LIMIT {_ROWS_PER_READ}",
            (last,),
        )

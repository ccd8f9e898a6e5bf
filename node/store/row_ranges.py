"""Sums up, cuts and reads ranges of a stream's rows, for two replicas that differ to find out where."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from crdt.digest import EMPTY_DIGEST, move_digest
from crdt.identifiers import ROW_ID_BYTES
from crdt.row import Layout
from crdt.version_vector import VersionVector
from node.store.catalogue import Catalogue, ReplicatedTable
from node.store.database import Database, Row
from node.store.row_spelling import PageDraft, RowSpelling, row_id_of, rows_to_spell
from sync.row_ranges import FAN_OUT, RangeSum, RowRange
from sync.snapshot import START, PageSection, RowKey
from sync.streams import Stream

_ROWS_PER_READ = 5_000
_ROWS_PER_PAGE_READ = 200
_AFTER_ALL_IDS = b"\xff" * (ROW_ID_BYTES + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairDraft:
    """Rows of one page before it is signed, and the ranges that are left for the next."""

    sections: Mapping[tuple[str, Layout], PageSection]
    rest: tuple[RowRange, ...]


class RowRanges:
    """The ranges of one store's rows."""

    __slots__ = ("_catalogue", "_database", "_spelling")

    def __init__(self, database: Database, catalogue: Catalogue, spelling: RowSpelling) -> None:
        """Read committed rows."""
        self._database = database
        self._catalogue = catalogue
        self._spelling = spelling

    def sums(self, stream: Stream, ranges: Sequence[RowRange]) -> list[RangeSum]:
        """Return what is held in each range."""
        return [self._sum(hashes for _, hashes in self._hashes(stream, one)) for one in ranges]

    def split(self, stream: Stream, ranges: Sequence[RowRange]) -> list[tuple[RowRange, RangeSum]]:
        """Cut each range into at most FAN_OUT of about equal number and return them with what is held in each."""
        return [part for one in ranges for part in self._split(stream, one)]

    def _split(self, stream: Stream, whole: RowRange) -> Iterator[tuple[RowRange, RangeSum]]:
        count = sum(self._count(table, first, end) for table, first, end in self._tables(stream, whole))
        per_part = -(-count // FAN_OUT) or 1
        first, hashes = whole.first, list[bytes]()
        for key, row_hash in self._hashes(stream, whole):
            if len(hashes) == per_part:
                yield RowRange(first, key), self._sum(hashes)
                first, hashes = key, []
            hashes.append(row_hash)
        yield RowRange(first, whole.end), self._sum(hashes)

    def read(self, stream: Stream, ranges: Sequence[RowRange], vector: VersionVector, bytes_max: int) -> RepairDraft:
        """Return rows of the ranges, about `bytes_max` bytes and at least one row, none that fails its own hash."""
        draft = PageDraft(bytes_max)
        for position, whole in enumerate(ranges):
            for table, first, end in self._tables(stream, whole):
                chunks = self._chunks(table, first, end)
                for run in chain.from_iterable(self._spelling.spell(table, chunk, vector) for chunk in chunks):
                    taken = draft.add(table.name, run)
                    if taken < len(run.row_ids):
                        left = RowRange(RowKey(table.name, run.row_ids[taken]), whole.end)
                        return RepairDraft(sections=draft.sections(), rest=(left, *ranges[position + 1 :]))
        return RepairDraft(sections=draft.sections(), rest=())

    def _tables(self, stream: Stream, whole: RowRange) -> Iterator[tuple[ReplicatedTable, bytes, bytes]]:
        """Yield each table that the range touches with the ids from which on and below which its rows are in it."""
        for table in sorted(self._catalogue.held_tables, key=lambda table: table.name):
            past = whole.end != START and table.name > whole.end.table
            if table.stream == stream and table.name >= whole.first.table and not past:
                first = whole.first.row_id if table.name == whole.first.table else b""
                yield table, first, whole.end.row_id if table.name == whole.end.table else _AFTER_ALL_IDS

    def _count(self, table: ReplicatedTable, first: bytes, end: bytes) -> int:
        where = f"SELECT count(*) FROM {table.row_table} WHERE id >= ? AND id < ?"
        count: int = self._database.query(where, (first, end))[0][0]
        return count

    def _hashes(self, stream: Stream, whole: RowRange) -> Iterator[tuple[RowKey, bytes]]:
        for table, first, end in self._tables(stream, whole):
            while chunk := self._database.query(
                f"SELECT id, hash FROM {table.row_table} WHERE id >= ? AND id < ? ORDER BY id LIMIT {_ROWS_PER_READ}",
                (first, end),
            ):
                for row_id, row_hash in chunk:
                    yield RowKey(table.name, row_id), row_hash
                first = chunk[-1][0] + b"\0"

    def _chunks(self, table: ReplicatedTable, first: bytes, end: bytes) -> Iterator[list[Row]]:
        where = f"r.id >= ? AND r.id < ? ORDER BY r.id LIMIT {_ROWS_PER_PAGE_READ}"
        while chunk := rows_to_spell(self._database, table, where, (first, end)):
            yield chunk
            first = row_id_of(chunk[-1]) + b"\0"

    @staticmethod
    def _sum(hashes: "Sequence[bytes] | Iterator[bytes]") -> RangeSum:
        total = count = 0
        for row_hash in hashes:
            total += int.from_bytes(row_hash, "big")
            count += 1
        return RangeSum(move_digest(EMPTY_DIGEST, added=total, removed=0), count)

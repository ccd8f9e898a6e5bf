"""Keeps what changes did to rows: who changed which columns, when, from what to what.

An insert is not copied here: its stamp is in the row state and its values are in the row. Every other change of a
living row leaves an entry, also one that changed nothing because it lost: the entries are how a later forget finds
each batch in the log that holds words of the row. What an entry says (old and new values) is kept for 90 days; its
stamp stays for as long as the row lives.

Rows are edited in random order, so an index by row would cost every edit a page of its own once it is large. Here each
block of 8,192 entries has an index by itself: a write touches some pages of the last one, and a reader seeks in
every block, 122 seeks for each million entries.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
import zstandard

from crdt.identifiers import RowId, Stamp, make_stamp, stamp_hlc, stamp_origin, stamp_seq
from crdt.row import RowState
from crdt.strategies import strategy_of
from crdt.strategies.register import Register
from node.clock import Clock
from node.store.catalogue import ReplicatedTable
from node.store.database import Database, Row
from node.store.origins import Origins
from node.store.row_state import IDS, ids_blob

DAYS_KEPT = 90
BLOCK_BITS = 13
_SECONDS_KEPT = DAYS_KEPT * 24 * 3600
# Below this a zstd frame is hardly shorter than what it packs.
_COMPRESS_BYTES_MIN = 4096
_PLAIN, _ZSTD = b"\0", b"\1"
# The number of an entry that stands for batches of which nobody knows; real ones count from 1.
_NO_BATCH = 0

_encode = msgspec.msgpack.Encoder().encode
_encode_json = msgspec.json.Encoder().encode
_decode = msgspec.msgpack.Decoder(dict[str, tuple[object, object]]).decode
_compressor = zstandard.ZstdCompressor(level=1)
_decompressor = zstandard.ZstdDecompressor()

_BLOCKS = (
    f"generate_series((SELECT min(number) >> {BLOCK_BITS} FROM _history),"
    f" (SELECT max(number) >> {BLOCK_BITS} FROM _history)) b"
)
#: Yields the entries `h` of the rows `k` that `row_state.IDS` names: half a microsecond a row and block.
FROM_ENTRIES = (
    f"FROM {_BLOCKS} CROSS JOIN {IDS} CROSS JOIN _history h INDEXED BY _history_by_row"
    f" ON h.number >> {BLOCK_BITS} = b.value AND h.row_id = k"
)

#: For each column that shows something else than before: (old value, new value).
Differences = Mapping[str, tuple[object, object]]


class Step(NamedTuple):
    """A change meeting a row that was known: as it stood, what was written, and what came of both."""

    row_id: RowId
    before: RowState
    written: RowState
    after: RowState


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """One change of one row; `differences` is None where nothing is said of it any more, or never was.

    An even `generation` is the row's end. `number` grows with each entry of this store.
    """

    number: int
    table: str
    row_id: RowId
    generation: int
    stamp: Stamp
    differences: Differences | None


class History:
    """The history of one store's rows."""

    __slots__ = ("_clock", "_database", "_origins")

    def __init__(self, database: Database, origins: Origins, clock: Clock) -> None:
        """Write into `database`; entries age by `clock`."""
        self._database = database
        self._origins = origins
        self._clock = clock

    def note(self, table: ReplicatedTable, stamp: Stamp | None, steps: Iterable[Step]) -> None:
        """Write down what one change each did to living rows; `stamp` is None where it came by a snapshot page."""
        by_stamp: dict[Stamp, list[tuple[RowId, int, bytes]]] = {}
        for step in steps:
            differences = _differences(table, step)
            said = _pack(differences) if differences else b""
            who = stamp or _latest(step)
            by_stamp.setdefault(who, []).append((step.row_id, step.after.generation, said))
            if step.after.born != step.before.born:
                # An insert of the same row that was made earlier takes the place of the one known; this one's batch
                # is not named by the row state any more.
                by_stamp.setdefault(step.before.born, []).append((step.row_id, step.after.generation, b""))
        for who, entries in by_stamp.items():
            self._insert(table, who, entries)

    def note_edits(self, table: ReplicatedTable, stamp: Stamp, edits: Sequence[tuple[RowId, int, Differences]]) -> None:
        """Write down what one batch's changes did to rows: (id, generation, what they show differently now)."""
        if edits:
            entries = [(row_id, generation, _pack(said) if said else b"") for row_id, generation, said in edits]
            self._insert(table, stamp, entries)

    def note_ends(self, table: ReplicatedTable, stamp_by_row: Mapping[RowId, tuple[Stamp, int]]) -> None:
        """Write down that rows were deleted, and by whom; nothing of what they held."""
        by_stamp: dict[Stamp, list[tuple[RowId, int, bytes]]] = {}
        for row_id, (stamp, generation) in stamp_by_row.items():
            by_stamp.setdefault(stamp, []).append((row_id, generation, b""))
        for stamp, entries in by_stamp.items():
            self._insert(table, stamp, entries)

    def note_replaced(self, table: ReplicatedTable, generation_by_id: Mapping[bytes, int], stamp: Stamp) -> None:
        """Write down that it is not known here which batches made these rows: their damaged copies were taken out."""
        entries = [(RowId(row_id), generation, b"") for row_id, generation in generation_by_id.items()]
        self._insert(table, make_stamp(stamp_hlc(stamp), stamp_origin(stamp), _NO_BATCH), entries)

    def replaced(self, row_ids: Sequence[bytes]) -> set[bytes]:
        """Return those of `row_ids` of which it is not known which batches made them."""
        rows = self._database.query(
            f"SELECT h.row_id {FROM_ENTRIES} WHERE h.seq = {_NO_BATCH}",
            (ids_blob(row_ids), len(row_ids)),
        )
        return {row[0] for row in rows}

    def _insert(self, table: ReplicatedTable, stamp: Stamp, entries: Sequence[tuple[RowId, int, bytes]]) -> None:
        offsets: list[tuple[int, int, int]] = []
        start = 1
        for _, generation, said in entries:
            offsets.append((generation, start, len(said)))
            start += len(said)
        self._database.change(
            "INSERT INTO _history (table_name, row_id, generation, hlc, origin, seq, noted_at, differences)"
            " SELECT ?1, substr(?2, key * 16 + 1, 16), value ->> '$[0]', ?3, ?4, ?5, ?6,"
            " CASE WHEN value ->> '$[2]' THEN substr(?7, value ->> '$[1]', value ->> '$[2]') END FROM json_each(?8)",
            (
                table.name,
                ids_blob(row_id for row_id, _, _ in entries),
                stamp_hlc(stamp).to_bytes(8, "big"),
                self._origins.number(stamp_origin(stamp)),
                stamp_seq(stamp),
                self._clock.now_milliseconds() // 1000,
                b"".join(said for _, _, said in entries),
                _encode_json(offsets).decode(),
            ),
        )

    def rename(self, table: str, row_ids: Sequence[bytes], old: Stamp, new: Stamp) -> None:
        """Name one change of rows by another stamp from now on."""
        self._database.change(
            "UPDATE _history SET hlc = ?3, origin = ?4, seq = ?5 WHERE number IN"
            f" (SELECT h.number {FROM_ENTRIES})"
            " AND table_name = ?6 AND origin = ?7 AND seq = ?8",
            (
                ids_blob(row_ids),
                len(row_ids),
                stamp_hlc(new).to_bytes(8, "big"),
                self._origins.number(stamp_origin(new)),
                stamp_seq(new),
                table,
                self._origins.number(stamp_origin(old)),
                stamp_seq(old),
            ),
        )

    def of_row(self, row_id: bytes, limit: int) -> list[HistoryEntry]:
        """Return the latest entries of a row that say something, newest first as they came to this device.

        Each one's old values are the next one's new ones; by the time of the changes they need not be in order.
        """
        return self._read(FROM_ENTRIES, "", (row_id, 1, limit))

    def recent(self, tables: Sequence[str], limit: int) -> list[HistoryEntry]:
        """Return the entries of these tables that were noted last, newest first."""
        named = f"h.table_name IN ({', '.join('?' * len(tables))}) AND"
        return self._read("FROM _history h", named, (*tables, limit))

    def _read(self, source: str, condition: str, parameters: Sequence[object]) -> list[HistoryEntry]:
        rows = self._database.query(
            f"SELECT h.number, h.table_name, h.row_id, h.generation, h.hlc, h.origin, h.seq, h.differences {source}"
            f" WHERE {condition} (h.differences IS NOT NULL OR h.generation % 2 = 0) ORDER BY h.number DESC LIMIT ?",
            parameters,
        )
        return [self._entry(row) for row in rows]

    def _entry(self, row: Row) -> HistoryEntry:
        number, table, row_id, generation, hlc, origin, seq, said = row
        return HistoryEntry(
            number=number,
            table=table,
            row_id=RowId(row_id),
            generation=generation,
            stamp=make_stamp(int.from_bytes(hlc, "big"), self._origins.origin(origin), seq),
            differences=None if said is None else _unpack(said),
        )

    def count(self, row_ids: Sequence[bytes]) -> int:
        """Return how many changes of these rows are written down."""
        count: int = self._database.query(f"SELECT count(*) {FROM_ENTRIES}", (ids_blob(row_ids), len(row_ids)))[0][0]
        return count

    def purge(self, row_ids: Sequence[bytes], generation: int) -> None:
        """Forget all entries of those lives of rows that ended before a generation."""
        self._database.change(
            f"DELETE FROM _history WHERE number IN (SELECT h.number {FROM_ENTRIES} WHERE h.generation < ?3)",
            (ids_blob(row_ids), len(row_ids), generation),
        )

    def age(self, entries_max: int) -> int:
        """Forget what entries older than 90 days say, at most so many; return how many there were."""
        before = self._clock.now_milliseconds() // 1000 - _SECONDS_KEPT
        return self._database.change(
            "UPDATE _history SET differences = NULL WHERE number IN"
            " (SELECT number FROM _history WHERE differences IS NOT NULL AND noted_at < ? LIMIT ?)",
            (before, entries_max),
        )


def _differences(table: ReplicatedTable, step: Step) -> dict[str, tuple[object, object]]:
    before, after = step.before.cell_by_column, step.after.cell_by_column
    found: dict[str, tuple[object, object]] = {}
    for column in step.written.cell_by_column:
        old, new = before.get(column), after[column]
        if isinstance(old, Register) and isinstance(new, Register):
            if old.value != new.value:
                found[column] = (old.value, new.value)
            continue
        value = strategy_of(step.after.code_by_column[column]).value
        was, now = None if old is None else value(old), value(new)
        if was != now:
            found[column] = (was, now)
    return found


def _latest(step: Step) -> Stamp:
    """Return the latest stamp among the cells that a page brought."""
    stamps = [cell.stamp for cell in step.written.cell_by_column.values() if isinstance(cell, Register)]
    return max(stamps, default=step.written.born)


def _pack(differences: Differences) -> bytes:
    spelled = _encode(differences)
    return _PLAIN + spelled if len(spelled) < _COMPRESS_BYTES_MIN else _ZSTD + _compressor.compress(spelled)


def _unpack(said: bytes) -> Differences:
    return _decode(_decompressor.decompress(said[1:]) if said[:1] == _ZSTD else said[1:])

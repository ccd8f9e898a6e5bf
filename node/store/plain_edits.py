"""The quick way for most edits: values whose author had seen what stands there, and changes of a text.

A row is not built up as a state of cells but kept as what is stored: proofs in order of column, and stamps. This way
is taken only where nothing has to be decided: the row is alive in the same generation and all of its columns are known
and shown as they are; the edited columns hold one stamped value each, no version of which is concurrent or in conflict,
or a text that one change is added to. And only where it proves itself: the row as read here must have the hash that is
stored with it. Every other row goes the long way through `crdt.row`, which leaves the same bytes.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b
from itertools import accumulate, compress
from operator import ne
from typing import Any, NamedTuple

import msgspec

from crdt.digest import sum_hashes
from crdt.errors import MergeError
from crdt.identifiers import RowId, Stamp, make_stamp
from crdt.place import Place
from crdt.row import ROW_HASH_BYTES, Layout, hash_body, hash_prefix, hash_spelled
from crdt.strategies.register import Register
from crdt.text_merge_at_rest import TextAtRest, at_rest, edited, merged
from crdt.version_vector import VersionVector
from node.store.capture import TouchedRow
from node.store.catalogue import ReplicatedTable
from node.store.change_log import RowsMoved
from node.store.damaged_texts import query_rows
from node.store.database import Database, Row
from node.store.history import Differences, History
from node.store.origins import Origins
from node.store.row_state import IDS, STATE, Cells, ids_blob, split_cells
from node.store.stamps_at_rest import gather_stamps, spread_stamps

_encode = msgspec.msgpack.Encoder().encode
_encode_json = msgspec.json.Encoder().encode

# So many lengths of `cells` are written by a statement each: cutting by a fixed length is quicker than by offsets.
_LENGTHS_MAX = 8

#: What an edit makes of a row, by position of the column: a new value and whose stamp it bears from now on, or a text.
_Written = Mapping[int, Register | TextAtRest]


class PlainRow(NamedTuple):
    """A stored row: what its hash spells of each of `table.columns`, and the stamps that differ from `born`.

    `stated` is what is kept of cells beside the values that the table shows.
    """

    row_id: RowId
    generation: int
    born: Stamp
    stamp_by_index: dict[int, Stamp]
    proofs: list[Any]
    stated: dict[str, Any]
    hash: bytes

    def cell(self, index: int) -> Register:
        """Return the value of a stamped column."""
        return Register(self.stamp_by_index.get(index, self.born), self.proofs[index])

    def text(self, table: ReplicatedTable, index: int) -> TextAtRest:
        """Return the text of a column that holds one."""
        payload, proof = self.stated.get(table.column_names[index]), self.proofs[index]
        return TextAtRest(payload, proof if payload is None else proof[1], proof)


class _Deltas(NamedTuple):
    """What a person's edit writes: the cells that it leaves, and what travels of them in order of column."""

    cells: _Written
    payloads: list[object]


class Edited(NamedTuple):
    """A plain row before an edit, and what the edit left."""

    row: PlainRow
    cells: bytes
    hash: bytes
    differences: Differences


class PlainEdits:
    """Edits of plain rows in one store."""

    __slots__ = ("_database", "_history", "_origins")

    def __init__(self, database: Database, origins: Origins, history: History) -> None:
        """Work on `database`, within its open transaction."""
        self._database = database
        self._origins = origins
        self._history = history

    def author(
        self, table: ReplicatedTable, rows: Sequence[TouchedRow], stamp: Stamp, vector: VersionVector
    ) -> tuple[list[Edited], list[tuple[Layout, bytes, bytes]], list[TouchedRow]]:
        """Return the edits among touched rows, their changes (layout, body, hash), and the rows that go the long way.

        `vector` says which batches are held. What stands in the table is left as it is: the person's statement has
        written it.
        """
        contested = self._contested([row.row_id for row in rows])
        quick = table.editable | table.texts
        edits: list[Edited] = []
        changes: list[tuple[Layout, bytes, bytes]] = []
        others: list[TouchedRow] = []
        begun_by_columns: dict[tuple[int, ...], tuple[Layout, blake2b]] = {}
        everywhere = range(len(table.columns))
        for row in rows:
            row_id, before, after, noted = row
            if noted is None or before is None or after is None or row_id in contested:
                others.append(row)
                continue
            positions = tuple(compress(everywhere, map(ne, before, after)))
            plain = self._open(table, row_id, noted, before) if quick.issuperset(positions) else None
            written = plain and _deltas(table, plain, positions, after, stamp, vector)
            if plain is None or not written:
                others.append(row)
                continue
            edits.append(_apply(table, plain, written.cells, self._origins))
            if positions not in begun_by_columns:
                layout = tuple(table.layout[index] for index in positions)
                begun_by_columns[positions] = layout, hash_prefix(table.name, layout, stamp)
            layout, begun = begun_by_columns[positions]
            body = _encode([row_id, plain.generation, *written.payloads])
            changes.append((layout, body, hash_body(begun, body)))
        return edits, changes, others

    def join(
        self,
        table: ReplicatedTable,
        layout: Layout,
        rows: Sequence[Sequence[Any]],
        stamp: Stamp,
        their_vector: VersionVector,
    ) -> tuple[list[Edited], list[Sequence[Any]]]:
        """Return what changes (id, generation, payloads of `layout`) made elsewhere come to, and those left over."""
        positions = [table.index_by_column.get(name, -1) for name, _ in layout]
        if (
            not positions
            or -1 in positions
            or not (table.editable | table.texts).issuperset(positions)
            or len({row[0] for row in rows}) != len(rows)
        ):
            return [], list(rows)
        noted_by_id = self._states(table, [row[0] for row in rows])
        contested = self._contested(list(noted_by_id))
        edits: list[Edited] = []
        others: list[Sequence[Any]] = []
        for row in rows:
            noted = noted_by_id.get(row[0])
            known = noted is not None and noted[1] == row[1] and row[0] not in contested
            plain = self._open(table, row[0], noted[1:7], noted[7:]) if noted and known else None
            written = plain and _joined(table, plain, positions, row[2:], stamp, their_vector)
            if plain is None or not written:
                others.append(row)
            else:
                edits.append(_apply(table, plain, written, self._origins))
        return edits, others

    def write(self, table: ReplicatedTable, edits: Sequence[Edited], stamp: Stamp) -> RowsMoved:
        """Write the row states and the history of edits that one batch made."""
        if not edits:
            return RowsMoved()
        edits_by_length: dict[int, list[Edited]] = {}
        for edit in edits:
            edits_by_length.setdefault(len(edit.cells), []).append(edit)
        if len(edits_by_length) > _LENGTHS_MAX:
            lengths = [len(edit.cells) for edit in edits]
            offsets = _encode_json(list(zip(accumulate(lengths, initial=1), lengths, strict=False))).decode()
            self._write_states(table, edits, "key", "value ->> '$[0]', value ->> '$[1]'", "json_each(?4)", offsets)
        else:
            for length, alike in edits_by_length.items():
                numbers = "generate_series(0, length(?1) / 16 - 1)"
                self._write_states(table, alike, "value", "value * ?4 + 1, ?4", numbers, length)
        self._history.note_edits(
            table, stamp, [(edit.row.row_id, edit.row.generation, edit.differences) for edit in edits]
        )
        return RowsMoved(
            added=sum_hashes(edit.hash for edit in edits), removed=sum_hashes(edit.row.hash for edit in edits)
        )

    def _write_states(
        self, table: ReplicatedTable, edits: Sequence[Edited], number: str, cut: str, source: str, given: object
    ) -> None:
        """Write the row states of edits, whose `cells` end to end are `cut` for each `number` of a `source`."""
        # The rows were read in this transaction, so each of them is updated: UPDATE … FROM takes a third longer.
        self._database.change(
            f"INSERT INTO {table.row_table} (id, generation, hlc, origin, seq, cells, hash)"
            f" SELECT substr(?1, {number} * 16 + 1, 16), 0, x'', 0, 0, substr(?2, {cut}),"
            f" substr(?3, {number} * {ROW_HASH_BYTES} + 1, {ROW_HASH_BYTES}) FROM {source}"
            " WHERE true ON CONFLICT (id) DO UPDATE SET cells = excluded.cells, hash = excluded.hash",
            (
                ids_blob(edit.row.row_id for edit in edits),
                b"".join(edit.cells for edit in edits),
                b"".join(edit.hash for edit in edits),
                given,
            ),
        )

    def _states(self, table: ReplicatedTable, row_ids: Sequence[bytes]) -> dict[bytes, Row]:
        """Return the stored states and values of living rows."""
        rows = query_rows(
            self._database,
            table,
            lambda selected: (
                f"SELECT r.id, {STATE}, {selected} FROM {IDS} JOIN {table.row_table} r ON r.id = k"
                f" JOIN main.{table.name} t ON t.id = k WHERE r.generation % 2 = 1"
            ),
            (ids_blob(row_ids), len(row_ids)),
            first=7,
        )
        return {row[0]: row for row in rows}

    def _contested(self, row_ids: Sequence[bytes]) -> set[bytes]:
        """Return those of `row_ids` of which a conflict was ever noted."""
        rows = self._database.query(
            f"SELECT k FROM {IDS} WHERE EXISTS (SELECT 1 FROM _conflict c WHERE c.row_id = k)",
            (ids_blob(row_ids), len(row_ids)),
        )
        return {row[0] for row in rows}

    def _open(
        self, table: ReplicatedTable, row_id: bytes, noted: Sequence[Any], shown: Sequence[Any]
    ) -> PlainRow | None:
        """Return a row as it is stored (`row_state.STATE`, what its table shows); None unless it is plain and whole."""
        try:
            return self._opened(table, row_id, noted, shown)
        except (msgspec.MsgspecError, MergeError, LookupError, TypeError, ValueError):
            # Damaged: the long way says so, or keeps it from spreading.
            return None

    def _opened(
        self, table: ReplicatedTable, row_id: bytes, noted: Sequence[Any], shown: Sequence[Any]
    ) -> PlainRow | None:
        generation, hlc, origin, seq, cells, row_hash = noted
        born = make_stamp(int.from_bytes(hlc, "big"), self._origins.origin(origin), seq)
        values = list(shown)
        stamps: dict[int, Stamp] = {}
        stated: dict[str, Any] = {}
        if cells is not None:
            gathered, stated, missing, hidden, unknown = split_cells(cells)
            if missing or hidden or unknown:
                return None
            for name, payload in stated.items():
                index = table.index_by_column[name]
                if index not in table.texts:
                    values[index] = payload
                elif type(values[index]) is str:
                    values[index] = at_rest(payload, values[index]).proof
            named = spread_stamps(gathered, self._origins)
            stamps = {table.index_by_column[name]: stamp for name, stamp in named.items()}
        row = PlainRow(RowId(row_id), generation, born, stamps, values, stated, row_hash)
        return row if _hash(table, row, stamps, values) == row_hash else None


def _deltas(
    table: ReplicatedTable,
    row: PlainRow,
    positions: Sequence[int],
    values: Sequence[Any],
    stamp: Stamp,
    vector: VersionVector,
) -> _Deltas | None:
    """Return what a person's edit writes, None for nothing and where a column would show something else."""
    written: dict[int, Register | TextAtRest] = {}
    payloads: list[object] = []
    for index in positions:
        if index in table.last_written:
            written[index] = Register(stamp, values[index])
            payloads.append(values[index])
            continue
        place = Place(table.name, row.row_id, row.generation, table.column_names[index])
        if index in table.texts:
            # A row of which not every batch is held came by a page: a change carries what is ahead with it.
            text = None
            if type(values[index]) is str and all(map(vector.covers_stamp, (row.born, *row.stamp_by_index.values()))):
                with suppress(MergeError):
                    # The long way says what is wrong with it.
                    text = edited(row.text(table, index), values[index], stamp, place)
            if text is None:
                return None
            written[index], raw = text
            payloads.append([raw])
            continue
        cell = table.strategies[index].delta(row.cell(index), values[index], stamp, place)
        if not isinstance(cell, Register) or cell.stamp != stamp or cell.value != values[index]:
            return None
        written[index] = cell
        payloads.append(cell.value)
    return _Deltas(written, payloads) if written else None


def _joined(
    table: ReplicatedTable,
    row: PlainRow,
    positions: Sequence[int],
    values: Sequence[Any],
    stamp: Stamp,
    vector: VersionVector,
) -> _Written | None:
    """Return the cells that arriving values leave, None where something has to be decided."""
    written: dict[int, Register | TextAtRest] = {}
    seen: Stamp | None = None
    for index, value in zip(positions, values, strict=True):
        if index in table.last_written:
            mine = row.stamp_by_index.get(index, row.born)
            if mine is not seen and (mine >= stamp or not vector.covers_stamp(mine)):
                return None
            seen = mine
            written[index] = Register(stamp, value)
            continue
        if index in table.texts:
            place = Place(table.name, row.row_id, row.generation, table.column_names[index])
            try:
                text = merged(row.text(table, index), value, place)
            except MergeError:
                # The long way says what is wrong with it.
                return None
            if text is None:
                return None
            written[index] = text
            continue
        held = row.cell(index)
        if held.stamp >= stamp:
            return None
        cell = table.strategies[index].join(held, Register(stamp, value))
        assert isinstance(cell, Register)
        written[index] = cell
    return written


def _apply(table: ReplicatedTable, row: PlainRow, written: _Written, origins: Origins) -> Edited:
    proofs = list(row.proofs)
    stamps = dict(row.stamp_by_index)
    stated = row.stated
    differences: dict[str, tuple[object, object]] = {}
    for index, cell in written.items():
        name = table.column_names[index]
        if isinstance(cell, TextAtRest):
            was = proofs[index] if stated.get(name) is None else proofs[index][1]
            if cell.shown != was:
                differences[name] = (was, cell.shown)
            proofs[index] = cell.proof
            # They are kept in order of name.
            known = name in stated
            stated = {**stated, name: cell.payload}
            if not known:
                stated = dict(sorted(stated.items()))
            continue
        if cell.value != proofs[index]:
            differences[name] = (proofs[index], cell.value)
        proofs[index] = cell.value
        stamps[index] = cell.stamp
        if cell.stamp == row.born:
            del stamps[index]
    named = {table.column_names[index]: stamps[index] for index in sorted(stamps)}
    cells = _encode(Cells(gather_stamps(named, origins), stated, [], {}, {}))
    return Edited(row, cells, _hash(table, row, stamps, proofs), differences)


def _hash(table: ReplicatedTable, row: PlainRow, stamp_by_index: dict[int, Stamp], proofs: Sequence[Any]) -> bytes:
    """Return the hash of a row with these stamps and proofs."""
    body = _encode([row.row_id, row.generation, *proofs])
    return hash_spelled(table.layout_named, row.born, stamp_by_index, body)

"""Row states at rest: which stamps and dots belong to the values that stand in a table.

A row whose every cell was written by one change needs only that change's stamp (hlc, origin, seq). Whatever else
there is lies in `cells`, a msgpack array of five:
- `stamps` [[hlc, origin, seq, [column…]]…]: of cells whose stamp is not the row's own (`stamps_at_rest`);
- `payloads` {column: payload}: what cells are beyond the value shown (`cells_at_rest`), and a tombstone's references;
- `missing` [column…]: of which this row knows nothing yet;
- `hidden` {column: true value}: where the table shows a derived value, or the row is kept out of it (`derived`);
- `unknown` {column: [strategy code, payload]}: of a newer version's columns, which the table does not have, or of
  columns that came to be declared and cannot show what was written to them.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, NamedTuple

import msgspec

from crdt.errors import MergeError
from crdt.identifiers import RowId, Stamp, dot_origin, dot_seq, make_stamp, stamp_hlc, stamp_origin, stamp_seq
from crdt.place import Place
from crdt.row import RowState, hash_row, prove_row
from crdt.strategies import CellState, own_stamp, strategy_of
from crdt.strategies.observed_set import ObservedSet
from crdt.version_vector import VersionVector
from node.errors import DamagedRowError
from node.store.catalogue import ReplicatedTable
from node.store.cells_at_rest import cell_beside, damaged_row, in_sets_context, payload_beside
from node.store.damaged_texts import query_rows
from node.store.database import Database, Row
from node.store.origins import Origins
from node.store.stamps_at_rest import Stamped, gather_stamps, spread_stamps

_encode = msgspec.msgpack.Encoder().encode


class Cells(NamedTuple):
    """What `cells` holds."""

    stamps: list[Stamped]
    payloads: dict[str, Any]
    missing: list[str]
    hidden: dict[str, Any]
    unknown: dict[str, tuple[int, Any]]


#: Takes `cells` apart.
split_cells = msgspec.msgpack.Decoder(Cells).decode
_NOTHING = Cells([], {}, [], {}, {})

# SQLite's limit is 32,766 parameters a statement; above some hundred rows nothing is gained.
_ROWS_PER_STATEMENT = 500
RECORD_BYTES = 48
# A statement for each birth costs as much as this many rows of one statement for all.
_ROWS_PER_RUN_MIN = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRow:
    """A row state as read and its hash; `hidden` are the true values where the table shows others, or no row."""

    row: RowState
    hash: bytes
    hidden: Mapping[str, Any]


def ids_blob(row_ids: Iterable[bytes]) -> bytes:
    """Return 16-byte ids end to end, as the set-based statements take them."""
    return b"".join(row_ids)


#: The columns of a row state `r` behind its id.
STATE = "r.generation, r.hlc, r.origin, r.seq, r.cells, r.hash"
#: Yields the ids in the blob ?1 of ?2 ids as `k`.
IDS = "(SELECT substr(?1, value * 16 + 1, 16) AS k FROM generate_series(0, ?2 - 1))"


class RowStates:
    """Reads and writes the row states of all tables."""

    __slots__ = ("_database", "_origins")

    def __init__(self, database: Database, origins: Origins) -> None:
        """Work on `database`, naming origins by their numbers in `origins`."""
        self._database = database
        self._origins = origins

    def generations(self, table: ReplicatedTable, row_ids: Sequence[bytes]) -> dict[bytes, int]:
        """Return the generation of those of `row_ids` that have a row state, alive or dead."""
        if not row_ids or not self._any_between(table, min(row_ids), max(row_ids)):
            return {}
        rows = self._database.query(
            f"SELECT r.id, r.generation FROM {IDS} JOIN {table.row_table} r ON r.id = k",
            (ids_blob(row_ids), len(row_ids)),
        )
        return {row[0]: row[1] for row in rows}

    def _any_between(self, table: ReplicatedTable, first: bytes, last: bytes) -> bool:
        """Tell whether any row state lies in this range: ids follow time, so as a rule new rows lie where none is."""
        found = self._database.query(
            f"SELECT EXISTS (SELECT 1 FROM {table.row_table} WHERE id BETWEEN ? AND ?)", (first, last)
        )
        return bool(found[0][0])

    def read(
        self,
        table: ReplicatedTable,
        row_ids: Sequence[bytes],
        vector: VersionVector,
        before_by_id: Mapping[bytes, Sequence[Any]] | None = None,
    ) -> dict[bytes, StoredRow]:
        """Return the row states of `row_ids` that exist; `vector` is the causal context of their stream.

        `before_by_id` are the columns of rows in whose table something else stands by now than their state says.
        """
        if not row_ids:
            return {}
        before = before_by_id or {}
        rows = query_rows(
            self._database,
            table,
            lambda selected: (
                f"SELECT r.id, {STATE}, {selected} FROM {IDS}"
                f" JOIN {table.row_table} r ON r.id = k LEFT JOIN main.{table.name} t ON t.id = k"
            ),
            (ids_blob(row_ids), len(row_ids)),
            first=7,
        )
        return {row[0]: self.from_row(table, row, vector, before.get(row[0])) for row in rows}

    def read_proven(
        self,
        table: ReplicatedTable,
        row_ids: Sequence[bytes],
        vector: VersionVector,
        before_by_id: Mapping[bytes, Sequence[Any]] | None = None,
    ) -> tuple[dict[bytes, StoredRow], set[bytes]]:
        """Return the row states as `read` does, and which rows are not what their hashes say, or have no hash.

        Of the latter those that can be read are among the former.
        """
        try:
            stored = self.read(table, row_ids, vector, before_by_id)
        except DamagedRowError:
            if len(row_ids) == 1:
                return {}, set(row_ids)
            stored, damaged = {}, set[bytes]()
            for row_id in row_ids:
                one, unreadable = self.read_proven(table, [row_id], vector, before_by_id)
                stored |= one
                damaged |= unreadable
            return stored, damaged
        damaged = {
            row_id
            for row_id, state in stored.items()
            if hash_row(table.name, prove_row(RowId(row_id), state.row)) != state.hash
        }
        return stored, damaged | self.stateless(table, [row_id for row_id in row_ids if row_id not in stored])

    def stateless(self, table: ReplicatedTable, row_ids: Sequence[bytes]) -> set[bytes]:
        """Return those of `row_ids`, which have no row state, that stand in the table all the same."""
        if not row_ids:
            return set()
        rows = self._database.query(
            f"SELECT t.id FROM {IDS} JOIN main.{table.name} t ON t.id = k", (ids_blob(row_ids), len(row_ids))
        )
        return {row[0] for row in rows}

    def from_row(
        self, table: ReplicatedTable, row: Row, vector: VersionVector, before: Sequence[Any] | None = None
    ) -> StoredRow:
        """Return the state in a row (id, generation, hlc, origin, seq, cells, hash, values…), or of values `before`.

        Raises DamagedRowError where it cannot be read as one.
        """
        try:
            return self._from_row(table, row, vector, before)
        except (msgspec.MsgspecError, MergeError, LookupError, TypeError, ValueError) as error:
            raise damaged_row(row[0]) from error

    def _from_row(
        self, table: ReplicatedTable, row: Row, vector: VersionVector, before: Sequence[Any] | None
    ) -> StoredRow:
        row_id, generation, hlc, origin, seq, cells, row_hash = row[:7]
        born = make_stamp(int.from_bytes(hlc, "big"), self._origins.origin(origin), seq)
        gathered, payloads, missing, hidden, unknown = split_cells(cells) if cells is not None else _NOTHING
        stamps = spread_stamps(gathered, self._origins)
        by_column: dict[str, CellState] = {}
        codes: dict[str, int] = {}
        for name, strategy, value in zip(table.column_names, table.strategies, before or row[7:], strict=True):
            place, stamp = Place(table.name, row_id, generation, name), stamps.get(name, born)
            if generation % 2 == 1 and name not in missing:
                shown = hidden.get(name, value)
                by_column[name] = cell_beside(strategy, payloads.get(name), shown, stamp, place, vector)
            elif generation % 2 == 0 and name in payloads:
                by_column[name] = in_sets_context(strategy.from_wire(payloads[name], stamp, place), vector)
            else:
                continue
            codes[name] = strategy.code
        for name, (code, payload) in unknown.items():
            place, stamp = Place(table.name, row_id, generation, name), stamps.get(name, born)
            by_column[name] = in_sets_context(strategy_of(code).from_wire(payload, stamp, place), vector)
            codes[name] = code
        state = RowState(generation=generation, born=born, code_by_column=codes, cell_by_column=by_column)
        return StoredRow(row=state, hash=row_hash, hidden=hidden)

    def insert_fresh(
        self,
        table: ReplicatedTable,
        row_ids: Sequence[bytes],
        hashes: Sequence[bytes],
        births: Sequence[tuple[int, Stamp]],
    ) -> None:
        """Write the states of rows that were just born, with their hashes.

        `births` says, in runs, how many of them were born under which stamp.
        """
        if len(births) * _ROWS_PER_RUN_MIN > len(row_ids):
            self._insert_born_apart(table, row_ids, hashes, births)
            return
        start = 0
        for count, stamp in births:
            end = start + count
            records = b"".join(chain.from_iterable(zip(row_ids[start:end], hashes[start:end], strict=True)))
            self._database.change(
                f"INSERT INTO {table.row_table} (id, generation, hlc, origin, seq, hash) SELECT"
                f" substr(?1, value * {RECORD_BYTES} + 1, 16), 1, ?2, ?3, ?4,"
                f" substr(?1, value * {RECORD_BYTES} + 17, 32) FROM generate_series(0, ?5 - 1)",
                (
                    records,
                    stamp_hlc(stamp).to_bytes(8, "big"),
                    self._origins.number(stamp_origin(stamp)),
                    stamp_seq(stamp),
                    count,
                ),
            )
            start = end

    def _insert_born_apart(
        self,
        table: ReplicatedTable,
        row_ids: Sequence[bytes],
        hashes: Sequence[bytes],
        births: Sequence[tuple[int, Stamp]],
    ) -> None:
        """Do the same with one statement, where there are about as many births as rows."""
        times: list[bytes] = []
        numbers: list[int] = []
        for count, stamp in births:
            times += [stamp_hlc(stamp).to_bytes(8, "big")] * count
            numbers += [self._origins.number(stamp_origin(stamp)) << 31 | stamp_seq(stamp)] * count
        self._database.change(
            f"INSERT INTO {table.row_table} (id, generation, hlc, origin, seq, hash) SELECT"
            " substr(?1, key * 56 + 1, 16), 1, substr(?1, key * 56 + 17, 8), value >> 31, value & 2147483647,"
            " substr(?1, key * 56 + 25, 32) FROM json_each(?2)",
            (b"".join(chain.from_iterable(zip(row_ids, times, hashes, strict=True))), json.dumps(numbers)),
        )

    def hide(self, table: ReplicatedTable, hidden_by_id: Mapping[bytes, Mapping[str, Any]]) -> None:
        """Note the true values of cells that the table does not show as they are; {} where it shows them all."""
        row_ids = list(hidden_by_id)
        stored = self._database.query(
            f"SELECT r.id, r.cells FROM {IDS} JOIN {table.row_table} r ON r.id = k", (ids_blob(row_ids), len(row_ids))
        )
        changed: list[tuple[bytes | None, bytes]] = []
        for row_id, cells in stored:
            noted = (split_cells(cells) if cells is not None else _NOTHING)._replace(hidden=dict(hidden_by_id[row_id]))
            changed.append((_encode(noted) if any(noted) else None, row_id))
        self._database.change_many(f"UPDATE {table.row_table} SET cells = ? WHERE id = ?", changed)

    def write(
        self,
        table: ReplicatedTable,
        states: Mapping[RowId, RowState],
        hidden_by_id: Mapping[RowId, Mapping[str, Any]] | None = None,
    ) -> list[bytes]:
        """Write merged states, alive or dead, and return their hashes in the same order.

        `hidden_by_id` are the true values of those columns in which the table shows, or will show, derived ones.
        """
        hidden = hidden_by_id or {}
        hashes: list[bytes] = []
        rows: list[tuple[object, ...]] = []
        for row_id, state in states.items():
            row_hash = hash_row(table.name, prove_row(row_id, state))
            hashes.append(row_hash)
            born = state.born
            rows.append(
                (
                    row_id,
                    state.generation,
                    stamp_hlc(born).to_bytes(8, "big"),
                    self._origins.number(stamp_origin(born)),
                    stamp_seq(born),
                    _cells(table, state, hidden.get(row_id, {}), self._origins),
                    row_hash,
                )
            )
        upsert_rows(
            self._database,
            table.row_table,
            ("id", "generation", "hlc", "origin", "seq", "cells", "hash"),
            rows,
        )
        return hashes


def in_context(state: RowState, vector: VersionVector) -> RowState:
    """Return the state with `vector` as the causal context of its sets; at rest that is their stream's frontier."""
    if not any(isinstance(cell, ObservedSet) for cell in state.cell_by_column.values()):
        return state
    cells = {name: in_sets_context(cell, vector) for name, cell in state.cell_by_column.items()}
    return RowState(
        generation=state.generation, born=state.born, code_by_column=state.code_by_column, cell_by_column=cells
    )


def met(state: RowState, stamp: Stamp | None) -> RowState:
    """Return the state without removals that waited for the batch of `stamp`, which is being applied."""
    if stamp is None or not any(
        isinstance(cell, ObservedSet) and cell.removed for cell in state.cell_by_column.values()
    ):
        return state
    batch = stamp_origin(stamp), stamp_seq(stamp)
    cells = {
        name: replace(cell, removed=frozenset(dot for dot in cell.removed if (dot_origin(dot), dot_seq(dot)) != batch))
        if isinstance(cell, ObservedSet)
        else cell
        for name, cell in state.cell_by_column.items()
    }
    return replace(state, cell_by_column=cells)


def _cells(table: ReplicatedTable, state: RowState, hidden: Mapping[str, Any], origins: Origins) -> bytes | None:
    stamps: dict[str, Stamp] = {}
    payloads: dict[str, object] = {}
    unknown: dict[str, tuple[int, object]] = {}
    nil_by_column = dict(zip(table.column_names, table.shown_for_nil, strict=True))
    for name, cell in state.cell_by_column.items():
        stamp = own_stamp(cell)
        if stamp is not None and stamp != state.born:
            stamps[name] = stamp
        strategy, code = table.strategy_by_column.get(name), state.code_by_column[name]
        if strategy is None or not table.can_hold(name, code, cell):
            unknown[name] = (code, strategy_of(code).to_wire(cell))
        elif not state.alive:
            payloads[name] = strategy.to_wire(cell)
        elif (payload := payload_beside(strategy, cell, nil_by_column[name])) is not None:
            payloads[name] = payload
    missing = [name for name in table.column_names if name not in state.cell_by_column] if state.alive else []
    if not (stamps or payloads or missing or hidden or unknown):
        return None
    return _encode((gather_stamps(stamps, origins), payloads, missing, dict(hidden), unknown))


def insert_rows(
    database: Database,
    table: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    marks: str | None = None,
    conflict: str = "",
) -> None:
    """Insert rows, many to a statement; `marks` is one row's placeholders where they are not plain."""
    one = marks or "(" + ", ".join("?" * len(columns)) + ")"
    per_statement = min(_ROWS_PER_STATEMENT, 32_000 // len(columns))
    for start in range(0, len(rows), per_statement):
        chunk = rows[start : start + per_statement]
        database.change(
            f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([one] * len(chunk))}{conflict}",
            [value for row in chunk for value in row],
        )


def upsert_rows(
    database: Database, table: str, columns: Sequence[str], rows: Sequence[Sequence[object]], marks: str | None = None
) -> None:
    """Insert rows, or overwrite those whose id (the first column) stands already, many to a statement."""
    sets = ", ".join(f"{name} = excluded.{name}" for name in columns[1:])
    insert_rows(database, table, columns, rows, marks, f" ON CONFLICT(id) DO UPDATE SET {sets}")

"""Applies verified batches and pages of peers: decodes their rows, checks them, and hands them to the merge."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from crdt.errors import MergeError
from crdt.identifiers import SEQUENCE_MAX, RowId, Stamp, dot_origin, dot_seq, stamp_origin, stamp_seq
from crdt.row import Layout, RowState, hash_body, hash_prefix, read_row
from crdt.strategies.counter import Counter
from crdt.strategies.json_document import JsonDocument
from crdt.strategies.observed_set import ObservedSet
from crdt.strategies.text import Text, come_ahead
from crdt.version_vector import VersionVector
from node.store.catalogue import ReplicatedTable
from node.store.change_log import RowsMoved
from node.store.foreign_tables import ForeignTables
from node.store.merge import Merge, check_values
from node.store.plainness import all_plain, is_plain
from node.store.row_state import in_context
from sync.batch import Batch
from sync.errors import UNDECODABLE, RemoteProtocolError
from sync.snapshot import Page

_encode = msgspec.msgpack.Encoder().encode

#: For each table the decoded rows with the layout they came in.
RowsByTable = dict[str, list[tuple[Layout, Sequence[Sequence[Any]]]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What a batch or page did: rows moved, and for each table the decoded rows (id, generation, payloads…).

    `leaf_stamps` are those within documents of a page; a batch's are its own.
    """

    moved: RowsMoved
    rows_by_table: RowsByTable
    leaf_stamps: frozenset[Stamp] = field(default_factory=frozenset)


class Incoming:
    """The way in for rows of peers."""

    __slots__ = ("_foreign", "_merge")

    def __init__(self, foreign: ForeignTables, merge: Merge) -> None:
        """Decode by declared and `foreign` tables, join by `merge`."""
        self._foreign = foreign
        self._merge = merge

    def reload(self) -> None:
        """Read the tables again that are not declared here, after a rollback."""
        self._foreign.reload()

    def apply_batch(self, batch: Batch, my_vector: VersionVector) -> Applied:
        """Join a batch's changes; capture is silent and a savepoint is open.

        Raises RemoteProtocolError for what no honest author writes, NewerSchemaError for unknown strategies.
        """
        header = batch.header
        stamp = header.stamp
        their_vector = header.vector
        spelled_by_layout: dict[int, tuple[list[bytes], list[bytes]]] = {}
        for change, row_hash in zip(batch.changes, batch.row_hashes, strict=True):
            if not isinstance(change, bytes):
                bodies, hashes = spelled_by_layout.setdefault(change[0], ([], []))
                bodies.append(change[2])
                hashes.append(row_hash)
        moved = RowsMoved()
        rows_by_table: RowsByTable = {}
        for index, (bodies, hashes) in spelled_by_layout.items():
            name, layout = header.layouts[index]
            table = self._foreign.meet(name, header.stream)
            rows = _decode_rows(table, layout, bodies)
            rows_by_table.setdefault(name, []).append((layout, rows))
            moved += self._join_changes(table, layout, rows, hashes, stamp, my_vector, their_vector)
        for name, groups in rows_by_table.items():
            row_ids = [row[0] for _, rows in groups for row in rows]
            if len(set(row_ids)) != len(row_ids):
                raise RemoteProtocolError(f"a batch changes a row of {name} twice")
        return Applied(moved=moved, rows_by_table=rows_by_table)

    def _join_changes(
        self,
        table: ReplicatedTable,
        layout: Layout,
        rows: Sequence[Sequence[Any]],
        hashes: Sequence[bytes],
        stamp: Stamp,
        my_vector: VersionVector,
        their_vector: VersionVector,
    ) -> RowsMoved:
        row_ids = [row[0] for row in rows]
        bulk = layout == table.layout
        # Only a whole row can be new: the others are edits and ends, and are looked up as such.
        known = self._merge.known(table, row_ids) if bulk else {}
        if bulk and not known and all(row[1] == 1 for row in rows) and all_plain(table, rows):
            if len(set(row_ids)) != len(row_ids):
                raise RemoteProtocolError("a batch changes a row twice")
            return self._merge.insert_new(table, rows, hashes, stamp)
        moved = RowsMoved()
        if not bulk:
            moved, rows = self._merge.edit(table, layout, rows, stamp, their_vector)
        new: list[int] = []
        others: dict[RowId, RowState] = {}
        for position, row in enumerate(rows):
            if bulk and row[1] == 1 and row[0] not in known and is_plain(table, row):
                new.append(position)
                continue
            row_id, state = _read(table, layout, row, stamp, ())
            _check_own(state, stamp, their_vector)
            if row_id in others:
                raise RemoteProtocolError("a batch changes a row twice")
            others[row_id] = state
        if new:
            if len({rows[position][0] for position in new}) != len(new):
                raise RemoteProtocolError("a batch changes a row twice")
            moved += self._merge.insert_new(table, [rows[p] for p in new], [hashes[p] for p in new], stamp)
        if others:
            moved += self._joined(table, others, stamp, my_vector, their_vector)
        return moved

    def apply_page(self, page: Page, my_vector: VersionVector, their_vector: VersionVector) -> Applied:
        """Join a snapshot page's row states; `their_vector` is the manifest's frontier."""
        header = page.header
        by_layout: dict[int, list[int]] = {}
        for position, page_row in enumerate(page.rows):
            by_layout.setdefault(page_row[0], []).append(position)
        moved = RowsMoved()
        rows_by_table: RowsByTable = {}
        seen: set[tuple[str, bytes]] = set()
        leaf_stamps: set[Stamp] = set()
        for index, positions in by_layout.items():
            name, layout = header.layouts[index]
            table = self._foreign.meet(name, header.stream)
            page_rows = [page.rows[position] for position in positions]
            rows = _decode_rows(table, layout, [row[2] for row in page_rows])
            rows_by_table.setdefault(name, []).append((layout, rows))
            count = len(seen)
            seen.update((name, row[0]) for row in rows)
            if len(seen) != count + len(rows):
                raise RemoteProtocolError(f"a snapshot page holds a row of {name} twice")
            known = self._merge.known(table, [row[0] for row in rows])
            whole = layout == table.layout
            # As a rule all are; a look at whole columns is then spared for each row.
            spelled = whole and all_plain(table, rows)
            new_by_stamp: dict[bytes, list[int]] = {}
            others: dict[RowId, RowState] = {}
            for position, row in enumerate(rows):
                born, stamps = page_rows[position][1], page_rows[position][3]
                fresh = whole and row[1] == 1 and not stamps and row[0] not in known
                if fresh and (spelled or is_plain(table, row)):
                    new_by_stamp.setdefault(born, []).append(position)
                    continue
                row_id, state = _read(table, layout, row, Stamp(born), stamps)
                others[row_id] = _come_ahead(in_context(state, their_vector))
                leaf_stamps.update(_leaf_stamps(state))
            # A page comes newest first; the tables grow faster upwards.
            for born, downwards in reversed(new_by_stamp.items()):
                group = downwards[::-1]
                prefix = hash_prefix(name, layout, Stamp(born))
                moved += self._merge.insert_new(
                    table, [rows[p] for p in group], [hash_body(prefix, page_rows[p][2]) for p in group], Stamp(born)
                )
            if others:
                moved += self._joined(table, others, None, my_vector, their_vector)
        return Applied(moved=moved, rows_by_table=rows_by_table, leaf_stamps=frozenset(leaf_stamps))

    def _joined(
        self,
        table: ReplicatedTable,
        rows: dict[RowId, RowState],
        stamp: Stamp | None,
        mine: VersionVector,
        theirs: VersionVector,
    ) -> RowsMoved:
        try:
            return self._merge.join(table, rows, stamp=stamp, my_vector=mine, their_vector=theirs)
        except MergeError as error:
            raise RemoteProtocolError(f"a row of {table.name} cannot be merged") from error


def _decode_rows(table: ReplicatedTable, layout: Layout, bodies: Iterable[bytes]) -> list[Sequence[Any]]:
    decode = table.decoder(layout)
    rows: list[Sequence[Any]] = []
    try:
        for body in bodies:
            row = decode(body)
            # Row hashes are taken over these bytes; only one spelling of a row may exist.
            if len(row[0]) != 16 or not 1 <= row[1] < 2**31 or _encode(row) != body:
                raise RemoteProtocolError(f"a row of {table.name} is not spelled canonically")
            rows.append(row)
    except UNDECODABLE as error:
        raise RemoteProtocolError(f"a row of {table.name} does not fit its columns") from error
    check_values(table, layout, rows)
    return rows


def _read(
    table: ReplicatedTable, layout: Layout, row: Sequence[Any], born: Stamp, stamps: Iterable[tuple[int, bytes]]
) -> tuple[RowId, RowState]:
    values = [list(map(_as_spelled, value)) if type(value) is list else value for value in row]
    try:
        return read_row(table.name, layout, values, born, {index: Stamp(stamp) for index, stamp in stamps})
    except MergeError as error:
        raise RemoteProtocolError("a row's payload does not fit its strategy") from error


def _come_ahead(state: RowState) -> RowState:
    """Return a page's row, its edited texts marked: which of their changes are in batches held here, no one knows."""
    marked = {
        name: come_ahead(cell)
        for name, cell in state.cell_by_column.items()
        if isinstance(cell, Text) and cell.plain is None
    }
    return replace(state, cell_by_column={**state.cell_by_column, **marked}) if marked else state


def _as_spelled(entry: object) -> object:
    """Return an entry of a payload as strategies spell it; the decoder gives closed tuples."""
    return list(entry) if isinstance(entry, tuple) else entry


def _leaf_stamps(state: RowState) -> Iterator[Stamp]:
    """Yield the stamps within documents; raise RemoteProtocolError for one that no batch could have."""
    for cell in state.cell_by_column.values():
        if isinstance(cell, JsonDocument):
            for leaf in cell.leaf_by_path.values():
                if stamp_seq(leaf.stamp) > SEQUENCE_MAX:
                    raise RemoteProtocolError("a leaf of a document bears a stamp that no batch could have")
                yield leaf.stamp


def _check_own(state: RowState, stamp: Stamp, deps: VersionVector) -> None:
    """Raise RemoteProtocolError where a change speaks for another device or of what its author had not seen."""
    origin, seq = stamp_origin(stamp), stamp_seq(stamp)
    for cell in state.cell_by_column.values():
        if isinstance(cell, JsonDocument) and any(leaf.stamp != stamp for leaf in cell.leaf_by_path.values()):
            raise RemoteProtocolError("a change writes to a document for another device")
        if isinstance(cell, Counter) and any(other != origin for other in cell.totals_by_origin):
            raise RemoteProtocolError("a change counts for another device")
        if isinstance(cell, ObservedSet):
            if any(dot_origin(dot) != origin or dot_seq(dot) != seq for dot in cell.element_by_dot):
                raise RemoteProtocolError("a change adds to a set for another device")
            if not all(deps.covers_dot(dot) for dot in cell.removed):
                raise RemoteProtocolError("a change removes from a set what its author had not seen")

"""Applies verified batches of peers: decodes their rows, checks them, and hands them to the merge."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from crdt.errors import MergeError
from crdt.identifiers import RowId, Stamp, dot_origin, dot_seq, stamp_origin, stamp_seq
from crdt.row import Layout, RowState
from crdt.strategies.counter import Counter
from crdt.strategies.json_document import JsonDocument
from crdt.strategies.observed_set import ObservedSet
from crdt.version_vector import VersionVector
from node.store.catalogue import ReplicatedTable
from node.store.change_log import RowsMoved
from node.store.dependencies import BatchName, seen_under
from node.store.foreign_tables import ForeignTables
from node.store.merge import Merge
from node.store.plainness import all_plain, is_plain
from node.store.re_authoring import Renaming, renamed_row
from node.store.row_decoding import DecodedRows, decode_bodies, read_state
from sync.batch import Batch
from sync.errors import RemoteProtocolError

#: For each table the decoded rows with the layout they came in.
RowsByTable = dict[str, list[tuple[Layout, DecodedRows]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What a batch or page did: rows moved, and for each table the decoded rows (id, generation, payloads…).

    `leaf_stamps` are those within documents of a page; a batch's are its own.
    """

    moved: RowsMoved
    rows_by_table: RowsByTable
    leaf_stamps: frozenset[Stamp] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True)
class Seen:
    """What the author of a batch had seen: as it is `stated`, and by the names of `here`, which `renaming` gives."""

    stated: VersionVector
    here: VersionVector
    renaming: Renaming | None


class Incoming:
    """The way in for batches of peers."""

    __slots__ = ("_foreign", "_merge")

    def __init__(self, foreign: ForeignTables, merge: Merge) -> None:
        """Decode by declared and `foreign` tables, join by `merge`."""
        self._foreign = foreign
        self._merge = merge

    def reload(self) -> None:
        """Read the tables again that are not declared here, after a rollback."""
        self._foreign.reload()

    def apply_batch(self, batch: Batch, my_vector: VersionVector, names: Mapping[BatchName, BatchName]) -> Applied:
        """Join a batch's changes; capture is silent and a savepoint is open.

        `names` says what batches are called here that bore another name when its author saw them.
        Raises RemoteProtocolError for what no honest author writes, NewerSchemaError for unknown strategies.
        """
        header = batch.header
        stamp = header.stamp
        renaming = Renaming(old=stamp, new=stamp, earlier=names) if names else None
        stated = header.vector
        seen = Seen(stated, seen_under(names, stated), renaming)
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
            rows = decode_bodies(table, layout, bodies)
            rows_by_table.setdefault(name, []).append((layout, rows))
            moved += self._join_changes(table, layout, rows, hashes, stamp, my_vector, seen)
        for name, groups in rows_by_table.items():
            row_ids = [row[0] for _, rows in groups for row in rows]
            if len(set(row_ids)) != len(row_ids):
                raise RemoteProtocolError(f"a batch changes a row of {name} twice")
        return Applied(moved=moved, rows_by_table=rows_by_table)

    def _join_changes(
        self,
        table: ReplicatedTable,
        layout: Layout,
        rows: DecodedRows,
        hashes: Sequence[bytes],
        stamp: Stamp,
        my_vector: VersionVector,
        seen: Seen,
    ) -> RowsMoved:
        row_ids = [row[0] for row in rows]
        bulk = layout == table.layout
        # Only a whole row can be new: the others are edits and ends, and are looked up as such.
        known = self._merge.known(table, row_ids) if bulk else {}
        if bulk and not known and all(row[1] == 1 for row in rows) and all_plain(table, rows):
            if len(set(row_ids)) != len(row_ids):
                raise RemoteProtocolError("a batch changes a row twice")
            return self._merge.insert_new(table, rows, hashes, [(len(rows), stamp)])
        moved = RowsMoved()
        if not bulk:
            moved, rows = self._merge.edit(table, layout, rows, stamp, seen.here)
        new: list[int] = []
        others: dict[RowId, RowState] = {}
        for position, row in enumerate(rows):
            if bulk and row[1] == 1 and row[0] not in known and is_plain(table, row):
                new.append(position)
                continue
            row_id, state = read_state(table, layout, row, stamp, ())
            _check_own(state, stamp, seen.stated)
            if row_id in others:
                raise RemoteProtocolError("a batch changes a row twice")
            others[row_id] = renamed_row(table.name, row_id, state, seen.renaming) if seen.renaming else state
        if new:
            if len({rows[position][0] for position in new}) != len(new):
                raise RemoteProtocolError("a batch changes a row twice")
            moved += self._merge.insert_new(
                table, [rows[p] for p in new], [hashes[p] for p in new], [(len(new), stamp)]
            )
        if others:
            moved += join_states(self._merge, table, others, stamp, my_vector, seen.here)
        return moved


def join_states(
    merge: Merge,
    table: ReplicatedTable,
    rows: dict[RowId, RowState],
    stamp: Stamp | None,
    mine: VersionVector,
    theirs: VersionVector,
) -> RowsMoved:
    """Join states one by one; raises RemoteProtocolError where one cannot be merged."""
    try:
        return merge.join(table, rows, stamp=stamp, my_vector=mine, their_vector=theirs)
    except MergeError as error:
        raise RemoteProtocolError(f"a row of {table.name} cannot be merged") from error


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

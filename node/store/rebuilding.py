"""Rebuilds damaged rows from the change log of the very store, where it still holds all that made them.

All batches of a stream that tell of a row are joined once more, in the order in which they came. What comes of it is
put in the place of the damaged row only if it is proven to be what stood there: it has the hash that is kept beside the
row, now or before batches that came while the row was damaged; or, where that hash is damaged too, its hash is just
what the other rows lack of the stream's digest. A row that came with a snapshot, or whose batches were compacted, is
not proven and stays as it is.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from crdt.digest import EMPTY_DIGEST, move_digest, sum_hashes
from crdt.errors import MergeError
from crdt.identifiers import DeviceId, Origin, RowId
from crdt.identifiers import Sequence as SequenceNumber
from crdt.row import RowState, hash_row, join_rows, prove_row
from crdt.strategies import text
from crdt.strategies.text import Text
from crdt.version_vector import VersionVector
from node.store.adoption import disturb
from node.store.catalogue import ReplicatedTable
from node.store.change_log import RowsMoved
from node.store.damage import TAKEN_OUT, ScrubReport
from node.store.dependencies import Dependencies
from node.store.re_authoring import Renaming, renamed_row
from node.store.repair import remove
from node.store.repetition import changes_of
from node.store.row_state import IDS, ids_blob, in_context, met
from node.store.store_parts import Pending, StoreParts
from sync.batch import Batch, UnknownAuthor, open_batch
from sync.errors import RemoteProtocolError
from sync.identifiers import RealmId
from sync.streams import Stream

_BYTES_PER_SLICE = 256 * 1024

#: A row by table and id.
RowName = tuple[str, RowId]


@dataclass(slots=True)
class _Fold:
    """One row as the log tells it so far; `kept` is the hash beside the damaged row, b"" where there is none."""

    kept: bytes
    row: RowState | None = None
    hash: bytes = b""
    is_proven: bool = False
    was_alive: bool = False


class Rebuilding:
    """The rows of one store that a scrub found damaged; `rebuilt` are those that were put back."""

    def __init__(
        self,
        parts: StoreParts,
        realm_id: RealmId,
        sign_public: Callable[[DeviceId], bytes | None],
        report: ScrubReport,
    ) -> None:
        """Rebuild what `report` names; `sign_public` knows every member, past and present."""
        self._parts = parts
        self._realm_id = realm_id
        self._sign_public = sign_public
        self._dependencies = Dependencies(parts.database, parts.origins, parts.log)
        self._last_position = 0
        self._seqs_by_stream: dict[Stream, dict[Origin, SequenceNumber]] = {}
        self._fold_by_row: dict[RowName, _Fold] = {}
        self.rebuilt: list[RowName] = []
        ids_by_table: dict[str, list[bytes]] = {}
        for found in report.damage:
            if found.kind in TAKEN_OUT:
                ids_by_table.setdefault(found.where, []).append(found.key)
        for name, row_ids in ids_by_table.items():
            table = parts.catalogue.held_table(name)
            kept = parts.database.query(
                f"SELECT k, r.hash FROM {IDS} LEFT JOIN {table.row_table} r ON r.id = k",
                (ids_blob(row_ids), len(row_ids)),
            )
            self._fold_by_row.update(((name, RowId(row_id)), _Fold(row_hash or b"")) for row_id, row_hash in kept)
            base = parts.log.base(table.stream).vector()
            self._seqs_by_stream.setdefault(table.stream, dict(base.seq_by_origin))

    def fold(self) -> Iterator[None]:
        """Read the log, yielding after each slice; raises StorageError."""
        while self._fold_by_row and (positions := self._following()):
            for position in positions:
                self._take(position)
            self._last_position = positions[-1]
            yield

    def put_back(self, pending: Pending) -> None:
        """Put what is proven in the place of rows that are damaged still, within the open transaction."""
        for _ in self.fold():
            # What came since the last slice.
            pass
        for stream in self._seqs_by_stream:
            vector = pending.progress.state(stream).frontier.vector()
            waiting = {
                (table.name, row_id): fold
                for table, row_ids in self._by_table(self._fold_by_row, stream)
                for row_id in self._damaged(table, row_ids, vector)
                if (fold := self._fold_by_row[table.name, row_id]).row is not None
            }
            kept = pending.progress.state(stream).digest
            unproven = {name: fold for name, fold in waiting.items() if not fold.is_proven}
            if unproven and self._completes(stream, unproven, kept):
                for fold in unproven.values():
                    # The digest holds these hashes: nothing moves.
                    fold.is_proven, fold.kept = True, fold.hash
                    fold.was_alive = fold.row is not None and fold.row.alive
            self._replace(pending, stream, {name: fold for name, fold in waiting.items() if fold.is_proven})

    def _following(self) -> list[int]:
        """Return the positions of the next batches of the streams concerned."""
        streams = ", ".join(str(int(stream)) for stream in self._seqs_by_stream)
        sizes = self._parts.database.query(
            f"SELECT position, length(raw) FROM _batch WHERE position > ? AND stream IN ({streams})"
            " ORDER BY position LIMIT 64",
            (self._last_position,),
        )
        chosen: list[int] = []
        total = 0
        for position, length in sizes:
            total += length
            if chosen and total > _BYTES_PER_SLICE:
                break
            chosen.append(position)
        return chosen

    def _take(self, position: int) -> None:
        rows = self._parts.database.query("SELECT raw FROM _batch WHERE position = ?", (position,))
        if not rows:
            return
        try:
            batch = open_batch(rows[0][0], self._realm_id, self._sign_public)
        except (RemoteProtocolError, UnknownAuthor):
            # It is damaged itself, and the scrub says so; rows that it told of are not proven without it.
            return
        header = batch.header
        seqs = self._seqs_by_stream[header.stream]
        concerned = [change for change in changes_of(batch) if (change[0], change[1]) in self._fold_by_row]
        if concerned:
            self._join(batch, concerned, VersionVector(dict(seqs)))
        seqs[header.origin] = SequenceNumber(max(header.seq, seqs.get(header.origin, 0)))

    def _join(self, batch: Batch, changes: Iterable[tuple[str, RowId, RowState]], vector: VersionVector) -> None:
        names = self._dependencies.names_since(batch.header)
        stamp = batch.header.stamp
        renaming = Renaming(old=stamp, new=stamp, earlier=names) if names else None
        for table, row_id, stated in changes:
            fold = self._fold_by_row[table, row_id]
            change = renamed_row(table, row_id, stated, renaming) if renaming else stated
            try:
                joined = join_rows(fold.row, change) if fold.row is not None else change
            except MergeError:
                continue
            fold.row = met(in_context(joined, vector), stamp)
            fold.hash = hash_row(table, prove_row(row_id, fold.row))
            if fold.hash == fold.kept:
                fold.is_proven, fold.was_alive = True, fold.row.alive

    def _by_table(self, names: Iterable[RowName], stream: Stream) -> Iterator[tuple[ReplicatedTable, list[RowId]]]:
        row_ids_by_table: dict[str, list[RowId]] = {}
        for name, row_id in names:
            row_ids_by_table.setdefault(name, []).append(row_id)
        for name, row_ids in row_ids_by_table.items():
            table = self._parts.catalogue.held_table(name)
            if table.stream is stream:
                yield table, row_ids

    def _damaged(self, table: ReplicatedTable, row_ids: Sequence[RowId], vector: VersionVector) -> list[RowId]:
        """Return those rows that are damaged still: some may have been replaced or deleted meanwhile."""
        stored, damaged = self._parts.states.read_proven(table, row_ids, vector)
        standing = {
            row[0]
            for row in self._parts.database.query(
                f"SELECT t.id FROM {IDS} JOIN main.{table.name} t ON t.id = k", (ids_blob(row_ids), len(row_ids))
            )
        }
        for row_id, one in stored.items():
            texts = (cell for cell in one.row.cell_by_column.values() if isinstance(cell, Text))
            if (row_id in standing and not one.row.alive) or not all(map(text.is_whole, texts)):
                damaged.add(row_id)
        return [row_id for row_id in row_ids if row_id in damaged]

    def _completes(self, stream: Stream, unproven: Mapping[RowName, _Fold], digest: bytes) -> bool:
        """Tell whether the hashes of rebuilt rows are what all the others lack of the digest."""
        total = sum_hashes(fold.hash for fold in unproven.values())
        for table in self._parts.catalogue.held_tables:
            if table.stream is stream:
                rows = self._parts.database.query(f"SELECT id, hash FROM {table.row_table}")
                total += sum_hashes(row_hash for row_id, row_hash in rows if (table.name, row_id) not in unproven)
        return move_digest(EMPTY_DIGEST, added=total, removed=0) == digest

    def _replace(self, pending: Pending, stream: Stream, folds: Mapping[RowName, _Fold]) -> None:
        parts = self._parts
        vector = pending.progress.state(stream).frontier.vector()
        for table, row_ids in self._by_table(folds, stream):
            remove(parts.database, table, row_ids, index_text=parts.full_text)
            states = {
                row_id: in_context(row, vector)
                for row_id in row_ids
                if (row := folds[table.name, row_id].row) is not None
            }
            parts.merge.show(table, states)
            hashes = parts.states.write(table, states)
            kept = [folds[table.name, row_id] for row_id in row_ids]
            moved = RowsMoved(
                added=sum_hashes(hashes),
                removed=sum_hashes(fold.kept for fold in kept),
                rows=sum(state.alive for state in states.values()) - sum(fold.was_alive for fold in kept),
            )
            pending.progress.touch(stream, moved)
            disturb(table, states, pending.disturbed)
            self.rebuilt += [(table.name, row_id) for row_id in row_ids]

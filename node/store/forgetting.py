"""Takes every trace of an ended row out of the store: history, losing versions, and its words in the change log.

A batch in the log is signed over salted hashes of its changes, so a change can be replaced by its hash and the batch
still verifies, is still forwarded, and still moves frontiers. Batches are large, and a row may have been changed in
many: which ones are to be rewritten is written down in the transaction that ends the row, and worked off afterwards,
a bound at a time, also after a restart. Only changes that gave the row life go; the delete itself, which holds no
content, stays.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from crdt.identifiers import RowId, Stamp, stamp_origin, stamp_seq
from crdt.row import RowState
from crdt.strategies.register import Register
from node.store.catalogue import ReplicatedTable
from node.store.conflict_log import purge_conflicts
from node.store.database import Database
from node.store.history import FROM_ENTRIES, History, Step
from node.store.origins import Origins
from node.store.row_state import IDS, ids_blob
from sync.batch import forget_changes
from sync.streams import Stream

_QUEUE = "INSERT INTO _to_forget (stream, origin, seq, row_id, generation)"
_KEEP_LATEST = " ON CONFLICT DO UPDATE SET generation = max(generation, excluded.generation)"


class Drained(NamedTuple):
    """What one round of rewriting did: batches rewritten, and whether some are left."""

    batches: int
    left: bool


class Forgetting:
    """The end of rows in one store."""

    __slots__ = ("_database", "_history", "_origins", "pending")

    def __init__(self, database: Database, origins: Origins, history: History) -> None:
        """Work on `database`; `pending` tells whether batches wait to be rewritten."""
        self._database = database
        self._origins = origins
        self._history = history
        self.pending = self._waiting()

    def reload(self) -> None:
        """Look again what is waiting, after a rollback may have taken it back."""
        self.pending = self._waiting()

    def _waiting(self) -> bool:
        return bool(self._database.query("SELECT EXISTS (SELECT 1 FROM _to_forget)")[0][0])

    def rename(self, stream: Stream, old: Stamp, new: Stamp) -> None:
        """Look for what is still to be forgotten of one batch in the one that was written in its place."""
        self._database.change(
            "UPDATE OR REPLACE _to_forget SET origin = ?, seq = ? WHERE stream = ? AND origin = ? AND seq = ?",
            (
                self._origins.number(stamp_origin(new)),
                stamp_seq(new),
                int(stream),
                self._origins.number(stamp_origin(old)),
                stamp_seq(old),
            ),
        )

    def follow(self, table: ReplicatedTable, stamp: Stamp | None, steps: Sequence[Step]) -> None:
        """Write down what changes did to known rows, and let go of the rows that they ended.

        `stamp` is that of the batch which made all changes, None for a page of rows of many authors.
        """
        lived: list[Step] = []
        ended: list[Step] = []
        late: list[Step] = []
        for step in steps:
            if step.after.generation > step.before.generation:
                if step.before.alive:
                    ended.append(step)
            elif step.written.generation < step.after.generation:
                if step.written.alive:
                    late.append(step)
            elif step.after.alive:
                lived.append(step)
        if lived:
            self._history.note(table, stamp, lived)
        if ended:
            self._end(table, ended)
        if late:
            self._meet_late(table, late)

    def _end(self, table: ReplicatedTable, ended: Sequence[Step]) -> None:
        groups: dict[int, list[RowId]] = {}
        for step in ended:
            groups.setdefault(step.after.generation, []).append(step.row_id)
        for generation, group in groups.items():
            self._database.change(
                f"{_QUEUE} SELECT ?3, h.origin, h.seq, k, ?4 {FROM_ENTRIES}"
                f" WHERE h.table_name = ?5 AND h.generation % 2 = 1{_KEEP_LATEST}",
                (ids_blob(group), len(group), int(table.stream), generation, table.name),
            )
        self._queue(table, ((step.row_id, step.before, step.after.generation) for step in ended))
        if replaced := self._history.replaced([step.row_id for step in ended]):
            ends = {bytes(step.row_id): step.after.generation for step in ended if step.row_id in replaced}
            self._look_everywhere(table, ends)
        for generation, group in groups.items():
            purge_conflicts(self._database, group, generation)
            self._history.purge(group, generation)
        self._history.note_ends(
            table, {step.row_id: (step.after.born, step.after.generation) for step in ended if not step.after.alive}
        )

    def _meet_late(self, table: ReplicatedTable, late: Sequence[Step]) -> None:
        """Let go of changes by someone who did not know of the row's end: merged to nothing, and their words go too."""
        self._queue(table, ((step.row_id, step.written, step.after.generation) for step in late))

    def _queue(self, table: ReplicatedTable, lives: Iterable[tuple[RowId, RowState, int]]) -> None:
        """Note the batches that made a row's state, to be rewritten without the row's lives before a generation."""
        rows_by_batch: dict[tuple[Stamp, int], list[RowId]] = {}
        for row_id, state, generation in lives:
            for stamp in _stamps(state):
                rows_by_batch.setdefault((stamp, generation), []).append(row_id)
        for (stamp, generation), row_ids in rows_by_batch.items():
            self._database.change(
                f"{_QUEUE} SELECT ?3, ?4, ?5, k, ?6 FROM {IDS} WHERE true{_KEEP_LATEST}",
                (
                    ids_blob(row_ids),
                    len(row_ids),
                    int(table.stream),
                    self._origins.number(stamp_origin(stamp)),
                    stamp_seq(stamp),
                    generation,
                ),
            )
        self.pending = True

    def replace(self, table: ReplicatedTable, generation_by_id: Mapping[bytes, int], stamp: Stamp) -> None:
        """Follow rows that came from another device for damaged ones, of which nobody knows which batches made them.

        Lives that ended meanwhile are let go of now, the present one when it ends.
        """
        self._look_everywhere(table, {row_id: number for row_id, number in generation_by_id.items() if number > 1})
        self._history.note_replaced(
            table, {row_id: number for row_id, number in generation_by_id.items() if number % 2 == 1}, stamp
        )

    def _look_everywhere(self, table: ReplicatedTable, generation_by_id: Mapping[bytes, int]) -> None:
        """Let go of the lives of rows before a generation, looking through all of the stream's log."""
        for generation in sorted(set(generation_by_id.values())):
            row_ids = [row_id for row_id, its_own in generation_by_id.items() if its_own == generation]
            self._database.change(
                f"{_QUEUE} SELECT ?3, b.origin, b.seq, k, ?4 FROM {IDS} JOIN _batch b"
                f" WHERE b.stream = ?3{_KEEP_LATEST}",
                (ids_blob(row_ids), len(row_ids), int(table.stream), generation),
            )
            purge_conflicts(self._database, row_ids, generation)
            self._history.purge(row_ids, generation)
            self.pending = True

    def drain(self, *, batches_max: int, bytes_max: int) -> Drained:
        """Rewrite some waiting batches, within the open transaction: about so many, and so many bytes of them."""
        waiting = self._database.query(
            "SELECT DISTINCT f.stream, f.origin, f.seq, b.position, length(b.raw) FROM _to_forget f LEFT JOIN _batch b"
            " ON b.stream = f.stream AND b.origin = f.origin AND b.seq = f.seq LIMIT ?",
            (batches_max + 1,),
        )
        done = bytes_done = 0
        for stream, origin, seq, position, length in waiting[:batches_max]:
            if done and bytes_done + (length or 0) > bytes_max:
                break
            if position is not None:
                # What came by snapshot, or was compacted, is not in the log.
                self._rewrite(stream, origin, seq, position)
            self._database.change(
                "DELETE FROM _to_forget WHERE stream = ? AND origin = ? AND seq = ?", (stream, origin, seq)
            )
            done += 1
            bytes_done += length or 0
        self.pending = done < len(waiting)
        return Drained(done, self.pending)

    def _rewrite(self, stream: int, origin: int, seq: int, position: int) -> None:
        generation_by_row: dict[bytes, int] = dict(
            self._database.query(
                "SELECT row_id, generation FROM _to_forget WHERE stream = ? AND origin = ? AND seq = ?",
                (stream, origin, seq),
            )
        )
        raw = self._database.query("SELECT raw FROM _batch WHERE position = ?", (position,))[0][0]
        self._database.change(
            "UPDATE _batch SET raw = ? WHERE position = ?", (forget_changes(raw, generation_by_row), position)
        )


def _stamps(state: RowState) -> set[Stamp]:
    return {state.born, *(cell.stamp for cell in state.cell_by_column.values() if isinstance(cell, Register))}

"""Turns what a local transaction touched into row states, changes and signed batches, before it commits."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

import msgspec

from crdt.digest import sum_hashes
from crdt.errors import MergeError
from crdt.identifiers import HybridTime, Origin, RowId, Stamp, make_stamp
from crdt.row import Layout, RowState, hash_bodies, hash_prefix, hash_row, join_rows, spell_row
from crdt.version_vector import VersionVector
from node.errors import ConstraintError, StorageError
from node.store import full_text
from node.store.bulk_insert import bindable
from node.store.capture import Capture, TouchedRow, TouchedTable, measured_columns
from node.store.catalogue import Catalogue, ReplicatedTable
from node.store.cells_at_rest import damaged_row
from node.store.change_log import Progress, RowsMoved
from node.store.conflict_log import settle_conflicts
from node.store.database import Database, Row
from node.store.disturbed import Disturbed
from node.store.forgetting import Forgetting
from node.store.history import Step
from node.store.own_changes import change_of, corrections, new_row
from node.store.plain_edits import PlainEdits
from node.store.plainness import split_plain
from node.store.references import check_references, settle_references
from node.store.row_state import RowStates
from sync.batch import SALT_BYTES, BatchDraft, OwnChange, make_batch
from sync.errors import LocalProtocolError
from sync.identifiers import RealmId
from sync.streams import Stream

_encode = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """Who writes: this device in this realm; the store adds its own incarnation."""

    device_id: bytes
    realm_id: RealmId
    sign_seed: bytes = field(repr=False)


@dataclass(slots=True)
class _Draft:
    """The changes of one stream's batch as they are collected."""

    stamp: Stamp
    vector: VersionVector
    layouts: dict[tuple[str, Layout], int] = field(default_factory=dict)
    changes: list[OwnChange] = field(default_factory=list)
    changes_by_table: dict[str, int] = field(default_factory=dict)
    moved: RowsMoved = field(default_factory=RowsMoved)
    disturbed: Disturbed = field(default_factory=Disturbed)

    def layout_index(self, table: str, layout: Layout) -> int:
        return self.layouts.setdefault((table, layout), len(self.layouts))

    def add(self, table: ReplicatedTable, row_id: RowId, row: RowState) -> None:
        spelled = spell_row(row_id, row)
        row_hash = hash_row(table.name, spelled)
        self.changes.append((self.layout_index(table.name, spelled.layout), spelled.body, row_hash))


class Authoring:
    """Everything that happens between a person's SQL and COMMIT."""

    __slots__ = (
        "_author",
        "_capture",
        "_catalogue",
        "_database",
        "_forgetting",
        "_full_text",
        "_origin",
        "_plain_edits",
        "_states",
        "_take",
    )

    def __init__(
        self,
        *,
        database: Database,
        catalogue: Catalogue,
        capture: Capture,
        states: RowStates,
        forgetting: Forgetting,
        plain_edits: PlainEdits,
        author: Author,
        origin: Origin,
        take_entropy: Callable[[int], bytes],
        index_text: bool,
    ) -> None:
        """Write as `author` under `origin`."""
        self._database = database
        self._catalogue = catalogue
        self._capture = capture
        self._states = states
        self._forgetting = forgetting
        self._plain_edits = plain_edits
        self._author = author
        self._origin = origin
        self._take = take_entropy
        self._full_text = index_text

    @property
    def origin(self) -> Origin:
        """Under whom batches are written."""
        return self._origin

    def write_under(self, origin: Origin) -> None:
        """Write the next batches under another origin of this device."""
        self._origin = origin

    def flush(self, progress: Progress, hlc: HybridTime, counts: dict[str, int], *, computed_text: bool) -> Disturbed:
        """Author everything touched since capture began, and silence it; return what may disturb the derived state.

        `counts` grows by the number of changes by table.
        `computed_text` says that a statement may have made a text of its own, to be checked. `hlc` exceeds every time
        applied. Raises ConstraintError for a broken rule, StorageError for what is too large.
        """
        touched = self._capture.touched()
        if not touched:
            self._capture.silence()
            return Disturbed()
        settle_references(self._database, self._catalogue, touched)
        by_stream: dict[Stream, list[ReplicatedTable]] = {}
        for table in self._capture.touched():
            by_stream.setdefault(table.stream, []).append(table)
        group = self._take(16) if len(by_stream) > 1 else b""
        disturbed = Disturbed()
        self._capture.silence()
        for stream, tables in sorted(by_stream.items()):
            drafted = self._draft(progress, stream, tables, hlc, computed_text)
            if drafted.changes:
                self._append(progress, stream, drafted, hlc, group)
            for name, count in drafted.changes_by_table.items():
                counts[name] = counts.get(name, 0) + count
            for name, row_ids in drafted.disturbed.rows.items():
                disturbed.note(name, row_ids)
            disturbed.dead.update(drafted.disturbed.dead)
        return disturbed

    def _draft(
        self,
        progress: Progress,
        stream: Stream,
        tables: Sequence[ReplicatedTable],
        hlc: HybridTime,
        computed_text: bool,
    ) -> _Draft:
        frontier = progress.state(stream).frontier
        seq = frontier.entry(self._origin).seq + 1
        draft = _Draft(make_stamp(hlc, self._origin, seq), frontier.vector())
        for table in tables:
            before = len(draft.changes)
            self._author_table(draft, table, computed_text)
            draft.changes_by_table[table.name] = len(draft.changes) - before
            self._capture.clear(table)
        return draft

    def _append(self, progress: Progress, stream: Stream, draft: _Draft, hlc: HybridTime, group: bytes) -> None:
        frontier = progress.state(stream).frontier
        seq = frontier.entry(self._origin).seq + 1
        try:
            raw, batch_hash = make_batch(
                BatchDraft(
                    origin=self._origin,
                    stream=stream,
                    seq=seq,
                    prev=progress.head(stream, self._origin),
                    deps=frontier.dependencies(),
                    hlc=hlc,
                    schemas=self._catalogue.schemas,
                    group=group,
                    layouts=tuple(draft.layouts),
                    changes=draft.changes,
                ),
                salts=self._take(SALT_BYTES * len(draft.changes)),
                realm_id=self._author.realm_id,
                sign_seed=self._author.sign_seed,
            )
        except LocalProtocolError as error:
            raise StorageError(str(error)) from error
        progress.touch(stream, draft.moved)
        progress.append(stream, self._origin, seq, batch_hash, raw, hlc)

    def _author_table(self, draft: _Draft, table: ReplicatedTable, computed_text: bool) -> None:
        touched = self._capture.collect(table, measured=computed_text)
        _refuse_nul(touched)
        check_references(self._database, touched)
        plain, stated = split_plain(table, touched.fresh)
        if plain:
            self._author_plain(draft, table, plain)
        others = self._author_plain_edits(draft, table, touched.others)
        if stated or others:
            try:
                self._author_others(draft, table, stated, others)
            except MergeError as error:
                raise ConstraintError(f"A value written to {table.name} cannot be stored: {error}.") from error
        if self._full_text:
            mark = self._capture.mark_by_table[table.name]
            full_text.index_captured(self._database, table, mark, touched.rowids)

    def _author_plain(self, draft: _Draft, table: ReplicatedTable, rows: Sequence[Row]) -> None:
        """Author new rows whose spelling is just their values: the path that bulk writes take."""
        prefix = hash_prefix(table.name, table.layout, draft.stamp)
        index = draft.layout_index(table.name, table.layout)
        bodies = [_encode(row) for row in rows]
        hashes = hash_bodies(prefix, bodies)
        draft.changes.extend(zip(repeat(index), bodies, hashes))
        row_ids = [row[0] for row in rows]
        self._states.insert_fresh(table, row_ids, hashes, [(len(row_ids), draft.stamp)])
        draft.moved += RowsMoved(added=sum_hashes(hashes), rows=len(rows))

    def _author_plain_edits(
        self, draft: _Draft, table: ReplicatedTable, rows: Sequence[TouchedRow]
    ) -> Sequence[TouchedRow]:
        """Author edits of plain values; return the touched rows that are something else."""
        if not rows:
            return rows
        edits, changes, others = self._plain_edits.author(table, rows, draft.stamp, draft.vector)
        draft.changes.extend((draft.layout_index(table.name, layout), body, said) for layout, body, said in changes)
        draft.moved += self._plain_edits.write(table, edits, draft.stamp)
        return others

    def _author_others(
        self, draft: _Draft, table: ReplicatedTable, stated: Sequence[Row], touched: Sequence[TouchedRow]
    ) -> None:
        before_by_id = {row.row_id: row.before for row in touched if row.before is not None}
        row_ids = [row.row_id for row in touched]
        old_by_id, damaged = self._states.read_proven(table, row_ids, draft.vector, before_by_id)
        new: dict[RowId, RowState] = {}
        hidden: dict[RowId, dict[str, Any]] = {}
        written: dict[RowId, RowState] = {}
        shown: list[tuple[str, object, RowId]] = []
        steps: list[Step] = []
        removed = rows = 0
        for values in stated:
            row_id = RowId(values[0])
            state = new_row(table, row_id, 1, values[2:], draft.stamp)
            draft.add(table, row_id, state)
            new[row_id] = state
            rows += 1
            shown += corrections(table, row_id, state, values[2:])
        for row in touched:
            row_id = RowId(row.row_id)
            if row_id in damaged and row.after is not None:
                raise damaged_row(row_id)
            old = old_by_id.get(row.row_id)
            change = change_of(table, row, old, draft.stamp, draft.vector)
            if change is None:
                if old and row.after:
                    shown += corrections(table, row_id, old.row, row.after)
                continue
            draft.add(table, row_id, change)
            written[row_id] = change
            merged = join_rows(old.row, change) if old else change
            new[row_id] = merged
            if old:
                steps.append(Step(row_id, old.row, change, merged))
                draft.disturbed.note_written(table, row_id, old, merged)
                if merged.generation == old.row.generation:
                    kept = old.hidden.keys() - change.cell_by_column.keys()
                    hidden[row_id] = {name: old.hidden[name] for name in kept}
            removed += int.from_bytes(old.hash, "big") if old else 0
            rows += int(merged.alive) - int(old is not None and old.row.alive)
            if row.after is not None:
                shown += corrections(table, row_id, merged, row.after)
        for column, value, row_id in shown:
            mark, bound = bindable(table, column, value)
            self._database.change(f"UPDATE {table.name} SET {column} = {mark} WHERE id = ?", (bound, row_id))
        self._forgetting.follow(table, draft.stamp, steps)
        settle_conflicts(self._database, table, written, new, stamp=draft.stamp, vector=draft.vector)
        hashes = self._states.write(table, new, hidden)
        draft.moved += RowsMoved(added=sum_hashes(hashes), removed=removed, rows=rows)


def _refuse_nul(touched: TouchedTable) -> None:
    """Raise ConstraintError where a text holds a NUL: the binding cuts it there, and its stored length tells."""
    if touched.text_bytes is None:
        return
    standing = [row.after for row in touched.others if row.after is not None]
    length = 0
    for index in measured_columns(touched.table):
        texts = [row[index + 2] for row in touched.fresh] + [values[index] for values in standing]
        length += len("".join(filter(None, texts)).encode())
    if length != touched.text_bytes:
        raise ConstraintError(f"A text written to {touched.table.name} holds a NUL character; remove it first.")

"""Writes the end of a chain again under another origin, and follows where another device did so.

A device that finds the numbers of its last batches taken by others of its own (its store had gone back, or a clone
runs) writes these batches again under a fresh incarnation, with the same contents and times: `write_again`. Each new
batch names the one that it stands for. Who holds that one renames it as well (`follow`), so that a device that had
already received the abandoned end is not left with a chain that nobody continues. What was abandoned is remembered by
hash, and refused should it come once more.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from crdt.digest import sum_hashes
from crdt.identifiers import DeviceId, Origin, RowId, make_stamp, stamp_hlc, stamp_origin, stamp_seq
from crdt.row import hash_row, spell_row
from node.errors import StorageError
from node.store.authoring import Author
from node.store.catalogue import Catalogue
from node.store.change_log import ChangeLog, Progress, RowsMoved
from node.store.conflict_log import rename_conflicts
from node.store.database import Database
from node.store.forgetting import Forgetting
from node.store.history import History
from node.store.origins import Origins
from node.store.re_authoring import (
    NO_TOTALS,
    CounterCell,
    Renaming,
    Totals,
    counters_moved,
    renamed_change,
    renamed_row,
    step_between,
)
from node.store.repetition import changes_of
from node.store.row_state import RowStates
from sync.batch import SALT_BYTES, Batch, BatchDraft, OwnChange, make_batch, open_batch
from sync.errors import LocalProtocolError
from sync.frontier import NO_ENTRY, PREFIX_BYTES, Frontier, FrontierEntry
from sync.identifiers import BatchHash
from sync.limits import STANDS_FOR_MAX
from sync.streams import Stream

logger = logging.getLogger(__name__)

#: Gives the key that a device signs with.
SignPublic = Callable[[DeviceId], bytes | None]


class NewName(NamedTuple):
    """The batch as which another was written again."""

    origin: Origin
    seq: int
    hash: BatchHash

    @property
    def entry(self) -> FrontierEntry:
        """How a frontier names it."""
        return FrontierEntry(self.seq, self.hash[:PREFIX_BYTES])


class Rewriting:
    """The renaming of chains in one store, within its open transactions."""

    __slots__ = (
        "_any",
        "_author",
        "_catalogue",
        "_database",
        "_followed",
        "_forgetting",
        "_history",
        "_log",
        "_origins",
        "_states",
        "_take",
    )

    def __init__(
        self,
        *,
        database: Database,
        catalogue: Catalogue,
        states: RowStates,
        origins: Origins,
        log: ChangeLog,
        history: History,
        forgetting: Forgetting,
        author: Author,
        take_entropy: Callable[[int], bytes],
    ) -> None:
        """Sign as `author`."""
        self._database = database
        self._catalogue = catalogue
        self._states = states
        self._origins = origins
        self._log = log
        self._history = history
        self._forgetting = forgetting
        self._author = author
        self._take = take_entropy
        # Nearly every store has abandoned nothing, and asks this for every batch that comes.
        self._any = bool(database.query("SELECT EXISTS (SELECT 1 FROM _abandoned)")[0][0])
        self._followed: tuple[Stream, Origin, int, dict[CounterCell, Totals]] | None = None

    def reload(self) -> None:
        """Look again what was abandoned, after a rollback may have taken some back."""
        self._any = bool(self._database.query("SELECT EXISTS (SELECT 1 FROM _abandoned)")[0][0])
        self._followed = None

    def is_abandoned(self, stream: Stream, origin: Origin, seq: int, batch_hash: BatchHash) -> bool:
        """Tell whether its author wrote this very batch again under another origin."""
        return self._any and self._written_again_as(stream, origin, seq, batch_hash) is not None

    def write_again(
        self,
        progress: Progress,
        stream: Stream,
        old: Origin,
        new: Origin,
        *,
        after: int,
        sign_public: SignPublic,
        times: Mapping[int, int] = MappingProxyType({}),
        others: Mapping[Origin, int] = MappingProxyType({}),
    ) -> int:
        """Write this device's own batches of `old` behind number `after` again under `new`; return how many.

        `times` holds new times by old ones, where they change; `others` the number up to which each further chain of
        the same stream, that is written again along with this one, stays. Raises StorageError where the log does not
        hold all of the batches.
        """
        end = self._end_of_chain(progress, stream, old, after, sign_public)
        if end is None:
            raise StorageError(
                f"Changes of {stream.title} must be written again, but the log no longer holds them all. "
                "Pair this device anew; what it shows can be exported before."
            )
        words = self._words_before(stream, old, after, end, sign_public)
        seen = {origin: self._entry_at(stream, origin, seq) for origin, seq in {old: after, **others}.items()}
        again: dict[tuple[Origin, int], tuple[Origin, int]] = {}
        for batch in end:
            header = batch.header
            into = self._written_again_as(stream, old, header.seq, batch.hash)
            if into is not None:
                # In an earlier life, which this store does not remember; it came back from another device.
                seen[into.origin] = max(into.entry, seen.get(into.origin, NO_ENTRY))
                again[old, header.seq] = (into.origin, into.seq)
                self._steps(words, batch)
                continue
            before = progress.state(stream).frontier.entry(new)
            seq = before.seq + 1
            stamp = make_stamp(times.get(header.hlc, header.hlc), new, seq)
            steps = self._steps(words, batch)
            renaming = Renaming(old=header.stamp, new=stamp, step_by_cell=steps, earlier=again)
            deps = {dep.origin: FrontierEntry(dep.seq, dep.prefix) for dep in header.deps} | seen | {new: before}
            begun = self._counted(progress, stream, new, renaming.step_by_cell)
            self._rename(progress, batch, renaming)
            self._append_again(progress, batch, renaming, deps, begun)
            again[old, header.seq] = (new, seq)
        self._retreat(progress, stream, old, after)
        return len(end)

    def follow(self, progress: Progress, batch: Batch, sign_public: SignPublic) -> list[Batch]:
        """Rename what `batch`, which is about to be applied, stands for; return what was held of it.

        The abandoned end of a chain stays in the log until all of it was written again, and then leaves it at once.
        """
        stream, renamed = batch.header.stream, list[Batch]()
        for old, seq, batch_hash in batch.header.stands_for:
            self._note_abandoned(
                stream, old, seq, batch_hash, NewName(batch.header.origin, batch.header.seq, batch.hash)
            )
            if self._log.hash_of(stream, old, seq) != batch_hash:
                continue
            raw = self._log.raw_of(stream, old, seq)
            assert raw is not None
            held = open_batch(raw, self._author.realm_id, sign_public)
            renamed.append(held)
            words = self._words_at(progress, held, sign_public)
            steps = self._steps(words, held)
            self._followed = (stream, old, seq + 1, words)
            self._rename(progress, held, Renaming(old=held.header.stamp, new=batch.header.stamp, step_by_cell=steps))
            last = progress.state(stream).frontier.entry(old).seq
            after = self._last_kept(stream, old, last)
            if after < last:
                self._retreat(progress, stream, old, after)
                self._followed = None
        return renamed

    def _words_at(self, progress: Progress, batch: Batch, sign_public: SignPublic) -> dict[CounterCell, Totals]:
        """Return the totals that a chain had stated before `batch`, for every counter that it moves from there on.

        Batches are followed one after the other, so what was gone through for one serves the next. It depends on the
        chain alone, which a rollback does not change.
        """
        header = batch.header
        if self._followed is not None and self._followed[:3] == (header.stream, header.origin, header.seq):
            return self._followed[3]
        end = self._end_of_chain(progress, header.stream, header.origin, header.seq - 1, sign_public)
        return self._words_before(header.stream, header.origin, header.seq - 1, end or [batch], sign_public)

    def _last_kept(self, stream: Stream, origin: Origin, last: int) -> int:
        """Return the number of the last batch of a chain that was not abandoned."""
        head = self._log.hash_of(stream, origin, last)
        if head is not None and not self.is_abandoned(stream, origin, last, head):
            return last
        rows = self._database.query(
            "SELECT max(b.seq) FROM _batch b WHERE b.stream = ?1 AND b.origin = ?2 AND NOT EXISTS (SELECT 1 FROM"
            " _abandoned a WHERE a.stream = ?1 AND a.origin = ?2 AND a.seq = b.seq AND a.hash = b.hash)",
            (int(stream), self._origins.number_if_known(origin)),
        )
        return max(rows[0][0] or 0, min(self._log.base(stream).entry(origin).seq, last))

    def _written_again_as(self, stream: Stream, origin: Origin, seq: int, batch_hash: BatchHash) -> NewName | None:
        rows = self._database.query(
            "SELECT into_origin, into_seq, into_hash FROM _abandoned"
            " WHERE stream = ? AND origin = ? AND seq = ? AND hash = ?",
            (int(stream), self._origins.number_if_known(origin), seq, batch_hash),
        )
        return NewName(self._origins.origin(rows[0][0]), rows[0][1], BatchHash(rows[0][2])) if rows else None

    def _end_of_chain(
        self, progress: Progress, stream: Stream, origin: Origin, after: int, sign_public: SignPublic
    ) -> list[Batch] | None:
        """Return all batches behind number `after`, None where the log does not hold each of them."""
        stored = self._log.end_of_chain(stream, origin, after)
        last = progress.state(stream).frontier.entry(origin).seq
        if [batch.seq for batch in stored] != list(range(after + 1, last + 1)):
            return None
        return [open_batch(batch.raw, self._author.realm_id, sign_public) for batch in stored]

    def _rename(self, progress: Progress, batch: Batch, renaming: Renaming) -> None:
        """Rename a batch in the states and conflicts of the rows that it changed."""
        stream = batch.header.stream
        vector = progress.state(stream).frontier.vector()
        for name, row_ids in _rows_of(batch).items():
            table = self._catalogue.table(name)
            before = self._states.read(table, row_ids, vector)
            after = {
                RowId(row_id): renamed
                for row_id, stored in before.items()
                if (renamed := renamed_row(name, RowId(row_id), stored.row, renaming)) != stored.row
            }
            hidden = {row_id: before[row_id].hidden for row_id in after}
            hashes = self._states.write(table, after, hidden)
            removed = sum_hashes(before[row_id].hash for row_id in after)
            progress.touch(stream, RowsMoved(added=sum_hashes(hashes), removed=removed))
            rename_conflicts(self._database, name, row_ids, renaming.stamp)
            self._history.rename(name, row_ids, renaming.old, renaming.new)
        self._forgetting.rename(stream, renaming.old, renaming.new)

    def _retreat(self, progress: Progress, stream: Stream, origin: Origin, after: int) -> None:
        entry = self._entry_at(stream, origin, after)
        known = self._log.hash_of(stream, origin, after) if after else None
        progress.retreat(stream, origin, entry, known or entry.prefix)

    def _entry_at(self, stream: Stream, origin: Origin, seq: int) -> FrontierEntry:
        """Return number `seq` of a chain with its prefix; raises StorageError where neither log nor base tell it."""
        if not seq:
            return NO_ENTRY
        known = self._log.hash_of(stream, origin, seq)
        entry = FrontierEntry(seq, known[:PREFIX_BYTES]) if known else self._log.base(stream).entry(origin)
        if entry.seq != seq:
            raise StorageError(f"The log of {stream.title} has a gap; pair this device anew.")
        return entry

    def _words_before(
        self, stream: Stream, origin: Origin, after: int, end: Sequence[Batch], sign_public: SignPublic
    ) -> dict[CounterCell, Totals]:
        """Return the totals that a chain had last stated, up to number `after`, for each counter that `end` moves."""
        wanted: dict[CounterCell, tuple[Totals, bool]] = {}
        for batch in end:
            for table, row_id, change in changes_of(batch):
                whole = len(change.cell_by_column) == len(self._catalogue.table(table).columns)
                for cell, totals in counters_moved(table, row_id, change, origin).items():
                    wanted.setdefault(cell, (totals, whole))
        words: dict[CounterCell, Totals] = {}
        complete = True
        for seq in range(after, 0, -1):
            if len(words) == len(wanted):
                break
            raw = self._log.raw_of(stream, origin, seq)
            if raw is None:
                complete = False
                break
            for table, row_id, change in changes_of(open_batch(raw, self._author.realm_id, sign_public)):
                for cell, totals in counters_moved(table, row_id, change, origin).items():
                    if cell in wanted:
                        words.setdefault(cell, totals)
        for cell, (totals, whole) in wanted.items():
            if cell not in words and not (whole or complete):
                # Its earlier words were compacted away. The one step whose size cannot be known counts for neither.
                logger.warning("a step of a counter could not be written again", extra={"table": cell[0]})
                words[cell] = totals
        return words

    def _steps(self, words: dict[CounterCell, Totals], batch: Batch) -> dict[CounterCell, Totals]:
        """Return by how much a batch moved each counter, and let `words` be its totals."""
        steps: dict[CounterCell, Totals] = {}
        for table, row_id, change in changes_of(batch):
            for cell, totals in counters_moved(table, row_id, change, batch.header.origin).items():
                steps[cell] = step_between(words.get(cell, NO_TOTALS), totals)
                words[cell] = totals
        return steps

    def _counted(
        self, progress: Progress, stream: Stream, origin: Origin, cells: Iterable[CounterCell]
    ) -> dict[CounterCell, Totals]:
        """Return what an origin has counted in each cell so far."""
        ids_by_table: dict[str, set[RowId]] = {}
        for table, row_id, _, _ in cells:
            ids_by_table.setdefault(table, set()).add(row_id)
        counted: dict[CounterCell, Totals] = {}
        vector = progress.state(stream).frontier.vector()
        for table, row_ids in ids_by_table.items():
            for found, stored in self._states.read(self._catalogue.table(table), sorted(row_ids), vector).items():
                counted |= counters_moved(table, RowId(found), stored.row, origin)
        return counted

    def _append_again(
        self,
        progress: Progress,
        batch: Batch,
        renaming: Renaming,
        deps: Mapping[Origin, FrontierEntry],
        begun: Mapping[CounterCell, Totals],
    ) -> None:
        header, origin, seq = batch.header, stamp_origin(renaming.new), stamp_seq(renaming.new)
        old, hlc = header.origin, stamp_hlc(renaming.new)
        changes: list[OwnChange] = []
        layouts = {(table, layout): index for index, (table, layout) in enumerate(header.layouts)}
        for table, row_id, change in changes_of(batch):
            spelled = spell_row(row_id, renamed_change(table, row_id, change, renaming, begun))
            changes.append((layouts[table, spelled.layout], spelled.body, hash_row(table, spelled)))
        stands_for = (*header.stands_for, (old, header.seq, batch.hash))
        try:
            raw, batch_hash = make_batch(
                BatchDraft(
                    origin=origin,
                    stream=header.stream,
                    seq=seq,
                    prev=progress.head(header.stream, origin),
                    deps=Frontier({other: entry for other, entry in deps.items() if entry.seq}).dependencies(),
                    hlc=hlc,
                    schemas=header.schemas,
                    group=header.group,
                    layouts=header.layouts,
                    changes=changes,
                    forgotten=tuple(change for change in batch.changes if isinstance(change, bytes)),
                    stands_for=tuple(entry for entry in stands_for if entry[0] != origin)[-STANDS_FOR_MAX:],
                ),
                salts=self._take(SALT_BYTES * len(changes)),
                realm_id=self._author.realm_id,
                sign_seed=self._author.sign_seed,
            )
        except LocalProtocolError as error:
            raise StorageError(str(error)) from error
        self._note_abandoned(header.stream, old, header.seq, batch.hash, NewName(origin, seq, batch_hash))
        progress.append(header.stream, origin, seq, batch_hash, raw, hlc)

    def _note_abandoned(self, stream: Stream, old: Origin, seq: int, batch_hash: BatchHash, into: NewName) -> None:
        self._any = True
        self._database.change(
            "INSERT OR IGNORE INTO _abandoned VALUES (?, ?, ?, ?, ?, ?, ?)",
            (int(stream), self._origins.number(old), seq, batch_hash, self._origins.number(into.origin), *into[1:]),
        )


def _rows_of(batch: Batch) -> dict[str, list[bytes]]:
    """Return the rows that a batch changed, by table; a forgotten change's row has no content to be renamed."""
    ids_by_table: dict[str, list[bytes]] = {}
    for table, row_id, _ in changes_of(batch):
        ids_by_table.setdefault(table, []).append(row_id)
    return ids_by_table

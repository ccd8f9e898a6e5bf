"""Compares what lies in a store with what its hashes say: rows with row states, digests, change log, full-text index.

The engine's page cipher is not authenticated: a flipped bit on the disk decrypts to other bytes, and what is not
structure comes back as another text without a word. The row hashes tell. So does a row that was changed behind the
back of the triggers, by another program or a defect of ours.

The work is cut into slices of some milliseconds, so that a running node goes on meanwhile. A row is compared within one
statement, and is therefore right or wrong whatever is written around it; a digest is compared only if its stream did
not move while its rows were added up, else added up again, and given up as "not compared" after some attempts.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from crdt.digest import EMPTY_DIGEST, move_digest, sum_hashes
from crdt.identifiers import RowId
from crdt.row import hash_row, prove_row
from crdt.version_vector import VersionVector
from node.errors import StorageError
from node.store.catalogue import Catalogue, ReplicatedTable
from node.store.change_log import ChangeLog
from node.store.damage import Kind, ScrubReport
from node.store.database import Database, Row
from node.store.log_scrub import LogScrub
from node.store.pace import Pace
from node.store.row_state import RowStates
from node.store.text_scrub import scrub_text
from node.store.verification import has_whole_texts
from sync.streams import Stream

_SUMMING_ATTEMPTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrubProgress:
    """How far a scrub is, in rows and batches; `total` is what was there when it began."""

    done: int
    total: int


@dataclass(slots=True)
class _Sum:
    """The rows of one stream so far: the sum of their stored hashes, and how many live."""

    hashes: int = 0
    living: int = 0
    whole: bool = True


class Scrub:
    """One passage through a store; `report` is complete once `slices` has ended."""

    def __init__(
        self,
        *,
        database: Database,
        catalogue: Catalogue,
        states: RowStates,
        log: ChangeLog,
        log_scrub: LogScrub,
        monotonic_seconds: Callable[[], float],
        report: ScrubReport,
        full_text: bool = True,
    ) -> None:
        """Compare the committed state of a store; nothing is written."""
        self._database = database
        self._catalogue = catalogue
        self._states = states
        self._log = log
        self._log_scrub = log_scrub
        self._pace = Pace(monotonic_seconds)
        self._full_text = full_text
        self.report = report

    def slices(self) -> Iterator[ScrubProgress]:
        """Do the work, yielding after each slice; other work of the store may be done in between."""
        # What lies in memory was read before the damage; the disk is what is asked.
        self._database.query("PRAGMA shrink_memory")
        states = self._log.view().streams
        total = sum(state.rows for state in states.values()) + self._log_scrub.total()
        for _ in self._steps():
            done = self.report.rows + self.report.batches
            yield ScrubProgress(done=done, total=max(done, total))

    def _steps(self) -> Iterator[None]:
        for stream in Stream:
            yield from self._stream(stream)
        yield from self._log_scrub.slices(self.report, self._pace)
        if self._full_text:
            for table in self._catalogue.tables:
                if table.full_text_table is not None:
                    yield from scrub_text(self._database, table, self.report, self._pace)

    # Rows

    def _stream(self, stream: Stream) -> Iterator[None]:
        tables = [table for table in self._catalogue.held_tables if table.stream == stream]
        begun = self._log.view().stream(stream)
        total = _Sum()
        for table in tables:
            yield from self._table(table, total)
        for _ in range(_SUMMING_ATTEMPTS):
            if not total.whole:
                return
            now = self._log.view().stream(stream)
            if (now.digest, now.rows) == (begun.digest, begun.rows):
                if move_digest(EMPTY_DIGEST, added=total.hashes, removed=0) != now.digest:
                    self.report.note(Kind.DIGEST_WRONG, stream.title)
                if total.living != now.rows:
                    self.report.note(Kind.COUNT_WRONG, stream.title)
                return
            begun, total = now, _Sum()
            for table in tables:
                yield from self._add_up(table, total)
        self.report.not_compared.append(stream.title)

    def _table(self, table: ReplicatedTable, total: _Sum) -> Iterator[None]:
        last = b""
        while True:
            self._pace.begin()
            try:
                rows = self._following(table, last)
                until = rows[-1][0] if rows else None
                stateless = self._stateless(table, last, until)
            except StorageError:
                if self._pace.size > 1:
                    self._pace.single()
                    continue
                total.whole = False
                skipped = self._skip(table, last)
                if skipped is None:
                    return
                last = skipped
                continue
            self._examine(table, rows, total)
            for row_id in stateless:
                self.report.note(Kind.ROW_STATE_LOST, table.name, row_id)
            yield
            if until is None:
                return
            last = until
            self._pace.end()

    def _following(self, table: ReplicatedTable, last: bytes) -> list[Row]:
        """Return the rows after `last` as `RowStates.from_row` takes them, with whether the row stands after the hash.

        Texts come as their bytes: the binding panics on those that are no valid UTF-8 and cuts them at a NUL.
        A living row may be kept out of its table (derived.py); then its row state holds the true values.
        """
        return self._database.query(
            "SELECT r.id, r.generation, r.hlc, r.origin, r.seq, r.cells, r.hash, t.id IS NOT NULL,"
            f" {table.selected_as_bytes_of('t')}"
            f" FROM {table.row_table} r LEFT JOIN main.{table.name} t ON t.id = r.id WHERE r.id > ?"
            " ORDER BY r.id LIMIT ?",
            (last, self._pace.size),
        )

    def _skip(self, table: ReplicatedTable, last: bytes) -> bytes | None:
        """Note that what comes after `last` cannot be read; return where to go on, None where that is not known."""
        try:
            following = self._database.query(
                f"SELECT id FROM {table.row_table} WHERE id > ? ORDER BY id LIMIT 1", (last,)
            )
        except StorageError:
            self.report.note(Kind.TABLE_UNREADABLE, table.name)
            return None
        if not following:
            # The row states are read to their end; what fails is the search for rows that have none.
            self.report.note(Kind.TABLE_UNREADABLE, table.name)
            return None
        row_id: bytes = following[0][0]
        self.report.note(Kind.ROW_UNREADABLE, table.name, row_id)
        return row_id

    def _examine(self, table: ReplicatedTable, rows: Sequence[Row], total: _Sum) -> None:
        vector = self._log.view().stream(table.stream).frontier.vector()
        for row in rows:
            self.report.rows += 1
            stands, *stored = row[7:]
            row_id, generation, row_hash = row[0], row[1], row[6]
            total.hashes += int.from_bytes(row_hash, "big")
            total.living += generation % 2
            if stands and not generation % 2:
                self.report.note(Kind.ROW_RISEN, table.name, row_id)
            elif not self._matches(table, (*row[:7], *stored), vector):
                self.report.note(Kind.ROW_CHANGED if stands else Kind.ROW_LOST, table.name, row_id)

    def _matches(self, table: ReplicatedTable, row: Row, vector: VersionVector) -> bool:
        try:
            values = [
                value.decode() if column.type == "TEXT" and value is not None else value
                for column, value in zip(table.columns, row[7:], strict=True)
            ]
            stored = self._states.from_row(table, (*row[:7], *values), vector)
            # An edited text keeps more than its hash tells of; that it is whole, its changes prove.
            return (
                has_whole_texts(stored.row)
                and hash_row(table.name, prove_row(RowId(row[0]), stored.row)) == stored.hash
            )
        except Exception:  # noqa: BLE001  damaged bytes can make anything fail on the way to the hash; it is no match
            return False

    def _stateless(self, table: ReplicatedTable, after: bytes, until: bytes | None) -> list[bytes]:
        """Return the rows in (after, until] that have no row state; `until` None is the end."""
        bound, parameters = ("", (after,)) if until is None else (" AND t.id <= ?", (after, until))
        rows = self._database.query(
            f"SELECT t.id FROM main.{table.name} t WHERE t.id > ?{bound}"
            f" AND NOT EXISTS (SELECT 1 FROM {table.row_table} r WHERE r.id = t.id)",
            parameters,
        )
        return [row[0] for row in rows]

    def _add_up(self, table: ReplicatedTable, total: _Sum) -> Iterator[None]:
        last = b""
        while True:
            self._pace.begin()
            try:
                rows = self._database.query(
                    f"SELECT id, hash, generation % 2 FROM {table.row_table} WHERE id > ? ORDER BY id LIMIT ?",
                    (last, self._pace.size),
                )
            except StorageError:
                total.whole = False
                return
            if not rows:
                return
            total.hashes += sum_hashes(row[1] for row in rows)
            total.living += sum(row[2] for row in rows)
            last = rows[-1][0]
            yield
            self._pace.end()

"""One device's replica: plain SQL in, signed batches out, batches of peers merged; each in one durable transaction."""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from hashlib import blake2b

from crdt.hybrid_clock import HybridClock
from crdt.identifiers import DeviceId, HybridTime, Origin, RowId, make_origin, uuid7
from crdt.values import Scalar
from node.clock import Clock
from node.entropy import Entropy
from node.store.address_book import AddressBook
from node.store.adoption import adopt, tables_to_adopt
from node.store.authoring import Author
from node.store.catalogue import Catalogue
from node.store.chain_upkeep import ChainUpkeep
from node.store.change_log import StoredBatch
from node.store.compaction import compact
from node.store.conflict_log import age_conflicts, count_conflicts
from node.store.database import Row
from node.store.health import StoreHealth
from node.store.history import DAYS_KEPT, History
from node.store.incarnations import Cause, Minted, last_minted, mint
from node.store.inspection import Inspection
from node.store.name_clashes import NameClash, earliest_named, name_clashes
from node.store.receiving import ApplyReport
from node.store.repair import add_up, take_out
from node.store.row_state import IDS, ids_blob
from node.store.signed_pages import SignedPages
from node.store.statements import check_parameters, examine
from node.store.store_parts import ChangeNotice, Pending, SnapshotPage, StoreParts
from node.store.transaction import Transaction
from sync.frontier import Frontier, ReplicaView
from sync.identifiers import RealmId
from sync.roster import RosterState
from sync.snapshot import START, Manifest, RowKey
from sync.streams import Stream

#: One piece of upkeep: some 20 ms of work.
REWRITTEN_BATCHES_MAX = 32
REWRITTEN_BYTES_MAX = 2**20
AGED_ENTRIES_MAX = 5_000

logger = logging.getLogger(__name__)


class Store:
    """The replica. Every call is synchronous and made from one thread: the binding holds the interpreter's lock."""

    __slots__ = ("_author", "_clock", "_entropy", "_last_id", "_parts", "activity", "chains")

    def __init__(self, parts: StoreParts, author: Author, clock: Clock, entropy: Entropy) -> None:
        """Use `opening.create_store` or `opening.open_store` instead."""
        self._parts = parts
        self._author = author
        self._clock = clock
        self._entropy = entropy
        self._last_id = 0
        # How often it was read or written: whoever sees the same number twice has seen it idle.
        self.activity = 0
        self.chains = ChainUpkeep(parts, author, clock, partial(self._committing, local=False), self._mint)

    @property
    def origin(self) -> Origin:
        """Device and incarnation under which this store writes."""
        return self._parts.authoring.origin

    @property
    def realm_id(self) -> RealmId:
        """The realm this replica belongs to."""
        return self._author.realm_id

    @property
    def catalogue(self) -> Catalogue:
        """The replicated tables."""
        return self._parts.catalogue

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Open a write transaction; on leaving it everything is committed with its batches, or nothing is."""
        with self._committing(local=True) as pending:
            self._parts.capture.begin()
            transaction = Transaction(
                self._parts.database, self._parts.catalogue, self._parts.capture, self._parts.verification
            )
            yield transaction
            pending.computed_text = transaction.computed_text

    @contextmanager
    def _committing(self, *, local: bool) -> Iterator[Pending]:
        parts = self._parts
        self.activity += 1
        parts.database.begin()
        pending = Pending(progress=parts.log.progress())
        progress, origin = pending.progress, self.origin
        before = dict(progress.states)
        try:
            yield pending
            captured = local or parts.derived.settle(pending.disturbed)
            while captured:
                hlc = HybridClock(progress.clock).next(self._clock.now_milliseconds())
                disturbed = parts.authoring.flush(
                    progress, hlc, pending.changes_by_table, computed_text=pending.computed_text
                )
                captured = parts.derived.settle(disturbed)
            progress.persist()
            parts.database.commit()
        except BaseException:
            parts.database.rollback()
            parts.origins.reload()
            parts.foreign.reload()
            parts.forgetting.reload()
            parts.authoring.write_under(origin)
            raise
        parts.log.install(progress)
        if pending.minted is not None:
            parts.guard.minted(pending.minted)
        elif own := progress.appended_of(self.origin):
            parts.guard.committed(own)
        changed = frozenset(stream for stream, state in progress.states.items() if before.get(stream) is not state)
        if changed:
            notice = ChangeNotice(
                streams=changed,
                changes_by_table=pending.changes_by_table,
                local=local,
                went_back=progress.went_back,
            )
            self._notify(notice)

    def _notify(self, notice: ChangeNotice) -> None:
        for subscriber in list(self._parts.subscribers):
            try:
                subscriber(notice)
            except Exception:
                # The commit is durable by now; its writer must not be told that it failed.
                logger.exception("a subscriber to commits failed")

    def adopt(self) -> None:
        """Show what newer versions wrote before this one declared it, damaged rows excepted; raises StorageError."""
        parts, damaged = self._parts, 0
        for table in tables_to_adopt(parts.database, parts.catalogue):
            with self._committing(local=False) as pending:
                vector = pending.progress.state(table.stream).frontier.vector()
                damaged += adopt(parts.database, parts.states, parts.merge, table, vector, pending.disturbed)
        if damaged:
            self.health().note_damage(damaged, self._clock.now_milliseconds())

    def subscribe(self, subscriber: Callable[[ChangeNotice], None]) -> Callable[[], None]:
        """Call `subscriber` after every commit that changed a stream; returns what ends the subscription."""
        self._parts.subscribers.append(subscriber)
        return lambda: self._parts.subscribers.remove(subscriber)

    def query(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Return the rows of one reading statement; outside a transaction the connection refuses to write."""
        self.activity += 1
        check_parameters(examine(sql), len(parameters))
        return self._parts.database.execute(sql, parameters).rows

    def new_row_id(self) -> RowId:
        """Return a UUIDv7 greater than the last one given, even within one millisecond."""
        # A counter of 12 bits takes the place of rand_a and carries into the time (RFC 9562 section 6.2, method 1).
        self._last_id = max(self._clock.now_milliseconds() << 12, self._last_id + 1)
        counter = self._last_id & 0x0FFF
        return uuid7(self._last_id >> 12, counter.to_bytes(2, "big") + self._entropy.take(8))

    def is_forgotten(self, table: str, row_ids: Sequence[bytes]) -> set[RowId]:
        """Return those of `row_ids` that once stood in `table` and were deleted."""
        if not row_ids:
            return set()
        row_table = self._parts.catalogue.table_by_name[table].row_table
        rows = self._parts.database.query(
            f"SELECT r.id FROM {IDS} JOIN {row_table} r ON r.id = k WHERE r.generation % 2 = 0",
            (ids_blob(row_ids), len(row_ids)),
        )
        return {RowId(row[0]) for row in rows}

    def require_whole(self, table: str, row_ids: Sequence[bytes]) -> None:
        """Raise DamagedRowError where a row is not what its hash says."""
        self._parts.verification.require_whole(table, row_ids)

    def note_listed(self, table: str, row_ids: Sequence[bytes]) -> None:
        """Have rows that were handed out verified when there is time."""
        self._parts.verification.note_listed(table, row_ids)

    def verify_listed(self, rows_max: int) -> int:
        """Verify rows that were handed out; return how many of them are damaged, which is kept for the status."""
        damaged = self._parts.verification.verify_listed(rows_max)
        if damaged:
            self.health().note_damage(damaged, self._clock.now_milliseconds())
        return damaged

    def view(self) -> ReplicaView:
        """Return frontiers, digests and row counts of all streams, as of the last commit."""
        return self._parts.log.view()

    def conflicts(self) -> int:
        """Return how many losing versions are kept."""
        return count_conflicts(self._parts.database)

    def derived_count(self) -> int:
        """Return how many living rows are out of sight or show another reference, because of what was deleted."""
        return self._parts.derived.count()

    def name_clashes(self) -> list[NameClash]:
        """Return the names that several rows bear, with these rows."""
        return name_clashes(self._parts.database, self._parts.catalogue)

    def earliest_named(self, table: str, *name: Scalar) -> RowId | None:
        """Return the row of this name, of several the one made first, None if there is none."""
        return earliest_named(self._parts.database, self._parts.catalogue.table_by_name[table], name)

    def log_base(self, stream: Stream) -> Frontier:
        """Return what came by snapshot: batches that it covers are not in the log."""
        return self._parts.log.base(stream)

    def read_batches(self, stream: Stream, after: Frontier, bytes_max: int) -> list[StoredBatch]:
        """Return batches not covered by `after`, in causal order, about `bytes_max` bytes, at least one if any."""
        return self._parts.log.read(stream, after, bytes_max)

    def apply_batches(
        self,
        raws: Sequence[bytes],
        roster: RosterState,
        now_milliseconds: int,
        joining: Collection[Stream] = (),
    ) -> ApplyReport:
        """Verify and merge batches of peers in one durable transaction.

        `joining` are the streams of which a snapshot is being received: batches that it will claim are held for it.
        Raises RemoteProtocolError for a malformed or wrongly signed batch; then nothing of the call was applied.
        """
        report = ApplyReport()
        with self._committing(local=False) as pending:
            self._parts.receiving.apply(
                raws, pending.progress, roster, now_milliseconds, report, pending.disturbed, joining
            )
            self._mint_if_met(pending, report.origins_changed)
            pending.changes_by_table.update(report.changes_by_table)
        return report

    def snapshot_manifest(self, stream: Stream) -> Manifest:
        """Return what a snapshot begun now is of."""
        return self.pages().manifest(stream, self._entropy.take(16))

    def pages(self) -> SignedPages:
        """Return what makes pages of rows for a peer, and compares ranges of them."""
        return SignedPages(self._parts, self._author)

    def place_snapshot(self, manifest: Manifest) -> RowKey:
        """Return up to which row an earlier attempt at a snapshot of this stream has come, START if there was none."""
        with self._committing(local=False) as pending:
            return self._parts.partials.place(manifest, pending.progress.state(manifest.stream).frontier)

    def read_page(self, manifest: Manifest, index: int, cursor: RowKey | None, bytes_max: int) -> SnapshotPage:
        """Return the signed page `index` of a snapshot, of the rows that follow `cursor` (None: of the first rows)."""
        return self.pages().read(manifest, index, cursor or START, bytes_max)

    def apply_page(self, raw: bytes, manifest: Manifest, sender: DeviceId, roster: RosterState) -> int:
        """Join a page that `sender` made and return its number of rows; one that repairs also replaces damaged rows.

        Raises RemoteProtocolError, and then nothing was changed.
        """
        with self._committing(local=False) as pending:
            counts = self._parts.receiving.apply_page(
                raw, manifest, sender, roster, pending.progress, self._clock.now_milliseconds(), pending.disturbed
            )
            pending.changes_by_table.update(counts)
        return sum(counts.values())

    def adopt_snapshot(self, manifest: Manifest) -> None:
        """Take over the frontier of a snapshot all of whose pages were applied."""
        with self._committing(local=False) as pending:
            self._mint_if_met(pending, self._parts.receiving.adopt(manifest, pending.progress))

    def _mint_if_met(self, pending: Pending, origins_changed: Collection[Origin]) -> None:
        """Never write on under an incarnation whose batches come from elsewhere: this store had gone back."""
        if self.origin in origins_changed:
            self._mint(pending, Cause.FORKED)

    def _mint(self, pending: Pending, cause: Cause) -> None:
        pending.minted = mint(self._parts.database, self._entropy, self._clock, cause)
        self._parts.authoring.write_under(make_origin(self._author.device_id, pending.minted))

    def compact(self, stable: Mapping[Stream, Frontier], batches_max: int) -> int:
        """Drop at most `batches_max` batches that `stable`, what all devices hold, covers; return how many."""
        parts = self._parts
        with self._committing(local=False):
            return compact(parts.database, parts.origins, parts.log, stable, batches_max)

    def statements(self) -> list[bytes]:
        """Return all roster statements held."""
        return [row[0] for row in self._parts.database.query("SELECT raw FROM _statement ORDER BY hash")]

    def add_statements(self, raws: Sequence[bytes]) -> None:
        """Keep roster statements, durably; those held already change nothing."""
        rows = [(_hash(raw), raw) for raw in raws]
        self._parts.database.begin()
        try:
            self._parts.database.change_many("INSERT OR IGNORE INTO _statement VALUES (?, ?)", rows)
            self._parts.database.commit()
        except BaseException:
            self._parts.database.rollback()
            raise

    def drop_statements(self, raws: Sequence[bytes]) -> None:
        """Drop roster statements that mean nothing any more: Beats of which a later one is held."""
        self._parts.database.begin()
        try:
            self._parts.database.change_many("DELETE FROM _statement WHERE hash = ?", [(_hash(raw),) for raw in raws])
            self._parts.database.commit()
        except BaseException:
            self._parts.database.rollback()
            raise

    def maintain(self) -> bool:
        """Do one bounded piece of upkeep; return whether there is more to do at once.

        Batches that hold words of forgotten rows are rewritten, and history older than 90 days says no more.
        """
        parts = self._parts
        parts.database.begin()
        try:
            left = False
            if parts.forgetting.pending:
                left = parts.forgetting.drain(batches_max=REWRITTEN_BATCHES_MAX, bytes_max=REWRITTEN_BYTES_MAX).left
            aged = parts.history.age(AGED_ENTRIES_MAX)
            oldest_milliseconds = self._clock.now_milliseconds() - DAYS_KEPT * 24 * 3600 * 1000
            age_conflicts(parts.database, HybridTime(max(oldest_milliseconds, 0) << 16))
            parts.database.commit()
        except BaseException:
            parts.database.rollback()
            parts.forgetting.reload()
            raise
        return left or aged == AGED_ENTRIES_MAX

    @property
    def history(self) -> History:
        """Who changed what, for readers."""
        return self._parts.history

    @property
    def upkeep_waits(self) -> bool:
        """Whether words of forgotten rows are still to be taken out of the log."""
        return self._parts.forgetting.pending

    @property
    def inspection(self) -> Inspection:
        """What readers of conflicts and history ask beside SQL."""
        return Inspection(self._parts)

    def recompute_digest(self, stream: Stream) -> bytes:
        """Return the digest of a stream from its stored row hashes, for checks."""
        return self._parts.receiving.recompute_digest(stream)

    def last_minted(self) -> Minted:
        """Return under which incarnation this store writes, since when and why."""
        return last_minted(self._parts.database)

    def take_out(self, row_ids_by_table: Mapping[str, Sequence[bytes]]) -> None:
        """Forget this replica's own copy of damaged rows, for another's to come in their place; raises StorageError."""
        parts = self._parts
        with self._committing(local=False) as pending:
            take_out(parts.database, parts.catalogue, pending.progress, row_ids_by_table, index_text=parts.full_text)

    def add_up(self, streams: Iterable[Stream]) -> None:
        """Make digests and row counts of `streams` what their rows give, all of which a scrub found whole."""
        with self._committing(local=False) as pending:
            add_up(self._parts.database, self._parts.catalogue, pending.progress, streams)

    def health(self) -> StoreHealth:
        """Return what tells of the store's condition."""
        return StoreHealth(self._parts, self._author.realm_id, partial(self._committing, local=False))

    def address_book(self) -> AddressBook:
        """Return where other devices were met."""
        return AddressBook(self._parts.database)

    def rest(self) -> None:
        """Move the write-ahead log into the file, and give the memory of the page cache back; up to half a second.

        What is asked next is read from the disk again.
        """
        self.checkpoint()
        self._parts.database.query("PRAGMA shrink_memory")

    def checkpoint(self) -> None:
        """Move the write-ahead log into the file."""
        self._parts.database.checkpoint()

    def close(self) -> None:
        """Close the store; nothing may be called afterwards."""
        self._parts.guard.close()
        self._parts.database.close()


def _hash(raw: bytes) -> bytes:
    return blake2b(raw, digest_size=32).digest()

"""Carries batches and pages of peers through admission, merge and log, within one open transaction."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import partial

from crdt.digest import EMPTY_DIGEST, move_digest, sum_hashes
from crdt.hybrid_clock import hybrid_milliseconds
from crdt.identifiers import DeviceId, Origin, Stamp, stamp_hlc
from node.store.authoring import Author
from node.store.catalogue import Catalogue, NewerSchemaError
from node.store.change_log import ChangeLog, Progress, ProgressMark
from node.store.database import Database
from node.store.dependencies import Dependencies
from node.store.disturbed import Disturbed
from node.store.incoming import Applied, Incoming, RowsByTable
from node.store.incoming_pages import ArrivedRows, IncomingPages
from node.store.origins import Origins
from node.store.repair import make_way
from node.store.repetition import repeats
from node.store.rewriting import Rewriting
from node.store.snapshot_partials import SnapshotPartials
from node.store.verification import Verification
from sync.batch import Batch, BatchHeader, UnknownAuthor, open_batch
from sync.errors import RemoteProtocolError
from sync.frontier import EMPTY_FRONTIER, PREFIX_BYTES, Frontier, FrontierEntry
from sync.limits import CLOCK_AHEAD_MILLISECONDS_MAX
from sync.replica import UNKNOWN_AUTHOR, Admission, Verdict, admit
from sync.roster import RosterState
from sync.snapshot import REPAIR_ID, Manifest, open_page
from sync.streams import Stream

ABANDONED = "its author wrote it again under another name, after its store had gone back or was cloned"
_NEWER = "it was written by a newer version of Nuthatch; update this device"
_IN_SNAPSHOT = "it is on its way as part of the present state"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldBatch:
    """A batch that may be applied later; it is neither applied nor acknowledged."""

    raw: bytes
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedBatch:
    """A batch that will never be applied, and why."""

    origin: Origin
    seq: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork:
    """A chain of which two versions exist; they differ at `seq` or before."""

    stream: Stream
    origin: Origin
    seq: int


@dataclass(slots=True, kw_only=True)
class ApplyReport:
    """What became of the batches of one call.

    `forked` names chains of which two versions exist.
    """

    applied: int = 0
    duplicates: int = 0
    changes_by_table: dict[str, int] = field(default_factory=dict)
    streams_changed: set[Stream] = field(default_factory=set)
    origins_changed: set[Origin] = field(default_factory=set)
    forked: set[Fork] = field(default_factory=set)
    held: list[HeldBatch] = field(default_factory=list)
    refused: list[RefusedBatch] = field(default_factory=list)


class Receiving:
    """The passage of peers' batches into the store."""

    __slots__ = (
        "_author",
        "_catalogue",
        "_database",
        "_dependencies",
        "_incoming",
        "_incoming_pages",
        "_index_text",
        "_log",
        "_origins",
        "_partials",
        "_rewriting",
        "_verification",
    )

    def __init__(
        self,
        *,
        database: Database,
        catalogue: Catalogue,
        origins: Origins,
        incoming: Incoming,
        incoming_pages: IncomingPages,
        log: ChangeLog,
        partials: SnapshotPartials,
        rewriting: Rewriting,
        verification: Verification,
        author: Author,
        index_text: bool,
    ) -> None:
        """Receive for the replica of `author`."""
        self._verification = verification
        self._index_text = index_text
        self._database = database
        self._catalogue = catalogue
        self._origins = origins
        self._incoming = incoming
        self._incoming_pages = incoming_pages
        self._log = log
        self._partials = partials
        self._rewriting = rewriting
        self._dependencies = Dependencies(database, origins, log)
        self._author = author

    def apply(
        self,
        raws: Sequence[bytes],
        progress: Progress,
        roster: RosterState,
        now_milliseconds: int,
        report: ApplyReport,
        disturbed: Disturbed,
        joining: Collection[Stream],
    ) -> None:
        """Verify and apply batches in the given order, each whole or not at all; `report` says what became of them.

        `joining` are the streams of which a snapshot is being received: what it will claim waits for it. `disturbed`
        grows by what may change the derived state. Raises RemoteProtocolError for the first that is
        malformed or wrongly signed; the caller rolls everything back.
        """
        self._dependencies.reload()
        # One at a time: a bundle of well compressed batches may inflate to a thousand times its size.
        for raw in raws:
            try:
                batch = open_batch(raw, self._author.realm_id, roster.sign_public)
            except UnknownAuthor:
                report.held.append(HeldBatch(raw=raw, reason=UNKNOWN_AUTHOR.reason))
                continue
            header = batch.header
            frontier = progress.state(header.stream).frontier
            standing_of = partial(self._dependencies.standing, header.stream, frontier, roster.active)
            admission = admit(header, batch.hash, frontier, now_milliseconds, standing_of)
            if admission.verdict is Verdict.DUPLICATE and self._is_other_than_held(batch):
                admission = Admission(Verdict.FORK, "this device wrote another batch under that number")
            if admission.verdict is Verdict.APPLY and not roster.accepts(header.stream, header.origin, header.seq):
                report.refused.append(_refused(batch, "its author was revoked"))
                continue
            if admission.verdict in (Verdict.APPLY, Verdict.FORK) and self._rewriting.is_abandoned(
                header.stream, header.origin, header.seq, batch.hash
            ):
                report.refused.append(_refused(batch, ABANDONED))
                continue
            if admission.verdict is Verdict.APPLY and self._comes_by_snapshot(header, joining):
                report.held.append(HeldBatch(raw=raw, reason=_IN_SNAPSHOT))
                continue
            match admission.verdict:
                case Verdict.DUPLICATE:
                    report.duplicates += 1
                case Verdict.HOLD:
                    report.held.append(HeldBatch(raw=raw, reason=admission.reason))
                    for origin, seq, _ in admission.disputed:
                        report.forked.add(Fork(stream=header.stream, origin=origin, seq=seq))
                case Verdict.FORK:
                    report.refused.append(_refused(batch, admission.reason))
                    held_seq = frontier.entry(header.origin).seq
                    report.forked.add(Fork(stream=header.stream, origin=header.origin, seq=min(header.seq, held_seq)))
                case Verdict.APPLY:
                    self._note(self._apply_one(batch, progress, roster, report), disturbed)

    def _is_other_than_held(self, batch: Batch) -> bool:
        """Tell whether a batch of this very device differs from the one that it holds under the same number.

        Others' chains are compared by sessions; of its own every sign counts, as it shows that this store went back.
        """
        header = batch.header
        if batch.author != self._author.device_id:
            return False
        return self._log.hash_of(header.stream, header.origin, header.seq) not in (None, batch.hash)

    def _comes_by_snapshot(self, header: BatchHeader, joining: Collection[Stream]) -> bool:
        """Tell whether a batch is among those that an unfinished snapshot will claim.

        Applied now it could bring back an element of a set whose removal a page has brought already, and which no
        batch would remove any more once the snapshot is adopted. Where no one sends that snapshot any longer, it is
        given up instead: then everything beyond the frontier comes as batches, the removal too.
        """
        claimed = self._partials.claim(header.stream)
        if claimed is None or not claimed.covers(header.origin, header.seq):
            return False
        if header.stream not in joining:
            self._partials.give_up(header.stream)
        return header.stream in joining

    def _apply_one(self, batch: Batch, progress: Progress, roster: RosterState, report: ApplyReport) -> RowsByTable:
        header = batch.header
        before = progress.mark()
        self._database.change("SAVEPOINT batch")
        try:
            names = self._dependencies.names_since(header)
            known = self._rewriting.follow(progress, batch, roster.sign_public)
            frontier = progress.state(header.stream).frontier
            if known:
                # All of it was here under another name, and what is not here any more was taken out since.
                entry = FrontierEntry(header.seq, batch.hash[:PREFIX_BYTES])
                frontier = frontier.advanced(header.origin, entry)
            applied = self._incoming.apply_batch(batch, frontier.vector(), names)
            if not all(repeats(batch, held) for held in known):
                raise RemoteProtocolError("it does not repeat what it stands for: its author signed two accounts of it")
        except NewerSchemaError:
            self._back_to_savepoint(progress, before)
            report.held.append(HeldBatch(raw=batch.raw, reason=_NEWER))
            return {}
        except RemoteProtocolError as error:
            # Its author signed what cannot be merged. The peer that passed it on may be innocent, so the rest flows.
            self._back_to_savepoint(progress, before)
            report.refused.append(_refused(batch, str(error)))
            return {}
        finally:
            self._database.change("RELEASE batch")
            if header.stands_for:
                self._dependencies.reload()
        progress.touch(header.stream, applied.moved)
        progress.append(header.stream, header.origin, header.seq, batch.hash, batch.raw, header.hlc)
        report.applied += 1
        report.streams_changed.add(header.stream)
        report.origins_changed.add(header.origin)
        report.origins_changed.update(origin for origin, _, _ in header.stands_for)
        self._count(applied, report.changes_by_table)
        return applied.rows_by_table

    def _back_to_savepoint(self, progress: Progress, before: ProgressMark) -> None:
        self._database.change("ROLLBACK TO batch")
        progress.take_back(before)
        self._origins.reload()
        self._incoming.reload()
        self._rewriting.reload()
        self._dependencies.reload()

    def apply_page(
        self,
        raw: bytes,
        manifest: Manifest,
        sender: DeviceId,
        roster: RosterState,
        progress: Progress,
        now_milliseconds: int,
        disturbed: Disturbed,
    ) -> dict[str, int]:
        """Join a page of the snapshot that `manifest` announced, or of a repair; return its rows by table.

        `disturbed` grows by what may change the derived state.
        """
        public = roster.sign_public(sender)
        if public is None:
            raise RemoteProtocolError("a snapshot page comes from a device that is not known")
        page = open_page(raw, self._author.realm_id, sender, public)
        if page.header.snapshot_id != manifest.snapshot_id or page.header.stream != manifest.stream:
            raise RemoteProtocolError("a page belongs to another snapshot")
        try:
            arrived = self._incoming_pages.decode(page)
        except NewerSchemaError as error:
            raise RemoteProtocolError(f"a snapshot page cannot be read: {_NEWER}") from error
        if repairing := manifest.snapshot_id == REPAIR_ID:
            self._replace_damaged(arrived, progress)
        else:
            self._partials.advance(page.header.after, [rows.bounds() for rows in arrived], manifest)
        my_vector = progress.state(manifest.stream).frontier.vector()
        applied = self._incoming_pages.join(arrived, my_vector, manifest.frontier.vector(), repairing=repairing)
        progress.touch(manifest.stream, applied.moved)
        stamps = set(applied.leaf_stamps).union(*(section.all_stamps() for section in page.sections))
        latest = stamp_hlc(Stamp(max(stamps, default=b"")))
        if hybrid_milliseconds(latest) > now_milliseconds + CLOCK_AHEAD_MILLISECONDS_MAX:
            # This device's own next stamp exceeds every one it applied; a far one would carry its clock along.
            raise RemoteProtocolError("a snapshot page holds a stamp from more than 24 hours ahead")
        progress.observe(latest)
        counts: dict[str, int] = {}
        self._count(applied, counts)
        self._note(applied.rows_by_table, disturbed)
        return counts

    def _replace_damaged(self, arrived: Sequence[ArrivedRows], progress: Progress) -> None:
        """Take out rows that fail their own hash, and of which another device's copy arrived."""
        row_ids_by_table: dict[str, list[bytes]] = {}
        for rows in arrived:
            row_ids_by_table.setdefault(rows.table.name, []).extend(rows.row_ids)
        if damaged := self._verification.damaged_by_table(row_ids_by_table):
            make_way(self._database, self._catalogue, progress, damaged, index_text=self._index_text)

    def adopt(self, manifest: Manifest, progress: Progress) -> set[Origin]:
        """Take over what a snapshot may claim all of whose pages were applied; return whose batches are new here."""
        current = progress.state(manifest.stream).frontier
        claimed = self._partials.take(manifest) or EMPTY_FRONTIER
        news = {origin: entry for origin, entry in claimed.entries.items() if entry.seq > current.entry(origin).seq}
        self._log.raise_base(manifest.stream, Frontier(news))
        for origin, entry in news.items():
            progress.advance(manifest.stream, origin, entry, entry.prefix)
        return set(news)

    def recompute_digest(self, stream: Stream) -> bytes:
        """Return the sum of all stored row hashes of a stream."""
        total = 0
        for table in self._catalogue.held_tables:
            if table.stream == stream:
                total += sum_hashes(row[0] for row in self._database.query(f"SELECT hash FROM {table.row_table}"))
        return move_digest(EMPTY_DIGEST, added=total, removed=0)

    def _count(self, applied: Applied, counts: dict[str, int]) -> None:
        for name, rows in applied.rows_by_table.items():
            if name in self._catalogue.foreign:
                continue
            counts[name] = counts.get(name, 0) + len(rows)

    def _note(self, arrived: RowsByTable, disturbed: Disturbed) -> None:
        for name, groups in arrived.items():
            table = self._catalogue.table_by_name.get(name)
            if table is None:
                continue
            disturbed.note_arrived(table, groups, is_parent=bool(self._catalogue.children[name]))


def _refused(batch: Batch, reason: str) -> RefusedBatch:
    return RefusedBatch(origin=batch.header.origin, seq=batch.header.seq, reason=reason)

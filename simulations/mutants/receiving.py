"""Planted bugs in how batches and snapshots of peers are taken in."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from crdt.identifiers import DeviceId
from crdt.row import RowState
from node.store import full_text, merge, receiving
from node.store.change_log import Progress
from node.store.dependencies import Dependencies
from node.store.incoming import Applied
from node.store.incoming_pages import IncomingPages
from node.store.receiving import ApplyReport, Receiving
from node.store.store import Store
from simulations.mutants.registry import STATE_CHECKS, Mutant, focused, replaced
from sync.batch import Batch, BatchHeader
from sync.frontier import PREFIX_BYTES, Dependency, Frontier, FrontierEntry
from sync.identifiers import BatchHash
from sync.replica import Admission, Standing, Verdict, admit
from sync.roster import RosterState
from sync.snapshot import Manifest
from sync.streams import Stream

_KILLS = focused(kill=0.3, devices=3, steps=60, statements_max=3)
_SNAPSHOTS = focused(tables=("drill_settings", "drill_items"), snapshot=0.3, devices=3, steps=60)
_SET_BACK = focused(tables=("drill_settings", "drill_items"), restore=0.1, unnoticed=0.9, devices=3, steps=80, kill=0.0)
_JUMPS = focused(jump=0.3, devices=3)

StandingOf = Callable[[Dependency], Standing]
Admit = Callable[[BatchHeader, BatchHash, Frontier, int, StandingOf], Admission]


def _admitting(change: Callable[[BatchHeader, Frontier], tuple[BatchHeader, Frontier]]) -> Admit:
    def admitting(
        header: BatchHeader, batch_hash: BatchHash, frontier: Frontier, now: int, standing_of: StandingOf
    ) -> Admission:
        return admit(*_in_order(change(header, frontier), batch_hash, now), standing_of)

    return admitting


def _in_order(
    pair: tuple[BatchHeader, Frontier], batch_hash: BatchHash, now: int
) -> tuple[BatchHeader, BatchHash, Frontier, int]:
    return pair[0], batch_hash, pair[1], now


def _past_gaps(header: BatchHeader, frontier: Frontier) -> tuple[BatchHeader, Frontier]:
    if header.seq <= frontier.entry(header.origin).seq + 1:
        return header, frontier
    return header, frontier.advanced(header.origin, FrontierEntry(header.seq - 1, header.prev[:PREFIX_BYTES]))


def _without_deps(header: BatchHeader, frontier: Frontier) -> tuple[BatchHeader, Frontier]:
    return _copy(header), frontier


def _copy(header: BatchHeader) -> BatchHeader:
    fields = {name: getattr(header, name) for name in header.__struct_fields__}
    return BatchHeader(**{**fields, "deps": ()})


def _never_too_early(
    header: BatchHeader, batch_hash: BatchHash, frontier: Frontier, now: int, standing_of: StandingOf
) -> Admission:
    return admit(header, batch_hash, frontier, 2**60, standing_of)


def _duplicates_applied(
    header: BatchHeader, batch_hash: BatchHash, frontier: Frontier, now: int, standing_of: StandingOf
) -> Admission:
    admission = admit(header, batch_hash, frontier, now, standing_of)
    return Admission(Verdict.APPLY) if admission.verdict is Verdict.DUPLICATE else admission


@contextmanager
def _frontier_first() -> Iterator[None]:
    original = Receiving._apply_one

    def apply_one(
        self: Receiving, batch: Batch, progress: Progress, roster: RosterState, report: ApplyReport
    ) -> object:
        header = batch.header
        before = progress.state(header.stream)
        progress.append(header.stream, header.origin, header.seq, batch.hash, batch.raw, header.hlc)
        progress.persist()
        self._database.commit()
        self._database.begin()
        self._database.change("DELETE FROM _batch WHERE hash = ?", (batch.hash,))
        progress.states[header.stream] = before
        return original(self, batch, progress, roster, report)

    with replaced(Receiving, "_apply_one", apply_one):
        yield


@contextmanager
def _batch_by_batch() -> Iterator[None]:
    original = Receiving._apply_one

    def apply_one(
        self: Receiving, batch: Batch, progress: Progress, roster: RosterState, report: ApplyReport
    ) -> object:
        answer = original(self, batch, progress, roster, report)
        progress.persist()
        self._database.commit()
        self._database.begin()
        return answer

    with replaced(Receiving, "_apply_one", apply_one):
        yield


@contextmanager
def _snapshot_replaces() -> Iterator[None]:
    original = IncomingPages.join

    def theirs(mine: RowState, arrived: RowState) -> RowState:
        return arrived

    def join(self: IncomingPages, *args: object, **kwargs: object) -> Applied:
        with replaced(merge, "join_rows", theirs):
            return original(self, *args, **kwargs)  # type: ignore[arg-type]

    with replaced(IncomingPages, "join", join):
        yield


@contextmanager
def _adopted_early() -> Iterator[None]:
    original = Store.apply_page

    def apply_page(self: Store, raw: bytes, manifest: Manifest, sender: bytes, roster: RosterState) -> int:
        rows = original(self, raw, manifest, sender, roster)  # type: ignore[arg-type]
        self.adopt_snapshot(manifest)
        return rows

    with replaced(Store, "apply_page", apply_page):
        yield


@contextmanager
def _all_but_the_oldest() -> Iterator[None]:
    original = Store.read_batches

    def read_batches(self: Store, stream: Stream, after: Frontier, bytes_max: int) -> Sequence[object]:
        return original(self, stream, after, bytes_max)[1:] or original(self, stream, after, bytes_max)

    with replaced(Store, "read_batches", read_batches):
        yield


@contextmanager
def _stale_manifest() -> Iterator[None]:
    original = Store.snapshot_manifest

    def snapshot_manifest(self: Store, stream: Stream) -> Manifest:
        manifest = original(self, stream)
        entries = {
            origin: FrontierEntry(entry.seq + 1, entry.prefix) for origin, entry in manifest.frontier.entries.items()
        }
        return replace(manifest, frontier=Frontier(entries))

    with replaced(Store, "snapshot_manifest", snapshot_manifest):
        yield


def _by_number(
    self: Dependencies, stream: Stream, frontier: Frontier, active: Collection[DeviceId], dependency: Dependency
) -> Standing:
    held = frontier.covers(dependency.origin, dependency.seq)
    return Standing.HELD if held else _standing(self, stream, frontier, active, dependency)


_standing = Dependencies.standing
_dependencies = Frontier.dependencies


def _named_by_number(self: Frontier) -> tuple[Dependency, ...]:
    return tuple(dependency._replace(prefix=bytes(PREFIX_BYTES)) for dependency in _dependencies(self))


def _nothing(*args: object, **kwargs: object) -> None:
    return None


RECEIVING = (
    Mutant(
        name="gap-accepted",
        says="a batch is applied although an earlier one of its author is missing",
        checks=("frontier", "holding", "merge"),
        plant=lambda: replaced(receiving, "admit", _admitting(_past_gaps)),
    ),
    Mutant(
        name="deps-not-checked",
        says="a batch is applied before what it builds on",
        checks=("frontier", "holding", "merge"),
        plant=lambda: replaced(receiving, "admit", _admitting(_without_deps)),
        focus=focused(tables=("drill_settings",), devices=4, steps=60, snapshot=0.0),
    ),
    Mutant(
        name="deps-compared-by-number",
        says="a batch that builds on a lost batch is taken for one that builds on the batch held under its number",
        checks=("frontier", "holding", "merge", "digest"),
        plant=lambda: replaced(Dependencies, "standing", _by_number),
        focus=_SET_BACK,
    ),
    Mutant(
        name="deps-name-numbers-alone",
        says="a batch names what it builds on without saying which of two batches under one number is meant",
        checks=("deps", "crash"),
        plant=lambda: replaced(Frontier, "dependencies", _named_by_number),
    ),
    Mutant(
        name="future-accepted",
        says="a batch from far ahead is applied at once",
        checks=("frontier", "holding", "merge"),
        plant=lambda: replaced(receiving, "admit", _never_too_early),
        focus=_JUMPS,
    ),
    Mutant(
        name="duplicates-applied",
        says="a batch that is held already is applied again",
        checks=("frontier", "idempotence", "crash", "digest"),
        plant=lambda: replaced(receiving, "admit", _duplicates_applied),
    ),
    Mutant(
        name="frontier-before-rows",
        says="the frontier is durable before the rows that it speaks of",
        checks=(*STATE_CHECKS, "frontier", "atomicity", "durability"),
        plant=_frontier_first,
        focus=_KILLS,
    ),
    Mutant(
        name="commit-batch-by-batch",
        says="a call's batches are committed one by one while memory moves at the end",
        checks=(*STATE_CHECKS, "frontier", "atomicity", "durability"),
        plant=_batch_by_batch,
        focus=_KILLS,
    ),
    Mutant(
        name="snapshot-replaces",
        says="a snapshot's rows replace the receiver's own instead of joining them",
        checks=STATE_CHECKS,
        plant=_snapshot_replaces,
        focus=_SNAPSHOTS,
    ),
    Mutant(
        name="snapshot-adopted-early",
        says="the frontier of a snapshot is adopted after its first page",
        checks=("frontier",),
        plant=_adopted_early,
        focus=_SNAPSHOTS,
    ),
    Mutant(
        name="snapshot-claims-too-much",
        says="a snapshot's frontier runs ahead of its rows",
        checks=("frontier", "refusal", "convergence", "digest"),
        plant=_stale_manifest,
        focus=_SNAPSHOTS,
    ),
    Mutant(
        name="first-batch-never-sent",
        says="the oldest batch that a peer lacks is left out while there are others",
        checks=("capture", "convergence"),
        plant=_all_but_the_oldest,
    ),
    Mutant(
        name="search-keeps-old-words",
        says="a merged edit leaves the words it replaced in the full-text table",
        checks=("full text", "crash"),
        plant=lambda: replaced(full_text, "unindex", _nothing),
    ),
    Mutant(
        name="search-not-updated-at-merge",
        says="a merged edit does not reach the full-text table",
        checks=("full text",),
        plant=lambda: replaced(full_text, "index", _nothing),
    ),
)

"""Planted bugs in how snapshots go on, how they meet ordinary batches, and how the log is compacted."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from node.store import store as store_module
from node.store.change_log import ChangeLog
from node.store.compaction import compact
from node.store.database import Database
from node.store.origins import Origins
from node.store.receiving import Receiving
from node.store.snapshot_partials import SnapshotPartials
from simulations.mutants.registry import STATE_CHECKS, Mutant, focused, replaced
from sync.errors import RemoteProtocolError
from sync.frontier import Frontier
from sync.snapshot import Manifest, RowKey
from sync.streams import Stream

_JOINING = focused(tables=("drill_settings", "drill_items"), snapshot=0.3, devices=3, steps=80)
_COMPACTING = focused(tables=("drill_settings", "drill_items"), snapshot=0.0, devices=3, steps=80)


@contextmanager
def _claims_nothing() -> Iterator[None]:
    """No batch waits for a snapshot that will claim it."""
    with replaced(Receiving, "_comes_by_snapshot", lambda _self, _header, _joining: False):
        yield


@contextmanager
def _forgets_its_place() -> Iterator[None]:
    """A snapshot begins behind rows that the receiver never had, and nobody minds."""
    original = SnapshotPartials.advance

    def advance(
        self: SnapshotPartials, after: RowKey, bounds: Sequence[tuple[RowKey, RowKey]], manifest: Manifest
    ) -> None:
        try:
            original(self, after, bounds, manifest)
        except RemoteProtocolError:
            return

    def place(self: SnapshotPartials, manifest: Manifest, held: Frontier) -> object:
        del self, manifest, held
        return RowKey("drill_items", bytes(15) + b"\xff")

    with replaced(SnapshotPartials, "advance", advance), replaced(SnapshotPartials, "place", place):
        yield


@contextmanager
def _goes_on_for_nothing() -> Iterator[None]:
    """Any sender may finish what another began."""
    with replaced(Manifest, "can_finish", lambda _self, _claim, _held: True):
        yield


@contextmanager
def _drops_what_others_lack() -> Iterator[None]:
    """Compaction goes by what is held here, and the base says nothing of it."""

    def drop(
        database: Database, origins: Origins, log: ChangeLog, stable: Mapping[Stream, Frontier], batches_max: int
    ) -> int:
        del stable
        held = {stream: state.frontier for stream, state in log.view().streams.items()}
        with replaced(ChangeLog, "raise_base", lambda _self, _stream, _frontier: None):
            return compact(database, origins, log, held, batches_max)

    with replaced(store_module, "compact", drop):
        yield


JOINING: tuple[Mutant, ...] = (
    Mutant(
        name="snapshot-and-batches-overtake",
        says="a batch that a coming snapshot will claim is applied before it, and may bring back what a page removed",
        checks=("holding", "frontier", *STATE_CHECKS),
        plant=_claims_nothing,
        focus=_JOINING,
    ),
    Mutant(
        name="snapshot-begun-in-the-middle",
        says="a snapshot begins behind rows that the receiver never had",
        checks=(*STATE_CHECKS, "frontier", "convergence", "crash", "refusal"),
        plant=_forgets_its_place,
        focus=_JOINING,
    ),
    Mutant(
        name="snapshot-goes-on-for-nothing",
        says="a snapshot is finished by a sender whose log begins beyond what the whole may claim",
        checks=("convergence",),
        plant=_goes_on_for_nothing,
        focus=focused(tables=("drill_notes",), snapshot=0.15, kill=0.2, devices=4, steps=80),
    ),
    Mutant(
        name="compaction-drops-what-others-lack",
        says="batches leave the log that some device has not got, and the base does not say so",
        checks=("convergence", "holding", "capture", "crash", *STATE_CHECKS),
        plant=_drops_what_others_lack,
        focus=_COMPACTING,
    ),
)

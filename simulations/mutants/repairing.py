"""Planted bugs in how damage at rest is found, kept from spreading, and mended from another device."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from crdt.version_vector import VersionVector
from node.store import repair, row_spelling
from node.store.catalogue import ReplicatedTable
from node.store.forgetting import Forgetting
from node.store.plain_edits import PlainEdits
from node.store.receiving import Receiving
from node.store.row_ranges import RowRanges
from node.store.row_state import RowStates, StoredRow
from node.store.scrub import Scrub
from node.store.verification import Verification
from simulations.mutants.registry import Mutant, focused, replaced
from sync.row_ranges import RangeSum, RowRange
from sync.streams import Stream

_DAMAGE = focused(damage=0.4, tables=("drill_settings", "drill_notes"), devices=3, steps=60)

_AWAITING = focused(damage=0.3, tables=("drill_settings",), devices=3, steps=100, jump=0.0)


@contextmanager
def _joined_all_the_same() -> Iterator[None]:
    original = RowStates.read_proven

    def read_proven(
        self: RowStates,
        table: ReplicatedTable,
        row_ids: Sequence[bytes],
        vector: VersionVector,
        before_by_id: Mapping[bytes, Sequence[Any]] | None = None,
    ) -> tuple[dict[bytes, StoredRow], set[bytes]]:
        stored, _ = original(self, table, row_ids, vector, before_by_id)
        return stored, set()

    with replaced(RowStates, "read_proven", read_proven):
        yield


class _AnyHash(bytes):
    """Passes for whatever hash it is compared with."""

    __hash__ = bytes.__hash__

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False


@contextmanager
def _sent_all_the_same() -> Iterator[None]:
    with (
        replaced(row_spelling, "hash_runs", lambda *given: [_AnyHash()] * len(given[-1])),
        replaced(row_spelling, "hash_row", lambda *_: _AnyHash()),
    ):
        yield


@contextmanager
def _last_range_left_out() -> Iterator[None]:
    original = RowRanges.split

    def split(self: RowRanges, stream: Stream, ranges: Sequence[RowRange]) -> list[tuple[RowRange, RangeSum]]:
        return original(self, stream, ranges)[:-1]

    with replaced(RowRanges, "split", split):
        yield


def _nothing(*args: object) -> None:
    return None


REPAIRING = (
    Mutant(
        name="damage-not-scrubbed",
        says="a scrub takes a row for what its hash says without comparing",
        checks=("scrub",),
        plant=lambda: replaced(Scrub, "_matches", lambda *_: True),
        focus=_DAMAGE,
    ),
    Mutant(
        name="damage-shown",
        says="a row is shown to who asks for it, whatever its hash says",
        checks=("damage",),
        plant=lambda: replaced(Verification, "damaged", lambda *_: []),
        focus=_DAMAGE,
    ),
    Mutant(
        name="damage-sent",
        says="a row that fails its own hash is sent to a peer",
        checks=("damage",),
        plant=_sent_all_the_same,
        focus=_DAMAGE,
    ),
    Mutant(
        name="damage-proven-by-a-merge",
        says="a damaged row gets a new hash, and so passes for sound, when a change is merged with it",
        checks=("repair", "digest", "merge", "tables", "crash", "forgetting", "full text"),
        plant=_joined_all_the_same,
        focus=_DAMAGE,
    ),
    Mutant(
        name="damage-joined-with-its-cure",
        says="what a peer sends for a damaged row is merged with it instead of replacing it",
        checks=("repair",),
        plant=lambda: replaced(Receiving, "_replace_damaged", _nothing),
        focus=_DAMAGE,
    ),
    Mutant(
        name="range-never-compared",
        says="cutting ranges leaves the last one out, so what differs there is never compared",
        checks=("repair",),
        plant=_last_range_left_out,
        focus=_DAMAGE,
    ),
    Mutant(
        name="cured-row-not-forgotten",
        says="batches of a row that was replaced by another device's copy keep its words when it is deleted",
        checks=("forgetting",),
        plant=lambda: replaced(Forgetting, "replace", _nothing),
        focus=_DAMAGE,
    ),
    Mutant(
        name="taken-out-row-joined",
        says="a change that arrives for a row that was taken out is taken for all that there is of the row",
        checks=("repair", "tables", "merge", "digest"),
        plant=lambda: replaced(repair, "_await", _nothing),
        focus=_AWAITING,
    ),
    Mutant(
        name="damage-takes-the-quick-way",
        says="an edit that comes for a damaged row is applied without looking at the row's hash",
        checks=("repair", "digest", "merge", "tables", "scrub", "crash"),
        plant=lambda: replaced(PlainEdits, "_open", PlainEdits._opened),
        focus=_DAMAGE,
    ),
)

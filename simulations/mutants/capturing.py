"""Planted bugs in how a local transaction becomes batches."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from crdt.hybrid_clock import HybridClock
from crdt.identifiers import HybridTime, RowId
from node.store import authoring, change_log, full_text, own_changes, store
from node.store.capture import Capture, TouchedTable
from node.store.catalogue import ReplicatedTable
from node.store.database import Database
from node.store.row_state import RowStates
from simulations.mutants.registry import STATE_CHECKS, Mutant, replaced

_FIRST_IMAGE_ONLY = " WHERE NOT EXISTS (SELECT 1 FROM _bef_"


def _without(touched: TouchedTable, *, updates: bool = False, deletes: bool = False) -> TouchedTable:
    others = [
        row
        for row in touched.others
        if not (updates and row.before is not None and row.after is not None) and not (deletes and row.after is None)
    ]
    return replace(touched, others=others)


@contextmanager
def _collecting(*, updates: bool = False, deletes: bool = False) -> Iterator[None]:
    original = Capture.collect

    def collect(self: Capture, table: ReplicatedTable, *, measured: bool = False) -> TouchedTable:
        return _without(original(self, table, measured=measured), updates=updates, deletes=deletes)

    with replaced(Capture, "collect", collect):
        yield


@contextmanager
def _silent_replace() -> Iterator[None]:
    original = Capture.__init__

    def init(self: Capture, database: Database, *args: object, **kwargs: object) -> None:
        original(self, database, *args, **kwargs)  # type: ignore[arg-type]
        database.query("PRAGMA recursive_triggers=OFF")

    with replaced(Capture, "__init__", init):
        yield


@contextmanager
def _last_image() -> Iterator[None]:
    original = Database.change

    def change(self: Database, sql: str, parameters: tuple[object, ...] = ()) -> int:
        if sql.startswith("CREATE TEMP TRIGGER") and _FIRST_IMAGE_ONLY in sql:
            head, tail = sql.split(_FIRST_IMAGE_ONLY)
            sql = head.replace("INSERT INTO", "INSERT OR REPLACE INTO") + tail[tail.index(";") :]
        return original(self, sql, parameters)

    with replaced(Database, "change", change):
        yield


class _ForgetfulClock(HybridClock):
    """Believes the wall clock alone."""

    def next(self, wall_milliseconds: int) -> HybridTime:
        return HybridTime(wall_milliseconds << 16 | 1)


@contextmanager
def _tombstones_dropped() -> Iterator[None]:
    original = RowStates.write

    def write(self: RowStates, table: ReplicatedTable, states: dict[object, object], *rest: object) -> list[bytes]:
        hashes = original(self, table, states, *rest)  # type: ignore[arg-type]
        self._database.change(f"DELETE FROM {table.row_table} WHERE generation % 2 = 0")
        return hashes

    with replaced(RowStates, "write", write):
        yield


@contextmanager
def _reborn_young() -> Iterator[None]:
    original = own_changes.new_row

    def new_row(table: ReplicatedTable, row_id: RowId, generation: int, *rest: object) -> object:
        return original(table, row_id, 1, *rest)  # type: ignore[arg-type]

    with replaced(own_changes, "new_row", new_row):
        yield


def _nothing(*args: object, **kwargs: object) -> None:
    return None


CAPTURING = (
    Mutant(
        name="updates-not-captured",
        says="an UPDATE is not replicated",
        checks=("capture", *STATE_CHECKS),
        plant=lambda: _collecting(updates=True),
    ),
    Mutant(
        name="deletes-not-captured",
        says="a DELETE is not replicated",
        checks=("capture", *STATE_CHECKS),
        plant=lambda: _collecting(deletes=True),
    ),
    Mutant(
        name="replace-not-captured",
        says="INSERT OR REPLACE deletes the old row behind the triggers' back",
        checks=(*STATE_CHECKS, "capture", "crash"),
        plant=_silent_replace,
    ),
    Mutant(
        name="last-image-kept",
        says="the image of a row before its last edit is taken for the one before the transaction",
        # A text's state does not fit such an image: then the store itself says that the row is damaged.
        checks=(*STATE_CHECKS, "capture", "crash"),
        plant=_last_image,
    ),
    Mutant(
        name="stamp-behind-what-was-seen",
        says="a device stamps by its wall clock alone, below stamps that it had applied",
        checks=("stamp", "read-your-writes"),
        plant=lambda: replaced(store, "HybridClock", _ForgetfulClock),
    ),
    Mutant(
        name="old-hash-not-subtracted",
        says="a changed row's old hash stays in the digest",
        checks=("digest",),
        plant=lambda: replaced(
            change_log,
            "move_digest",
            lambda digest, *, added, removed: ((int.from_bytes(digest, "big") + added) % 2**256).to_bytes(32, "big"),
        ),
    ),
    Mutant(
        name="tombstone-dropped",
        says="a deleted row leaves nothing behind",
        checks=(*STATE_CHECKS, "capture", "crash"),
        plant=_tombstones_dropped,
    ),
    Mutant(
        name="reborn-at-generation-one",
        says="a row inserted again after a delete begins at generation 1",
        checks=STATE_CHECKS,
        plant=_reborn_young,
    ),
    Mutant(
        name="no-cascade",
        says="deleting a row leaves what hangs on it",
        checks=("read-your-writes", "capture", "crash"),
        plant=lambda: replaced(authoring, "settle_references", _nothing),
    ),
    Mutant(
        name="search-not-updated-locally",
        says="a local edit does not reach the full-text table",
        checks=("full text",),
        plant=lambda: replaced(full_text, "index_captured", _nothing),
    ),
)

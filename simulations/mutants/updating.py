"""Planted bugs in how a device holds what its version does not know, and shows it once it is updated."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from crdt.row import RowState
from crdt.version_vector import VersionVector
from node.store import adoption, row_state, schema_registry, store
from node.store.catalogue import ReplicatedTable
from node.store.origins import Origins
from node.store.row_state import RowStates, StoredRow
from simulations.mutants.registry import STATE_CHECKS, Mutant, focused, replaced
from simulations.workloads.component import DRILL

_VERSIONS = focused(earlier=0.8, tables=tuple(table.name for table in DRILL.tables), devices=3, steps=70)
_REFERRING = focused(
    earlier=0.8, tables=("drill_items", "drill_comments", "drill_reactions"), devices=3, steps=80, abort=0.0
)
_DAMAGED_VERSIONS = focused(earlier=1.0, damage=0.4, tables=("drill_settings", "drill_notes"), devices=3, steps=60)


@contextmanager
def _unknown_columns_dropped() -> Iterator[None]:
    original = row_state._cells

    def cells(table: ReplicatedTable, state: RowState, hidden: Mapping[str, Any], origins: Origins) -> bytes | None:
        known = {name: cell for name, cell in state.cell_by_column.items() if name in table.strategy_by_column}
        if table.name in {declared.name for declared in DRILL.tables}:
            state = RowState(
                generation=state.generation,
                born=state.born,
                code_by_column=state.code_by_column,
                cell_by_column=known,
            )
        return original(table, state, hidden, origins)

    with replaced(row_state, "_cells", cells):
        yield


@contextmanager
def _adopted_unproven() -> Iterator[None]:
    original = RowStates.read

    def read_proven(
        self: RowStates, table: ReplicatedTable, row_ids: Sequence[bytes], vector: VersionVector
    ) -> tuple[dict[bytes, StoredRow], set[bytes]]:
        return original(self, table, row_ids, vector), set()

    adopt = adoption.adopt

    def unproven(*given: Any) -> int:
        with replaced(RowStates, "read_proven", read_proven):
            return adopt(*given)

    with replaced(store, "adopt", unproven):
        yield


def _nothing(*_: object) -> None:
    return None


UPDATING = (
    Mutant(
        name="unknown-columns-dropped",
        says="a row state is kept without the cells of columns that its version does not know",
        checks=(*STATE_CHECKS, "update", "scrub", "crash"),
        plant=_unknown_columns_dropped,
        focus=_VERSIONS,
    ),
    Mutant(
        name="unknown-rows-never-shown",
        says="an update leaves what came from later versions where it is",
        checks=("update",),
        plant=lambda: replaced(store, "tables_to_adopt", lambda *_: []),
        focus=_VERSIONS,
    ),
    Mutant(
        name="new-columns-taken-for-written",
        says="rows from before an update pass for having been given the new columns' defaults",
        checks=(*STATE_CHECKS, "update", "scrub"),
        plant=lambda: replaced(schema_registry, "_note_unknown", _nothing),
        focus=_VERSIONS,
    ),
    Mutant(
        name="references-not-followed-at-an-update",
        says="references that became known by an update are not looked at for what they refer to",
        checks=("update", "capture"),
        plant=lambda: replaced(adoption, "disturb", _nothing),
        focus=_REFERRING,
    ),
    Mutant(
        name="damage-proven-by-an-update",
        says="a damaged row gets a new hash, and so passes for sound, when an update shows its new columns",
        checks=("repair", "digest", "crash", "scrub"),
        plant=_adopted_unproven,
        focus=_DAMAGED_VERSIONS,
    ),
)

"""Planted bugs in what is derived of references: orphans, references to deleted rows, and the repairs that follow."""

from collections.abc import Iterable

from node.store.derived import Derived
from node.store.reference_graph import ReferenceGraph, RowKey
from node.store.row_state import RowStates
from node.store.standing import Decision, Standing
from simulations.mutants.registry import STATE_CHECKS, Mutant, focused, replaced

# A delete must meet, unseen, what hangs on the row: many devices, long statements, nothing that hurries news along.
_COMMENTS = focused(
    tables=("drill_items", "drill_comments", "drill_reactions"),
    devices=4,
    steps=120,
    statements_max=6,
    snapshot=0.0,
    jump=0.0,
)
_FOLDERS = focused(tables=("drill_folders", "drill_items"), devices=3, steps=60)
# What hangs three deep, and is deleted in its midst, wants many folders.
_MANY_FOLDERS = focused(tables=("drill_folders",), devices=3, late_devices=0, steps=160, snapshot=0.0)


def _nobody(self: ReferenceGraph, keys: Iterable[RowKey]) -> set[RowKey]:
    return set()


def _one_generation(self: Standing) -> None:
    self._fallen = {
        key
        for key in self._scope
        if any((node := self._graph.node(owner)) and not node.alive for owner in self._graph.targets(key, "cascade"))
    }


def _no_ancestor(self: Standing, table: str, column: str, first: bytes) -> tuple[bytes | None, list[bytes]]:
    return None, [first]


def _nothing_shown(self: Standing, key: RowKey, decision: Decision) -> None:
    return


DERIVING = (
    Mutant(
        name="orphans-stay",
        says="children that arrive after their parent's end are left standing",
        checks=("capture", "convergence", *STATE_CHECKS),
        plant=lambda: replaced(Derived, "settle", lambda self, disturbed: False),
        focus=_COMMENTS,
    ),
    Mutant(
        name="orphans-of-orphans-stay",
        says="only the children of a deleted row go out of sight, not what they own",
        checks=("capture", *STATE_CHECKS),
        plant=lambda: replaced(Standing, "_fall", _one_generation),
        focus=_COMMENTS,
    ),
    Mutant(
        name="orphans-never-return",
        says="what is out of sight is not found when its parent returns",
        checks=("capture", *STATE_CHECKS),
        plant=lambda: replaced(ReferenceGraph, "watching", _nobody),
        focus=_COMMENTS,
    ),
    Mutant(
        name="orphans-lose-their-values",
        says="a row that goes out of sight keeps none of its values",
        checks=("crash", "capture", *STATE_CHECKS),
        plant=lambda: replaced(RowStates, "hide", lambda self, table, hidden_by_id: None),
        focus=_COMMENTS,
    ),
    Mutant(
        name="everybody-repairs",
        says="every device logs the deletes that follow from anybody's delete",
        checks=("capture",),
        plant=lambda: replaced(Derived, "_is_own", lambda self, origin: True),
        focus=_COMMENTS,
    ),
    Mutant(
        name="nobody-repairs",
        says="the deleting device does not log what follows from its delete",
        checks=("capture",),
        plant=lambda: replaced(Derived, "_is_own", lambda self, origin: False),
        focus=_COMMENTS,
    ),
    Mutant(
        name="dead-references-shown",
        says="a reference to a row that a peer deleted is shown as if it stood",
        checks=("capture", *STATE_CHECKS),
        plant=lambda: replaced(Standing, "_show_references", _nothing_shown),
        focus=_FOLDERS,
    ),
    Mutant(
        name="no-ancestor-found",
        says="what hangs on a deleted folder shows no folder at all instead of the one above",
        checks=("capture", *STATE_CHECKS),
        plant=lambda: replaced(Standing, "_ancestor", _no_ancestor),
        focus=_MANY_FOLDERS,
    ),
)

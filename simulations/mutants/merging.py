"""Planted bugs in how two states become one."""

from crdt.identifiers import Origin, stamp_hlc
from crdt.row import RowState, join_rows
from crdt.strategies import immutable, lww, observed_set
from crdt.strategies.counter import Counter
from crdt.strategies.observed_set import ObservedSet
from crdt.strategies.register import Register
from node.store import conflict_log, merge, plain_edits
from simulations.mutants.registry import STATE_CHECKS, Mutant, focused, other_join, replaced

_SETTINGS = focused(tables=("drill_settings",), devices=3, steps=60, statements_max=3)
# Two that change one set apart, while a third has not heard of either, are rare: longer runs.
_RARE_SETS = focused(tables=("drill_settings",), devices=3, steps=140, statements_max=3, snapshot=0.0)
_TIES = focused(
    tables=("drill_settings",),
    devices=3,
    steps=60,
    frozen_time=True,
    skew_milliseconds_max=0,
    jump=0.0,
    statements_max=3,
)
_ITEMS = focused(tables=("drill_items",), devices=3, steps=60)


_joined = plain_edits._joined


def _joined_unasked(*given: object) -> object:
    return _joined(*given[:-1], _Omniscient())  # type: ignore[arg-type, call-arg]


def _tie_by_arrival(a: Register, b: Register) -> Register:
    return b if stamp_hlc(a.stamp) == stamp_hlc(b.stamp) else lww.join(a, b)


def _summed(a: Counter, b: Counter) -> Counter:
    totals: dict[Origin, tuple[int, int]] = dict(a.totals_by_origin)
    for origin, (added, subtracted) in b.totals_by_origin.items():
        mine = totals.get(origin, (0, 0))
        totals[origin] = (mine[0] + added, mine[1] + subtracted)
    return Counter(totals)


def _remove_wins(a: ObservedSet, b: ObservedSet) -> ObservedSet:
    joined = observed_set.join(a, b)
    gone = {a.element_by_dot[dot] for dot in b.removed if dot in a.element_by_dot}
    kept = {dot: element for dot, element in joined.element_by_dot.items() if element not in gone}
    return ObservedSet(kept, joined.vector, joined.removed)


def _never_removed(a: ObservedSet, b: ObservedSet) -> ObservedSet:
    elements = {**a.element_by_dot, **b.element_by_dot}
    return ObservedSet(dict(sorted(elements.items())), a.vector.join(b.vector))


def _edit_beats_delete(a: RowState, b: RowState) -> RowState:
    deleted = b.generation == a.generation + 1 and not b.alive
    edited = any(isinstance(cell, Register) and cell.stamp > b.born for cell in a.cell_by_column.values())
    return a if deleted and edited else join_rows(a, b)


def _last_generation_wins(a: RowState, b: RowState) -> RowState:
    if a.generation == b.generation:
        return join_rows(a, b)
    return a if a.born > b.born else b


def _settled_by_nobody(*args: object, **kwargs: object) -> None:
    return None


def _settled_by_anyone(*args: object, **kwargs: object) -> None:
    kwargs["vector"] = _Omniscient()
    conflict_log.settle_conflicts(*args, **kwargs)  # type: ignore[arg-type]


class _Omniscient:
    def covers_stamp(self, stamp: object) -> bool:
        return True


def _only_incoming_loses(*args: object, **kwargs: object) -> object:
    found = conflict_log.find_conflicts(*args, **kwargs)  # type: ignore[arg-type]
    theirs = args[3]
    assert isinstance(theirs, RowState)
    return [conflict for conflict in found if conflict.loser not in theirs.cell_by_column.values()]


MERGING = (
    Mutant(
        name="tie-broken-by-arrival",
        says="of two writes at one instant the one that arrives last wins",
        checks=STATE_CHECKS,
        plant=lambda: other_join("lww", _tie_by_arrival),
        focus=_TIES,
    ),
    Mutant(
        name="first-writer-wins",
        says="an lww cell keeps the least stamp",
        checks=STATE_CHECKS,
        plant=lambda: other_join("lww", immutable.join),
    ),
    Mutant(
        name="immutable-overwritten",
        says="an immutable cell shows the greatest stamp",
        checks=STATE_CHECKS,
        plant=lambda: other_join("immutable", lww.join),
        focus=_SETTINGS,
    ),
    Mutant(
        name="counter-applied-twice",
        says="a counter adds what it has already counted",
        checks=STATE_CHECKS,
        plant=lambda: other_join("counter", _summed),
    ),
    Mutant(
        name="max-is-last-write",
        says="a max cell takes the newest value",
        checks=STATE_CHECKS,
        plant=lambda: other_join("max", lww.join),
        focus=_SETTINGS,
    ),
    Mutant(
        name="remove-wins",
        says="removing an element removes additions that the remover had not seen",
        checks=STATE_CHECKS,
        plant=lambda: other_join("set", _remove_wins),
        focus=_RARE_SETS,
    ),
    Mutant(
        name="remove-ignored",
        says="a removed element stays",
        checks=STATE_CHECKS,
        plant=lambda: other_join("set", _never_removed),
        focus=_SETTINGS,
    ),
    Mutant(
        name="delete-loses-to-edit",
        says="an edit with a later stamp keeps a deleted row alive",
        checks=(*STATE_CHECKS, "conflicts"),
        plant=lambda: replaced(merge, "join_rows", _edit_beats_delete),
        focus=_ITEMS,
    ),
    Mutant(
        name="clock-decides-life",
        says="of two generations the later stamp wins, not the longer causal length",
        checks=STATE_CHECKS,
        plant=lambda: replaced(merge, "join_rows", _last_generation_wins),
        focus=_SETTINGS,
    ),
    Mutant(
        name="loser-not-kept",
        says="the losing version of a concurrent edit is thrown away",
        checks=("conflicts",),
        plant=lambda: replaced(merge, "find_conflicts", lambda *args, **kwargs: []),
        focus=_SETTINGS,
    ),
    Mutant(
        name="arriving-loser-not-kept",
        says="only the version that stood here is kept when it loses, not one that arrives and loses",
        checks=("conflicts",),
        plant=lambda: replaced(merge, "find_conflicts", _only_incoming_loses),
        focus=_SETTINGS,
    ),
    Mutant(
        name="concurrent-taken-for-later",
        says="the quick way for plain edits does not ask whether the author had seen what it replaces",
        checks=("conflicts",),
        plant=lambda: replaced(plain_edits, "_joined", _joined_unasked),
        focus=focused(tables=("drill_folders",), devices=3, steps=90, statements_max=2, snapshot=0.0, late_devices=0),
    ),
    Mutant(
        name="conflict-never-settled",
        says="a conflict stays open although somebody who had seen both versions wrote a third",
        checks=("conflicts",),
        plant=lambda: replaced(merge, "settle_conflicts", _settled_by_nobody),
        focus=_SETTINGS,
    ),
    Mutant(
        name="conflict-settled-unseen",
        says="a write settles a conflict whose loser its author had not seen",
        checks=("conflicts",),
        plant=lambda: replaced(merge, "settle_conflicts", _settled_by_anyone),
        focus=_SETTINGS,
    ),
)

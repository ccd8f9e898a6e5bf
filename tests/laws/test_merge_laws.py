"""The laws of merging, for every strategy and for rows, over histories that replicas can really live through."""

import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise, product

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdt.identifiers import RowId
from crdt.row import RowState, hash_row, join_rows, read_row, spell_row
from crdt.strategies import STRATEGY_BY_NAME, CellState
from crdt.strategies.counter import Counter
from crdt.strategies.json_document import JsonDocument
from crdt.strategies.observed_set import ObservedSet
from crdt.strategies.register import Register
from crdt.strategies.text import Text
from crdt.values import value_order
from tests.support.histories import COLUMNS, Action, History, Join, in_context, joiner

ROW = RowId(b"a row of the laws")[:16]
ACTIONS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 2), st.integers(0, 255)), min_size=1, max_size=14
)
MATERIAL_MAX = 9
laws = settings(max_examples=60, derandomize=True, deadline=None)


def spelled(row: RowState) -> tuple[object, ...]:
    """Return everything of a row that is hashed, sent or stored."""
    bytes_of_row = spell_row(RowId(ROW), row)
    return (bytes_of_row.layout, bytes_of_row.born, bytes_of_row.body, dict(bytes_of_row.stamp_by_index))


def material(history: History) -> Sequence[RowState]:
    """Return some of the states and deltas of a history, the latest states among them."""
    step = max(1, len(history.pool) // MATERIAL_MAX)
    return [*history.pool[::step][: MATERIAL_MAX - 2], *history.pool[-2:]]


def check_commutative(join: Join, states: Sequence[RowState]) -> None:
    for a, b in product(states, repeat=2):
        assert join(a, b) == join(b, a)
        assert spelled(join(a, b)) == spelled(join(b, a))


def check_associative(join: Join, states: Sequence[RowState]) -> None:
    for a, b, c in product(states, repeat=3):
        assert join(join(a, b), c) == join(a, join(b, c))


def check_idempotent(join: Join, states: Sequence[RowState]) -> None:
    for a in states:
        assert join(a, a) == a
    for a, b in product(states, repeat=2):
        merged = join(a, b)
        assert join(merged, a) == merged
        assert join(merged, b) == merged


def check_convergent(history: History) -> None:
    """Delta by delta, in any order of replicas, or state by state: the same bytes."""
    history.settle()
    final = [replica.state for replica in history.replicas]
    vector = history.replicas[0].vector
    first = final[0]
    if first is None:
        return
    for state in final[1:]:
        assert state == first
        assert spelled(state) == spelled(first)
    by_states = history.pool[0]
    for state in history.pool[1:]:
        by_states = history.join(by_states, state)
    assert spelled(in_context(by_states, vector)) == spelled(first)
    assert hash_row("t", spell_row(RowId(ROW), in_context(by_states, vector))) == hash_row(
        "t", spell_row(RowId(ROW), first)
    )


def check_all(history: History, actions: Sequence[Action]) -> None:
    """Run a history and check every law on it."""
    history.run(actions)
    if not history.pool:
        return
    states = material(history)
    check_commutative(history.join, states)
    check_associative(history.join, states)
    check_idempotent(history.join, states)
    check_convergent(history)


@pytest.mark.parametrize("name", COLUMNS)
@laws
@given(actions=ACTIONS)
def test_every_strategy_keeps_the_laws(name: str, actions: list[Action]) -> None:
    check_all(History(columns=[name], mortal=False), actions)


@laws
@given(actions=ACTIONS)
def test_rows_of_all_strategies_keep_the_laws(actions: list[Action]) -> None:
    check_all(History(), actions)


@laws
@given(actions=ACTIONS)
def test_a_spelled_row_reads_back_as_itself(actions: list[Action]) -> None:
    history = History()
    history.run(actions)
    for state in history.pool:
        row = spell_row(RowId(ROW), state)
        row_id, read = read_row("t", row.layout, msgspec.msgpack.decode(row.body), row.born, row.stamp_by_index)
        assert (row_id, spelled(read)) == (ROW, spelled(state))


def test_histories_reach_what_the_laws_are_about() -> None:
    seen = {"tombstone": 0, "reborn": 0, "concurrent insert": 0, "removed element": 0, "two dots for one element": 0}
    seen |= {"text edited apart": 0, "leaves out of sight": 0, "leaves taken away": 0}
    for seed in range(40):
        history = History()
        history.run(random_actions(seed))
        generations = [write.generation for write in history.writes]
        seen["tombstone"] += any(generation == 2 for generation in generations)
        seen["reborn"] += any(generation == 3 for generation in generations)
        inserts = [write for write in history.writes if len(write.cells) == len(COLUMNS) and write.generation == 1]
        seen["concurrent insert"] += len(inserts) > 1
        seen["removed element"] += any(cell.taken for write in history.writes for cell in write.cells.values())
        for state in history.pool:
            body = state.cell_by_column.get("text")
            seen["text edited apart"] += isinstance(body, Text) and len(body.heads) > 1
            data = state.cell_by_column.get("document")
            if isinstance(data, JsonDocument) and data.leaf_by_path:
                seen["leaves taken away"] += any(leaf.text is None for leaf in data.leaf_by_path.values())
                standing = sorted(path for path, leaf in data.leaf_by_path.items() if leaf.text is not None)
                pairs = pairwise(standing)
                seen["leaves out of sight"] += any(below[: len(above)] == above for above, below in pairs)
        for state in history.pool:
            cell = state.cell_by_column.get("set")
            if isinstance(cell, ObservedSet) and len(set(cell.element_by_dot.values())) < len(cell.element_by_dot):
                seen["two dots for one element"] += 1
                break
    assert all(count >= 3 for count in seen.values()), seen


def random_actions(seed: int, length: int = 16) -> list[Action]:
    source = random.Random(seed)
    return [
        (source.randrange(4), source.randrange(3), source.randrange(3), source.randrange(256)) for _ in range(length)
    ]


def _first(a: CellState, b: CellState) -> CellState:
    return a


def _greater_value(a: CellState, b: CellState) -> CellState:
    assert isinstance(a, Register)
    assert isinstance(b, Register)
    return a if (value_order(a.value), a.stamp) > (value_order(b.value), b.stamp) else b


def _greater_stamp(a: CellState, b: CellState) -> CellState:
    assert isinstance(a, Register)
    assert isinstance(b, Register)
    return a if a.stamp >= b.stamp else b


def _least_stamp(a: CellState, b: CellState) -> CellState:
    return b if _greater_stamp(a, b) is a else a


def _summed(a: CellState, b: CellState) -> CellState:
    assert isinstance(a, Counter)
    assert isinstance(b, Counter)
    totals = dict(a.totals_by_origin)
    for origin, (added, subtracted) in b.totals_by_origin.items():
        mine = totals.get(origin, (0, 0))
        totals[origin] = (mine[0] + added, mine[1] + subtracted)
    return Counter(totals)


def _greater_net(a: CellState, b: CellState) -> CellState:
    assert isinstance(a, Counter)
    assert isinstance(b, Counter)
    totals = dict(a.totals_by_origin)
    for origin, pair in b.totals_by_origin.items():
        totals[origin] = max(pair, totals.get(origin, (0, 0)), key=lambda both: both[0] - both[1])
    return Counter(totals)


def _union(a: CellState, b: CellState) -> CellState:
    assert isinstance(a, ObservedSet)
    assert isinstance(b, ObservedSet)
    return ObservedSet({**a.element_by_dot, **b.element_by_dot}, a.vector.join(b.vector))


def _remove_wins(a: CellState, b: CellState) -> CellState:
    assert isinstance(a, ObservedSet)
    assert isinstance(b, ObservedSet)
    joined = STRATEGY_BY_NAME["set"].join(a, b)
    assert isinstance(joined, ObservedSet)
    gone = {
        element for dot, element in {**a.element_by_dot, **b.element_by_dot}.items() if dot not in joined.element_by_dot
    }
    return replace(joined, element_by_dot={d: e for d, e in joined.element_by_dot.items() if e not in gone})


def _without_context(a: CellState, b: CellState) -> CellState:
    assert isinstance(a, ObservedSet)
    assert isinstance(b, ObservedSet)
    removed = a.removed | b.removed
    entries = {**a.element_by_dot, **b.element_by_dot}
    return ObservedSet({d: e for d, e in entries.items() if d not in removed}, a.vector.join(b.vector), removed)


def _null_wins(a: CellState, b: CellState) -> CellState:
    assert isinstance(a, Register)
    assert isinstance(b, Register)
    return a if (value_order(a.value), a.stamp) <= (value_order(b.value), b.stamp) else b


def _longer_text(a: CellState, b: CellState) -> CellState:
    assert isinstance(a, Text)
    assert isinstance(b, Text)
    return max(a, b, key=lambda text: (len(text.shown), text.heads))


def _changes_that_fit(a: CellState, b: CellState) -> CellState:
    joined = STRATEGY_BY_NAME["text"].join(a, b)
    assert isinstance(joined, Text)
    return a if len(joined.heads) > 1 else joined


def _whole_document(a: CellState, b: CellState) -> CellState:
    assert isinstance(a, JsonDocument)
    assert isinstance(b, JsonDocument)
    return max(a, b, key=lambda document: max((leaf.stamp for leaf in document.leaf_by_path.values()), default=b""))


def _absence_forgotten(a: CellState, b: CellState) -> CellState:
    joined = STRATEGY_BY_NAME["document"].join(a, b)
    assert isinstance(joined, JsonDocument)
    return JsonDocument({path: leaf for path, leaf in joined.leaf_by_path.items() if leaf.text is not None})


BROKEN_JOINS = {
    ("min", "takes the greater stamp"): _greater_stamp,
    ("min", "lets NULL win"): _null_wins,
    ("text", "keeps what it has"): _first,
    ("text", "takes the longer text"): _longer_text,
    ("text", "refuses what was written apart"): _changes_that_fit,
    ("document", "takes one whole"): _whole_document,
    ("document", "forgets that a leaf was taken away"): _absence_forgotten,
    ("lww", "keeps what it has"): _first,
    ("lww", "takes the greater value"): _greater_value,
    ("lww", "takes the least stamp"): _least_stamp,
    ("immutable", "takes the greater stamp"): _greater_stamp,
    ("max", "takes the greater stamp"): _greater_stamp,
    ("counter", "adds what it was given twice"): _summed,
    ("counter", "keeps the greater sum of an origin"): _greater_net,
    ("set", "never removes"): _union,
    ("set", "lets a remove win"): _remove_wins,
    ("set", "asks no causal context"): _without_context,
}


@pytest.mark.parametrize(("name", "defect"), BROKEN_JOINS, ids=" ".join)
def test_the_laws_catch_a_strategy_that(name: str, defect: str) -> None:
    broken = {**STRATEGY_BY_NAME, name: replace(STRATEGY_BY_NAME[name], join=BROKEN_JOINS[name, defect])}

    def run_all() -> None:
        for seed in range(300):
            history = History(join=joiner(broken), strategy_by_name=broken, columns=[name], mortal=False)
            check_all(history, random_actions(seed))

    with pytest.raises(AssertionError):
        run_all()


def _by_clock(a: RowState, b: RowState) -> RowState:
    if a.generation == b.generation:
        return join_rows(a, b)
    return a if a.born > b.born else b


def _through_generations(a: RowState, b: RowState) -> RowState:
    joined = join_rows(replace(a, generation=1), replace(b, generation=1))
    return replace(joined, generation=max(a.generation, b.generation))


def _mine_born(a: RowState, b: RowState) -> RowState:
    return replace(join_rows(a, b), born=a.born) if a.generation == b.generation else join_rows(a, b)


def _forgetful(a: RowState, b: RowState) -> RowState:
    return (
        replace(join_rows(a, b), cell_by_column=b.cell_by_column) if a.generation == b.generation else join_rows(a, b)
    )


def _lower_generation(a: RowState, b: RowState) -> RowState:
    return join_rows(a, b) if a.generation == b.generation else min(a, b, key=lambda row: row.generation)


@pytest.mark.parametrize("broken", [_by_clock, _through_generations, _mine_born, _forgetful, _lower_generation])
def test_the_laws_catch_a_join_of_rows_that_errs(broken: Join) -> None:
    def run_all() -> None:
        for seed in range(300):
            check_all(History(join=broken), random_actions(seed))

    with pytest.raises((AssertionError, KeyError)):
        run_all()


@pytest.mark.long
def test_a_healthy_join_passes_the_search_that_catches_the_broken_ones() -> None:
    for seed in range(60):
        check_all(History(join=joiner(STRATEGY_BY_NAME), strategy_by_name=STRATEGY_BY_NAME), random_actions(seed))

"""What each strategy refuses, and the corners that no history reaches: forks, limits, malformed spellings."""

import pytest

from crdt.errors import MergeError
from crdt.identifiers import Origin, RowId, Stamp, make_dot, make_stamp
from crdt.place import Place
from crdt.row import GENERATION_MAX, RowState, join_rows, read_row
from crdt.strategies import STRATEGIES, STRATEGY_BY_NAME, counter, observed_set, strategy_of
from crdt.strategies.counter import Counter
from crdt.strategies.observed_set import ObservedSet
from crdt.strategies.register import Register
from crdt.values import INTEGER_MAX, INTEGER_MIN, Scalar, check_scalar, value_order

A, B = (Origin(bytes([number]) * 40) for number in (1, 2))
STAMP = make_stamp(5, A, 1)
PLACE = Place("notes", RowId(bytes(16)), 1, "body")


def test_codes_and_names_of_strategies_are_what_is_on_disks_already() -> None:
    table = {strategy.code: strategy.name for strategy in STRATEGIES}
    assert table == {1: "lww", 2: "immutable", 3: "set", 4: "counter", 5: "max", 6: "text", 7: "document", 8: "min"}


@pytest.mark.parametrize("code", [0, 9, -1, 255])
def test_a_code_that_no_strategy_has_is_refused(code: int) -> None:
    with pytest.raises(MergeError):
        strategy_of(code)


@pytest.mark.parametrize("name", ["lww", "immutable", "max", "min"])
def test_two_values_under_one_stamp_of_a_forked_author_are_chosen_alike_everywhere(name: str) -> None:
    strategy = STRATEGY_BY_NAME[name]
    one, other = Register(STAMP, "a"), Register(STAMP, "b")
    assert strategy.join(one, other) == strategy.join(other, one)


def test_values_are_ordered_as_sqlite_orders_them_and_numbers_apart_by_their_kind() -> None:
    ordered: list[Scalar] = [
        None,
        INTEGER_MIN,
        -1.5,
        -1,
        0,
        0.5,
        1,
        1.0,
        2**53,
        2**53 + 1,
        "",
        "A",
        "a",
        "é",
        b"",
        b"A",
    ]
    keys = [value_order(value) for value in ordered]
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("value", [True, float("nan"), -0.0, 2**63, -(2**63) - 1, [], {}, object()])
def test_a_value_that_no_cell_can_hold_is_refused(value: object) -> None:
    with pytest.raises(MergeError):
        check_scalar(value)


@pytest.mark.parametrize("text", ["", "{}", '"a"', "[1]", "[null]", '[["a"]]', '["\\ud800"]', "[" * 5_000, b"[]", 7])
def test_a_set_that_is_no_array_of_texts_is_refused(text: Scalar) -> None:
    with pytest.raises(MergeError):
        observed_set.delta(None, text, STAMP, PLACE)


def test_a_large_set_is_edited_in_a_moment() -> None:
    entries = {make_dot(A, 1, index): f"{index:05}" for index in range(20_000)}
    state = ObservedSet(entries)
    wanted = observed_set.value(state).replace('"00000"', '"new"')
    change = observed_set.delta(state, wanted, make_stamp(6, B, 1), PLACE)
    assert change is not None
    assert (list(change.element_by_dot.values()), len(change.removed)) == (["new"], 1)


def test_removing_an_element_removes_every_dot_of_it() -> None:
    state = ObservedSet({make_dot(A, 1, 0): "x", make_dot(B, 1, 0): "x"})
    change = observed_set.delta(state, "[]", make_stamp(6, A, 2), PLACE)
    assert change is not None
    assert len(change.removed) == 2
    assert observed_set.value(observed_set.join(state, change)) == "[]"


@pytest.mark.parametrize("value", ["1", 1.0, None, b"1"])
def test_a_counter_takes_integers_only(value: Scalar) -> None:
    with pytest.raises(MergeError):
        counter.delta(None, value, STAMP, PLACE)


def test_a_counter_that_moved_beyond_64_bits_is_refused_and_its_sum_stays_within() -> None:
    state = Counter({A: (INTEGER_MAX - 1, 0)})
    with pytest.raises(MergeError, match="64 bits"):
        counter.delta(state, INTEGER_MAX + 1, make_stamp(6, A, 2), PLACE)
    assert counter.value(Counter({A: (INTEGER_MAX, 0), B: (INTEGER_MAX, 0)})) == INTEGER_MAX
    assert counter.value(Counter({A: (0, INTEGER_MAX), B: (0, INTEGER_MAX)})) == INTEGER_MIN


@pytest.mark.parametrize(
    "payload",
    [[], {}, 7, [[A, 1]], [[A, 1, -1]], [[A, 1, 2**63]], [[A[:-1], 1, 0]], [[B, 1, 0], [A, 1, 0]], [[A, 1, 0]] * 2],
)
def test_a_malformed_counter_is_refused(payload: object) -> None:
    with pytest.raises(MergeError):
        counter.from_wire(payload, STAMP, PLACE)


DOT, LATER = make_dot(A, 1, 0), make_dot(A, 1, 1)


@pytest.mark.parametrize(
    "payload",
    [
        [], [[], []], [[], [], []], 7, [[[DOT, 7]], []], [[[DOT[:-1], "x"]], []], [[[LATER, "x"], [DOT, "y"]], []],
        [[[DOT, "x"], [DOT, "x"]], []], [[], [LATER, DOT]], [[], [DOT, DOT]], [[[DOT, "x"]], [DOT]], [[], [b"dot"]],
    ],
)  # fmt: skip
def test_a_malformed_set_is_refused(payload: object) -> None:
    with pytest.raises(MergeError):
        observed_set.from_wire(payload, STAMP, PLACE)


@pytest.mark.parametrize(
    ("values", "born"),
    [
        ([b"i" * 16, 1], STAMP),
        ([b"i" * 16, 1, "x", "y"], STAMP),
        ([b"i" * 15, 1, "x"], STAMP),
        (["i" * 16, 1, "x"], STAMP),
        ([b"i" * 16, 0, "x"], STAMP),
        ([b"i" * 16, GENERATION_MAX + 1, "x"], STAMP),
        ([b"i" * 16, "1", "x"], STAMP),
        ([b"i" * 16, 1, "x"], STAMP[:-1]),
        ([b"i" * 16, 1, True], STAMP),
    ],
)
def test_a_malformed_row_is_refused(values: list[object], born: bytes) -> None:
    with pytest.raises(MergeError):
        read_row("notes", (("title", 1),), values, Stamp(born), {})


def test_a_column_never_changes_its_strategy() -> None:
    rows = [
        RowState(generation=1, born=STAMP, code_by_column={"title": code}, cell_by_column={"title": Register(STAMP, 1)})
        for code in (1, 5)
    ]
    with pytest.raises(MergeError, match="another strategy"):
        join_rows(*rows)

"""One table of all strategies: how a column's concurrent versions become one.

Every strategy is three functions over its own frozen state (delta-state CRDTs, Almeida et al. 2018):
`delta(state, new_value, stamp)`, `join(a, b)`, `value(state)`; and two that spell a state on wire and disk.
A strategy's code is never given to another strategy.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from crdt.errors import MergeError
from crdt.identifiers import Stamp
from crdt.strategies import counter, immutable, lww, maximum, observed_set
from crdt.strategies.counter import Counter
from crdt.strategies.observed_set import ObservedSet
from crdt.strategies.register import Register, register_from_wire, register_to_wire, register_value
from crdt.values import Scalar

CellState = Register | Counter | ObservedSet


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """A row of the table; `stamped` says that the state is a value under one stamp, shown as it is."""

    code: int
    name: str
    stamped: bool
    delta: Callable[[CellState | None, Scalar, Stamp], CellState | None]
    join: Callable[[CellState, CellState], CellState]
    value: Callable[[CellState], Scalar]
    to_wire: Callable[[CellState], object]
    from_wire: Callable[[object, Stamp], CellState]


def _stamped(code: int, name: str, delta: object, join: object) -> Strategy:
    return _strategy(code, name, True, delta, join, register_value, register_to_wire, register_from_wire)


def _strategy(code: int, name: str, stamped: bool, *functions: object) -> Strategy:
    # Each module is typed over its own state; the table is typed over the union of them. A row's cells of one
    # column all come from one strategy (its code is checked where bytes become states), so the casts hold.
    delta, join, value, to_wire, from_wire = functions
    return Strategy(
        code=code,
        name=name,
        stamped=stamped,
        delta=cast(Callable[[CellState | None, Scalar, Stamp], CellState | None], delta),
        join=cast(Callable[[CellState, CellState], CellState], join),
        value=cast(Callable[[CellState], Scalar], value),
        to_wire=cast(Callable[[CellState], object], to_wire),
        from_wire=cast(Callable[[object, Stamp], CellState], from_wire),
    )


STRATEGIES = (
    _stamped(1, "lww", lww.delta, lww.join),
    _stamped(2, "immutable", immutable.delta, immutable.join),
    _strategy(
        3,
        "set",
        False,
        observed_set.delta,
        observed_set.join,
        observed_set.value,
        observed_set.to_wire,
        observed_set.from_wire,
    ),
    _strategy(4, "counter", False, counter.delta, counter.join, counter.value, counter.to_wire, counter.from_wire),
    _stamped(5, "max", maximum.delta, maximum.join),
)
STRATEGY_BY_CODE = {strategy.code: strategy for strategy in STRATEGIES}
STRATEGY_BY_NAME = {strategy.name: strategy for strategy in STRATEGIES}


def strategy_of(code: int) -> Strategy:
    """Return the strategy with `code`, else raise MergeError."""
    try:
        return STRATEGY_BY_CODE[code]
    except KeyError:
        raise MergeError(f"no strategy has the code {code}") from None

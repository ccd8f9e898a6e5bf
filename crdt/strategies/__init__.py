"""One table of all strategies: how a column's concurrent versions become one.

Every strategy is three functions over its own frozen state (delta-state CRDTs, Almeida et al. 2018):
`delta(state, new_value, stamp, place)`, `join(a, b)`, `value(state)`; and three that spell a state: `to_wire` and
`from_wire` for wire and disk, `to_proof` for the row hash. `plain(value)` says that an inserted value is its own
spelling.
A strategy's code is never given to another strategy.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import cast

from crdt.errors import MergeError
from crdt.identifiers import Stamp
from crdt.place import Place
from crdt.strategies import counter, immutable, json_document, lww, maximum, minimum, observed_set, text
from crdt.strategies.counter import Counter
from crdt.strategies.json_document import JsonDocument
from crdt.strategies.observed_set import ObservedSet
from crdt.strategies.register import Register, register_from_wire, register_to_wire, register_value
from crdt.strategies.text import Text
from crdt.values import Scalar

CellState = Register | Counter | ObservedSet | Text | JsonDocument


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """A row of the table; `stamped` says that the state is a value under one stamp, shown as it is.

    `plain` tells of a value whether a cell into which it was inserted is spelled by the value itself.
    """

    code: int
    name: str
    stamped: bool
    plain: Callable[[Scalar], bool]
    delta: Callable[[CellState | None, Scalar, Stamp, Place], CellState | None]
    join: Callable[[CellState, CellState], CellState]
    value: Callable[[CellState], Scalar]
    to_wire: Callable[[CellState], object]
    to_proof: Callable[[CellState], object]
    from_wire: Callable[[object, Stamp, Place], CellState]


def _stamped(code: int, name: str, delta: object, join: object) -> Strategy:
    functions = (delta, join, register_value, register_to_wire, register_to_wire, register_from_wire)
    return _strategy(code, name, True, lambda value: True, *functions)


def _strategy(code: int, name: str, stamped: bool, plain: Callable[[Scalar], bool], *functions: object) -> Strategy:
    # Each module is typed over its own state; the table is typed over the union of them. A row's cells of one
    # column all come from one strategy (its code is checked where bytes become states), so the casts hold.
    delta, join, value, to_wire, to_proof, from_wire = functions
    return Strategy(
        code=code,
        name=name,
        stamped=stamped,
        plain=plain,
        delta=cast(Callable[[CellState | None, Scalar, Stamp, Place], CellState | None], delta),
        join=cast(Callable[[CellState, CellState], CellState], join),
        value=cast(Callable[[CellState], Scalar], value),
        to_wire=cast(Callable[[CellState], object], to_wire),
        to_proof=cast(Callable[[CellState], object], to_proof),
        from_wire=cast(Callable[[object, Stamp, Place], CellState], from_wire),
    )


def _of_module(code: int, name: str, plain: Callable[[Scalar], bool], module: ModuleType) -> Strategy:
    to_proof = getattr(module, "to_proof", module.to_wire)
    return _strategy(
        code, name, False, plain, module.delta, module.join, module.value, module.to_wire, to_proof, module.from_wire
    )


def _untouched(value: Scalar) -> bool:
    return value is None


STRATEGIES = (
    _stamped(1, "lww", lww.delta, lww.join),
    _stamped(2, "immutable", immutable.delta, immutable.join),
    _of_module(3, "set", _untouched, observed_set),
    _of_module(4, "counter", _untouched, counter),
    _stamped(5, "max", maximum.delta, maximum.join),
    _of_module(6, "text", text.is_plain, text),
    _of_module(7, "document", json_document.is_plain, json_document),
    _stamped(8, "min", minimum.delta, minimum.join),
)
STRATEGY_BY_CODE = {strategy.code: strategy for strategy in STRATEGIES}
STRATEGY_BY_NAME = {strategy.name: strategy for strategy in STRATEGIES}


def strategy_of(code: int) -> Strategy:
    """Return the strategy with `code`, else raise MergeError."""
    try:
        return STRATEGY_BY_CODE[code]
    except KeyError:
        raise MergeError(f"no strategy has the code {code}") from None


def own_stamp(state: CellState) -> Stamp | None:
    """Return the stamp that travels with the row for a cell, where it differs from the row's; None for no stamp."""
    return state.stamp if isinstance(state, Register | JsonDocument) else None

"""What a planted bug is, and how it is put in and taken out."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import TypeVar, cast

from crdt.strategies import STRATEGY_BY_CODE, STRATEGY_BY_NAME, CellState
from simulations.world.plan import Plan, as_drawn

State = TypeVar("State")

#: The checks that compare a store with the oracle, at whatever moment the difference first shows.
STATE_CHECKS = ("merge", "snapshot", "digest", "tables", "idempotence", "read-your-writes")


def focused(**settings: object) -> Callable[[Plan], Plan]:
    """Return what overrides some settings of a plan; nothing is set back, copied, damaged or of an
    earlier version unless they say so."""
    return lambda plan: replace(plan, **{"restore": 0.0, "clone": 0.0, "damage": 0.0, "earlier": 0.0, **settings})  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One planted bug: `plant` puts it in for the length of a with-block, one of `checks` must notice it.

    `focus` turns a drawn plan towards the situations in which this bug can show, so that few seeds suffice.
    """

    name: str
    says: str
    checks: tuple[str, ...]
    plant: Callable[[], AbstractContextManager[None]]
    focus: Callable[[Plan], Plan] = as_drawn


@contextmanager
def replaced(owner: object, name: str, replacement: object) -> Iterator[None]:
    """Let `owner.name` be something else."""
    original = getattr(owner, name)
    setattr(owner, name, replacement)
    try:
        yield
    finally:
        setattr(owner, name, original)


@contextmanager
def other_join(strategy: str, join: Callable[[State, State], State]) -> Iterator[None]:
    """Let a merge strategy join differently, wherever it is looked up."""
    original = STRATEGY_BY_NAME[strategy]
    # Each join is typed over its own state, the table over their union; a column's cells all have one type.
    changed = replace(original, join=cast(Callable[[CellState, CellState], CellState], join))
    STRATEGY_BY_NAME[strategy] = STRATEGY_BY_CODE[original.code] = changed
    try:
        yield
    finally:
        STRATEGY_BY_NAME[strategy] = STRATEGY_BY_CODE[original.code] = original

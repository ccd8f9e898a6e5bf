"""Set once at insert: the least stamp is shown, for roles, creation times and owning references."""

from crdt.identifiers import Stamp
from crdt.place import Place
from crdt.strategies.register import Register
from crdt.values import Scalar, value_order


def delta(state: Register | None, new_value: Scalar, stamp: Stamp, place: Place) -> Register:
    """Return the register that writes `new_value` (at insert; a later write loses to it)."""
    return Register(stamp, new_value)


def join(a: Register, b: Register) -> Register:
    """Return the register of the least stamp, of two under one stamp the one with the lesser value."""
    if a.stamp != b.stamp:
        return a if a.stamp < b.stamp else b
    return a if value_order(a.value) <= value_order(b.value) else b

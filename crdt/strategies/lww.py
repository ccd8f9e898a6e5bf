"""Last writer wins: the greater stamp, for settings, titles and status."""

from crdt.identifiers import Stamp
from crdt.place import Place
from crdt.strategies.register import Register
from crdt.values import Scalar, value_order


def delta(state: Register | None, new_value: Scalar, stamp: Stamp, place: Place) -> Register:
    """Return the register that writes `new_value`."""
    return Register(stamp, new_value)


def join(a: Register, b: Register) -> Register:
    """Return the register of the greater stamp.

    Two values under one stamp can only come from a forked author; the greater value is taken so that replicas
    agree all the same.
    """
    if a.stamp != b.stamp:
        return a if a.stamp > b.stamp else b
    return a if value_order(a.value) >= value_order(b.value) else b

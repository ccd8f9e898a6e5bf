"""The greatest value ever written, for times last seen."""

from crdt.identifiers import Stamp
from crdt.place import Place
from crdt.strategies.register import Register
from crdt.values import Scalar, value_order


def delta(state: Register | None, new_value: Scalar, stamp: Stamp, place: Place) -> Register:
    """Return the register that offers `new_value`; a lesser value than the present one changes nothing."""
    offered = Register(stamp, new_value)
    return offered if state is None else join(state, offered)


def join(a: Register, b: Register) -> Register:
    """Return the register of the greater value; of equal values, that of the least stamp."""
    order_a, order_b = value_order(a.value), value_order(b.value)
    if order_a != order_b:
        return a if order_a > order_b else b
    return a if a.stamp <= b.stamp else b

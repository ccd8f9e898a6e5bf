"""The values that a cell can hold, and one total order over them."""

from math import copysign, isnan

from crdt.errors import MergeError

Scalar = None | int | float | str | bytes

INTEGER_MIN, INTEGER_MAX = -(2**63), 2**63 - 1


def value_order(value: Scalar) -> tuple[int, float | int, str, bytes]:
    """Return a sort key: NULL < numbers < text (by code point) < bytes, as SQLite orders them.

    An integer and a real of the same size are told apart (integer first), so that equal keys mean equal bytes.
    """
    match value:
        case None:
            return (0, 0, "", b"")
        case int():
            return (1, value, "", b"")
        case float():
            return (1, value, "r", b"")
        case str():
            return (2, 0, value, b"")
        case bytes():
            return (3, 0, "", value)
    raise MergeError(f"a cell cannot hold a {type(value).__name__}")


def check_scalar(value: object) -> Scalar:
    """Return `value` if a cell can hold it, else raise MergeError."""
    if value is None or isinstance(value, (str, bytes)):
        return value
    if isinstance(value, bool):
        raise MergeError("a cell cannot hold a truth value")
    if isinstance(value, int):
        if not INTEGER_MIN <= value <= INTEGER_MAX:
            raise MergeError("an integer does not fit in 64 bits")
        return value
    if isinstance(value, float):
        if isnan(value) or (value == 0 and copysign(1, value) < 0):
            raise MergeError("a cell holds neither NaN nor a negative zero: each number has one spelling")
        return value
    raise MergeError(f"a cell cannot hold a {type(value).__name__}")

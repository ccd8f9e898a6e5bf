"""The state that lww, immutable, max and min share: one stamped value."""

from dataclasses import dataclass

from crdt.identifiers import Stamp
from crdt.place import Place
from crdt.values import Scalar, check_scalar


@dataclass(frozen=True, slots=True)
class Register:
    """A value and the stamp of the change that wrote it."""

    stamp: Stamp
    value: Scalar


def register_value(state: Register) -> Scalar:
    """Return what the column shows."""
    return state.value


def register_to_wire(state: Register) -> object:
    """Return the payload; the stamp travels with the row."""
    return state.value


def register_from_wire(payload: object, stamp: Stamp, place: Place) -> Register:
    """Return the register that `payload` spells, else raise MergeError."""
    return Register(stamp, check_scalar(payload))

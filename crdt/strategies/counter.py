"""A sum to which every origin adds and subtracts on its own, for usage counts and token totals.

A PN-counter (Shapiro et al. 2011): for each origin what it added and what it subtracted so far, both only growing.
A delta holds the whole totals of one origin, so applying it twice changes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from crdt.errors import MergeError
from crdt.identifiers import ORIGIN_BYTES, Origin, Stamp, exact_bytes, stamp_origin
from crdt.place import Place
from crdt.values import INTEGER_MAX, INTEGER_MIN, Scalar


@dataclass(frozen=True, slots=True)
class Counter:
    """(added, subtracted) by origin."""

    totals_by_origin: Mapping[Origin, tuple[int, int]]


def delta(state: Counter | None, new_value: Scalar, stamp: Stamp, place: Place) -> Counter | None:
    """Return this origin's totals after moving the sum to `new_value`; None where it stands there already."""
    if not isinstance(new_value, int):
        raise MergeError("a counter holds an integer")
    change = new_value - (value(state) if state else 0)
    if change == 0:
        return None if state else Counter({})
    origin = stamp_origin(stamp)
    added, subtracted = state.totals_by_origin.get(origin, (0, 0)) if state else (0, 0)
    totals = (added + max(change, 0), subtracted + max(-change, 0))
    if max(totals) > INTEGER_MAX:
        raise MergeError("a counter has moved further in all than 64 bits can count")
    return Counter({origin: totals})


def join(a: Counter, b: Counter) -> Counter:
    """Return for each origin the greater totals."""
    merged = dict(a.totals_by_origin)
    for origin, (added, subtracted) in b.totals_by_origin.items():
        other = merged.get(origin, (0, 0))
        merged[origin] = (max(added, other[0]), max(subtracted, other[1]))
    return Counter(merged)


def value(state: Counter) -> int:
    """Return the sum, held within 64 bits."""
    total = sum(added - subtracted for added, subtracted in state.totals_by_origin.values())
    return max(INTEGER_MIN, min(INTEGER_MAX, total))


def to_wire(state: Counter) -> object:
    """Return [[origin, added, subtracted], …] in order of origin, or None for an untouched counter."""
    rows = [[origin, *totals] for origin, totals in sorted(state.totals_by_origin.items())]
    return rows or None


def from_wire(payload: object, stamp: Stamp, place: Place) -> Counter:
    """Return the counter that `payload` spells, else raise MergeError."""
    if payload is None:
        return Counter({})
    if not isinstance(payload, list) or not payload:
        raise MergeError("a counter travels as a list, an untouched one as nil")
    totals: dict[Origin, tuple[int, int]] = {}
    for row in payload:
        match row:
            case [origin, int(added), int(subtracted)] if 0 <= added <= INTEGER_MAX and 0 <= subtracted <= INTEGER_MAX:
                totals[Origin(exact_bytes(origin, ORIGIN_BYTES, "origin"))] = (added, subtracted)
            case _:
                raise MergeError("a counter's entry is [origin, added, subtracted]")
    if len(totals) != len(payload) or list(totals) != sorted(totals):
        raise MergeError("a counter's entries stand in order of origin, each once")
    return Counter(totals)

"""A set of texts in which an add wins over a concurrent remove, for tags.

The optimised observed-remove set (Bieniusa et al. 2012; delta form: Almeida et al. 2018). Every add is a dot; a
remove names the dots it saw; what is covered by the causal context but no longer among the entries was removed.
The context of a stored set is the frontier of its stream, so nothing of a removed element stays in the row.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from crdt.errors import MergeError
from crdt.identifiers import DOT_BYTES, Dot, Stamp, exact_bytes, make_dot, stamp_origin, stamp_seq
from crdt.place import Place
from crdt.values import Scalar
from crdt.version_vector import VersionVector

_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class ObservedSet:
    """The live dots with their elements, and what this state knows of: a vector and single removed dots."""

    element_by_dot: Mapping[Dot, str]
    vector: VersionVector = field(default_factory=VersionVector)
    removed: frozenset[Dot] = frozenset()

    def knows(self, dot: Dot) -> bool:
        """Tell whether `dot` is in this state's causal context."""
        return dot in self.element_by_dot or dot in self.removed or self.vector.covers_dot(dot)


def elements(text: Scalar) -> list[str]:
    """Return the distinct elements, in order, of a JSON array of texts; raise MergeError for anything else."""
    if text is None:
        return []
    try:
        parsed = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError) as error:
        raise MergeError("a set is written as a JSON array of texts") from error
    if not isinstance(parsed, list) or not all(isinstance(element, str) for element in parsed):
        raise MergeError("a set is written as a JSON array of texts")
    if any(_SURROGATE.search(element) for element in parsed):
        # JSON can escape half of a surrogate pair, which no UTF-8 can hold.
        raise MergeError("a set's element is no Unicode text")
    return sorted(set(parsed))


def delta(state: ObservedSet | None, new_value: Scalar, stamp: Stamp, place: Place) -> ObservedSet | None:
    """Return the dots added and removed in moving to `new_value`; None where nothing changes."""
    wanted = elements(new_value)
    kept = frozenset(wanted)
    present = state.element_by_dot if state else {}
    shown = frozenset(present.values())
    removed = frozenset(dot for dot, element in present.items() if element not in kept)
    missing = [element for element in wanted if element not in shown]
    if state is not None and not removed and not missing:
        return None
    origin, seq = stamp_origin(stamp), stamp_seq(stamp)
    return ObservedSet({make_dot(origin, seq, index): e for index, e in enumerate(missing)}, removed=removed)


def join(a: ObservedSet, b: ObservedSet) -> ObservedSet:
    """Return the dots that both have, and those that one has and the other does not know of."""
    merged = {dot: element for dot, element in a.element_by_dot.items() if dot in b.element_by_dot or not b.knows(dot)}
    merged |= {dot: element for dot, element in b.element_by_dot.items() if not a.knows(dot)}
    vector = a.vector.join(b.vector)
    known = a.removed | b.removed | a.element_by_dot.keys() | b.element_by_dot.keys()
    removed = frozenset(dot for dot in known if dot not in merged and not vector.covers_dot(dot))
    return ObservedSet(dict(sorted(merged.items())), vector, removed)


def value(state: ObservedSet) -> str:
    """Return the elements as a sorted JSON array."""
    return json.dumps(sorted(set(state.element_by_dot.values())), ensure_ascii=False, separators=(",", ":"))


def to_wire(state: ObservedSet) -> object:
    """Return [[[dot, element], …], [removed dot, …]] in order of dots, or None for an untouched set."""
    added = [[dot, element] for dot, element in sorted(state.element_by_dot.items())]
    removed = sorted(state.removed)
    return [added, removed] if added or removed else None


def from_wire(payload: object, stamp: Stamp, place: Place) -> ObservedSet:
    """Return the set that `payload` spells, else raise MergeError."""
    if payload is None:
        return ObservedSet({})
    match payload:
        case [list(added), list(removed)] if added or removed:
            pass
        case _:
            raise MergeError("a set travels as [added, removed], an untouched one as nil")
    entries: dict[Dot, str] = {}
    for row in added:
        match row:
            case [dot, str(element)]:
                entries[Dot(exact_bytes(dot, DOT_BYTES, "dot"))] = element
            case _:
                raise MergeError("an added element is [dot, text]")
    gone = [Dot(exact_bytes(dot, DOT_BYTES, "dot")) for dot in removed]
    if len(entries) != len(added) or list(entries) != sorted(entries) or gone != sorted(set(gone)):
        raise MergeError("a set's dots stand in order, each once")
    if not entries.keys().isdisjoint(gone):
        raise MergeError("a dot is either added or removed")
    return ObservedSet(entries, removed=frozenset(gone))

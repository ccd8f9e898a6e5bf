"""JSON that merges by path: each leaf is the last one written, for metadata and settings.

A document is a map from path (the keys that lead to it) to leaf. A leaf is whatever is no object, or an empty object;
arrays are values and never merge element by element. Every leaf carries the stamp under which it was written or taken
away; of two leaves at one path that of the greater stamp stands. Where a leaf and leaves beneath its path were written
apart, the side that holds the greatest stamp shows; an empty object always gives way to what stands in it. The next
write takes away what was out of sight, so that it never comes back by itself.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from crdt.errors import MergeError
from crdt.identifiers import STAMP_BYTES, Stamp, exact_bytes
from crdt.place import Place
from crdt.values import Scalar

#: The keys that lead to a leaf.
Path = tuple[str, ...]

#: Of a document as one change writes it: a tenth of a second of work.
LEAVES_WRITTEN_MAX = 20_000
#: Of a document that several have written, those that are taken away too: a writer who sees so many adds none.
LEAVES_KEPT_MAX = 60_000
#: Of one that is read or arrives: seven devices may each have added as many as one change writes, apart.
LEAVES_MAX = LEAVES_KEPT_MAX + 7 * LEAVES_WRITTEN_MAX
DEPTH_MAX = 64
#: Of objects and arrays inside one another. Python's own bound depends on who calls, so one device would read what
#: another could not.
NESTING_MAX = 128
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Leaf:
    """The JSON text of a value (None: taken away) and the stamp of the change that wrote it."""

    stamp: Stamp
    text: str | None


@dataclass(frozen=True, slots=True)
class JsonDocument:
    """Every leaf that was ever written, in order of path; none at all is SQL's NULL."""

    leaf_by_path: Mapping[Path, Leaf]

    @property
    def stamp(self) -> Stamp | None:
        """Return the least stamp of the leaves: what a leaf has where its spelling names none."""
        return min((leaf.stamp for leaf in self.leaf_by_path.values()), default=None)


def canonical_json(value: object) -> str:
    """Return the one spelling of a JSON value: keys in order, no spaces, no escapes but those that JSON demands."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def is_plain(value: Scalar) -> bool:
    """Tell whether an inserted value is its own spelling: NULL, or canonical JSON."""
    if value is None or value == "{}":
        return True
    try:
        parsed = _parse(value)
        # Each leaf has a key: most documents need not be counted.
        if isinstance(value, str) and value.count('":') > LEAVES_WRITTEN_MAX:
            _written_leaves(parsed)
        return canonical_json(parsed) == value
    except MergeError:
        return False


def delta(state: JsonDocument | None, new_value: Scalar, stamp: Stamp, place: Place) -> JsonDocument | None:
    """Return the leaves written and taken away in moving to `new_value`; None where nothing changes.

    Raises MergeError where `new_value` is neither NULL nor JSON, or has too many leaves, or the document has had.
    """
    wanted = {} if new_value is None else _written_leaves(_parse(new_value))
    if state is None:
        return JsonDocument({path: Leaf(stamp, text) for path, text in sorted(wanted.items())})
    shown = _shown(state)
    if shown == wanted:
        return None
    written = {path: Leaf(stamp, text) for path, text in wanted.items() if shown.get(path) != text}
    standing = (path for path, leaf in state.leaf_by_path.items() if leaf.text is not None)
    written |= {path: Leaf(stamp, None) for path in standing if path not in wanted}
    added = len(written.keys() - state.leaf_by_path.keys())
    if added and len(state.leaf_by_path) + added > LEAVES_KEPT_MAX:
        raise MergeError(f"a document has had more than {LEAVES_KEPT_MAX:,} values in its time; begin another record")
    return JsonDocument(dict(sorted(written.items())))


def join(a: JsonDocument, b: JsonDocument) -> JsonDocument:
    """Return for each path the leaf of the greater stamp; of two under one stamp (a fork), that of the greater text."""
    merged = dict(a.leaf_by_path)
    for path, leaf in b.leaf_by_path.items():
        mine = merged.get(path)
        if mine is None or _order(mine) < _order(leaf):
            merged[path] = leaf
    return JsonDocument(dict(sorted(merged.items())))


def value(state: JsonDocument) -> str | None:
    """Return the canonical JSON of the leaves that show, None where there is none."""
    shown = _shown(state)
    if not shown:
        return None
    if () in shown:
        return shown[()]
    root: dict[str, Any] = {}
    for path, text in shown.items():
        inner = root
        for key in path[:-1]:
            inner = inner.setdefault(key, {})
        inner[path[-1]] = json.loads(text)
    return canonical_json(root)


def to_wire(state: JsonDocument) -> object:
    """Return nil (no leaves), the JSON text (all leaves under one stamp, none gone), or [[keys, text, stamp], …].

    In the list a text is nil where the leaf was taken away, a stamp where it is the least, which travels with the row.
    """
    if not state.leaf_by_path:
        return None
    least = state.stamp
    if all(leaf.stamp == least and leaf.text is not None for leaf in state.leaf_by_path.values()):
        text = value(state)
        assert text is not None
        if dict(_leaves(json.loads(text), ())).keys() == state.leaf_by_path.keys():
            return text
    return [
        [list(path), leaf.text, None if leaf.stamp == least else leaf.stamp]
        for path, leaf in sorted(state.leaf_by_path.items())
    ]


def from_wire(payload: object, stamp: Stamp, place: Place) -> JsonDocument:
    """Return the document that `payload` spells, whose least stamp is `stamp`, else raise MergeError."""
    if payload is None:
        return JsonDocument({})
    if isinstance(payload, str):
        parsed = _parse(payload)
        if canonical_json(parsed) != payload:
            raise MergeError("a document is spelled as canonical JSON")
        return JsonDocument({path: Leaf(stamp, text) for path, text in sorted(_written_leaves(parsed).items())})
    if not isinstance(payload, list) or len(payload) > LEAVES_MAX:
        raise MergeError("a document travels as nil, as JSON, or as a list of leaves")
    leaves = dict(_read_leaf(row, stamp) for row in payload)
    state = JsonDocument(leaves)
    if len(leaves) != len(payload) or list(leaves) != sorted(leaves) or state.stamp != stamp:
        raise MergeError("the leaves of a document stand in order of path, each once, the least stamp with the row")
    if to_wire(state) != payload:
        raise MergeError("a document that one change wrote travels as JSON")
    return state


def _read_leaf(row: object, least: Stamp) -> tuple[Path, Leaf]:
    match row:
        case [list(keys), str() | None as text, bytes() | None as stamp] if all(isinstance(key, str) for key in keys):
            pass
        case _:
            raise MergeError("a leaf is [keys, JSON text or nil, stamp or nil]")
    if len(keys) > DEPTH_MAX or any(_SURROGATE.search(key) for key in keys):
        raise MergeError("a leaf lies too deep, or its keys are no Unicode")
    if text is not None:
        parsed = _parse(text, NESTING_MAX - len(keys))
        if canonical_json(parsed) != text or (isinstance(parsed, dict) and parsed):
            raise MergeError("a leaf is canonical JSON of anything but an object with content")
    if stamp is None:
        return tuple(keys), Leaf(least, text)
    own = Stamp(exact_bytes(stamp, STAMP_BYTES, "stamp"))
    if own <= least:
        raise MergeError("a leaf's own stamp is greater than the least")
    return tuple(keys), Leaf(own, text)


def _order(leaf: Leaf) -> tuple[Stamp, bool, str]:
    return leaf.stamp, leaf.text is not None, leaf.text or ""


def _shown(state: JsonDocument) -> dict[Path, str]:
    """Return the leaves that show: of a leaf and those beneath its path, the side with the greatest stamp."""
    standing = {path: leaf for path, leaf in state.leaf_by_path.items() if leaf.text is not None}
    newest_beneath: dict[Path, Stamp] = {}
    for path, leaf in standing.items():
        for length in range(len(path)):
            above = path[:length]
            if above in standing:
                newest_beneath[above] = max(leaf.stamp, newest_beneath.get(above, leaf.stamp))
    covering = {
        above
        for above, newest in newest_beneath.items()
        if standing[above].text != "{}" and standing[above].stamp >= newest
    }
    shown: dict[Path, str] = {}
    for path, leaf in standing.items():
        covered = covering and any(path[:length] in covering for length in range(len(path)))
        if leaf.text is not None and not covered and (path in covering or path not in newest_beneath):
            shown[path] = leaf.text
    return shown


def _parse(text: Scalar, nesting_max: int = NESTING_MAX) -> object:
    try:
        parsed: object = json.loads(text) if isinstance(text, str) else json.loads("")
        if isinstance(text, str) and _SURROGATE.search(canonical_json(parsed)):
            raise MergeError("a document's text is no Unicode")
        if isinstance(text, str) and text.count("[") + text.count("{") > nesting_max:
            _check_nesting(parsed, nesting_max)
    except MergeError:
        raise
    except (ValueError, RecursionError) as error:
        raise MergeError("a document is written as JSON") from error
    return parsed


def _check_nesting(parsed: object, most: int) -> None:
    """Raise MergeError where more than `most` objects and arrays stand inside one another."""
    level: list[object] = [parsed]
    for _ in range(most):
        level = [inner for value in level for inner in _inside(value)]
    if any(isinstance(value, dict | list) for value in level):
        raise MergeError(f"a document has more than {NESTING_MAX} objects and arrays inside one another")


def _inside(value: object) -> Iterable[object]:
    match value:
        case dict():
            return value.values()
        case list():
            return value
        case _:
            return ()


def _written_leaves(parsed: object) -> dict[Path, str]:
    leaves = dict(islice(_leaves(parsed, ()), LEAVES_WRITTEN_MAX + 1))
    if len(leaves) > LEAVES_WRITTEN_MAX:
        raise MergeError(f"a document has more than {LEAVES_WRITTEN_MAX:,} values")
    return leaves


def _leaves(parsed: object, path: Path) -> Iterator[tuple[Path, str]]:
    if not isinstance(parsed, dict) or not parsed:
        yield path, canonical_json(parsed)
        return
    if len(path) == DEPTH_MAX:
        raise MergeError("a document has objects inside one another too deep")
    for key, inner in parsed.items():
        yield from _leaves(inner, (*path, key))

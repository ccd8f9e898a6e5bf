"""Applies a change to a text as it is stored, one that arrives or one that is made here, without making states of it.

Only what most edits are is done here: one change by a new author, all that it builds on is applied and came by batches,
nothing waits. Everything else is left to crdt.strategies.text, which leaves the same bytes.
"""

from bisect import insort
from collections.abc import Sequence
from typing import NamedTuple

from crdt.errors import MergeError
from crdt.identifiers import Stamp
from crdt.place import Place
from crdt.strategies.text import change_to, plain_text, promoted
from crdt.text_at_rest import cut, cut_names, to_stored
from crdt.text_change import ACTOR_BYTES, Chunk, TextChange, last_number
from crdt.text_chunk import parse_chunk, read_chunk, write_chunk
from crdt.text_records import record
from crdt.text_sequence import apply_change
from crdt.text_spans import Run, pack_spans, shown_text, unpack_spans
from crdt.text_splice import Packed, position, splice


class TextAtRest(NamedTuple):
    """A text as it is kept: `payload` beside what is `shown` (None for a plain text), and what a row hash spells."""

    payload: object | None
    shown: str
    proof: object


class _Opened(NamedTuple):
    """A stored text none of whose changes waits or is ahead."""

    heads: bytes
    names: bytes
    actors: bytes
    acts: list[bytes]
    last: int
    packed: Packed


def at_rest(payload: object | None, shown: str) -> TextAtRest:
    """Return the text that was stored as `payload` beside `shown`; a damaged payload gives no true proof."""
    match payload:
        case [bytes(heads), _, _, _, _, [], *_]:
            return TextAtRest(payload, shown, [cut_names(heads), shown])
        case [bytes(heads), _, _, _, _, list(waiting), *_]:
            return TextAtRest(payload, shown, [[*cut_names(heads), *(entry[0] for entry in waiting)], shown])
        case _:
            return TextAtRest(payload, shown, shown)


def merged(text: TextAtRest, wire: object, place: Place) -> TextAtRest | None:
    """Return the text with one more change, as `text.join` would leave it; None where that has to decide.

    `wire` is what travels of an edit. Raises MergeError for a change that is none, or does not fit the text.
    """
    if type(wire) is not list or len(wire) != 1:
        return None
    chunk = read_chunk(wire[0])
    opened = _open(text, place)
    if opened is None or position(opened.names, chunk.hash) >= 0:
        return None
    change = parse_chunk(chunk.raw)
    if position(opened.actors, change.actor) >= 0:
        return None
    actors = opened.actors + change.actor
    index_by_name = {dep: position(opened.names, dep) for dep in chunk.deps}
    index_by_actor = _positions(actors, change)
    # What it builds on and names must be met first. The base is not among the names either.
    if -1 in index_by_name.values() or -1 in index_by_actor.values():
        return None
    packed = splice(opened.packed, actors, change)
    if packed is None:
        authors = cut(actors, ACTOR_BYTES)
        runs = apply_change(unpack_spans(*opened.packed[:2], authors, text.shown), change)
        packed = _pack(runs, authors)
    return _grown(opened, chunk, change, actors, record(change, index_by_name, index_by_actor), packed)


def edited(text: TextAtRest, wanted: str, stamp: Stamp, place: Place) -> tuple[TextAtRest, bytes] | None:
    """Return the text after it was edited to `wanted`, and the change; None where `text.delta` has to decide.

    Raises MergeError where `wanted` is no text.
    """
    opened = _open(text, place)
    if opened is None or not opened.names or wanted == text.shown:
        return None
    authors = cut(opened.actors, ACTOR_BYTES)
    runs = unpack_spans(*opened.packed[:2], authors, text.shown)
    change, runs = change_to(wanted, text.shown, runs, cut_names(opened.heads), opened.last, stamp)
    chunk = write_chunk(change)
    actors = opened.actors + change.actor
    index_by_name = {dep: position(opened.names, dep) for dep in chunk.deps}
    said = record(change, index_by_name, _positions(actors, change))
    return _grown(opened, chunk, change, actors, said, _pack(runs, [*authors, change.actor])), chunk.raw


def _open(text: TextAtRest, place: Place) -> _Opened | None:
    payload = text.payload
    if payload is None:
        payload = to_stored(promoted(plain_text(text.shown, place)))
    match payload:
        case [bytes(heads), bytes(names), bytes(actors), list(acts), int(last), [], list(spans), str(gone), b""]:
            pass
        case _:
            return None
    if sum(spans[2::3]) != len(text.shown) - len(gone):
        raise MergeError("a stored text is not as long as what its table shows")
    return _Opened(heads, names, actors, acts, last, Packed(spans, gone, text.shown))


def _positions(actors: bytes, change: TextChange) -> dict[bytes, int]:
    """Return the positions of a change's author and of those whose characters it names, −1 where there is none."""
    named = {operation[0] for operation in change.operations}
    named.add(change.actor)
    return {actor: position(actors, actor) for actor in named if actor is not None}


def _pack(runs: Sequence[Run], authors: Sequence[bytes]) -> Packed:
    # Of an author with two changes the first position is the one that counts.
    index_by_actor = {actor: index for index, actor in reversed([*enumerate(authors)])}
    return Packed(*pack_spans(runs, index_by_actor), shown_text(runs))


def _grown(text: _Opened, chunk: Chunk, change: TextChange, actors: bytes, said: bytes, packed: Packed) -> TextAtRest:
    heads = cut_names(text.heads)
    for dep in chunk.deps:
        if dep in heads:
            heads.remove(dep)
    insort(heads, chunk.hash)
    last = max(text.last, last_number(change))
    spans, gone, shown = packed
    kept = [b"".join(heads), text.names + chunk.hash, actors, [*text.acts, said], last, [], spans, gone, b""]
    return TextAtRest(kept, shown, [heads, shown])

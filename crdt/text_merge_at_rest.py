"""Applies a change to a text as it is stored, one that arrives or one that is made here, without making states of it.

Only what most edits are is done here: one change by a new author, all that it builds on is applied and came by batches,
nothing waits. Everything else is left to crdt.strategies.text, which leaves the same bytes.
"""

from typing import NamedTuple

from crdt.identifiers import Stamp
from crdt.place import Place
from crdt.strategies.text import BASE_HASH, change_to, plain_text, promoted
from crdt.text_at_rest import cut, cut_names, to_stored
from crdt.text_chunk import (
    ACTOR_BYTES,
    ChangeHash,
    Chunk,
    TextChange,
    last_number,
    parse_chunk,
    read_chunk,
    write_chunk,
)
from crdt.text_records import record
from crdt.text_spans import Run, apply_change, pack_spans, shown_text, unpack_spans


class TextAtRest(NamedTuple):
    """A text as it is kept: `payload` beside what is `shown` (None for a plain text), and what a row hash spells."""

    payload: object | None
    shown: str
    proof: object


class _Opened(NamedTuple):
    """A stored text none of whose changes waits or is ahead; `positions` are those of names and of authors."""

    heads: list[ChangeHash]
    names: bytes
    actors: bytes
    acts: list[bytes]
    last: int
    spans: list[Run]
    index_by_name: dict[ChangeHash, int]
    index_by_actor: dict[bytes, int]


def at_rest(payload: object | None, shown: str) -> TextAtRest:
    """Return the text that was stored as `payload` beside `shown`; a damaged payload gives no true proof."""
    match payload:
        case [bytes(heads), _, _, _, _, list(waiting), *_]:
            return TextAtRest(payload, shown, [[*cut_names(heads), *(name for name, _ in waiting)], shown])
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
    if opened is None or BASE_HASH in chunk.deps:
        return None
    if chunk.hash in opened.index_by_name or not all(dep in opened.index_by_name for dep in chunk.deps):
        return None
    change = parse_chunk(chunk.raw)
    # What it names must be met first; its own characters and the beginning (None) always are.
    if change.actor in opened.index_by_actor or not all(
        actor is None or actor in opened.index_by_actor or actor == change.actor for actor, *_ in change.operations
    ):
        return None
    return _grown(opened, chunk, change, apply_change(opened.spans, change))


def edited(text: TextAtRest, wanted: str, stamp: Stamp, place: Place) -> tuple[TextAtRest, bytes] | None:
    """Return the text after it was edited to `wanted`, and the change; None where `text.delta` has to decide.

    Raises MergeError where `wanted` is no text.
    """
    opened = _open(text, place)
    if opened is None or not opened.names or wanted == text.shown:
        return None
    change, spans = change_to(wanted, text.shown, opened.spans, opened.heads, opened.last, stamp)
    chunk = write_chunk(change)
    return _grown(opened, chunk, change, spans), chunk.raw


def _open(text: TextAtRest, place: Place) -> _Opened | None:
    payload = text.payload
    if payload is None:
        payload = to_stored(promoted(plain_text(text.shown, place)))
    match payload:
        case [bytes(heads), bytes(names), bytes(actors), list(acts), int(last), [], list(spans), str(gone), b""]:
            pass
        case _:
            return None
    authors = cut(actors, ACTOR_BYTES)
    index_by_name = {name: index for index, name in enumerate(cut_names(names))}
    index_by_actor = {actor: index for index, actor in enumerate(authors)}
    if not len(index_by_name) == len(index_by_actor) == len(acts):
        # An author has two changes.
        return None
    runs = unpack_spans(spans, gone, authors, text.shown)
    return _Opened(cut_names(heads), names, actors, acts, last, runs, index_by_name, index_by_actor)


def _grown(text: _Opened, chunk: Chunk, change: TextChange, runs: list[Run]) -> TextAtRest:
    shown = shown_text(runs)
    heads = sorted({*text.heads}.difference(chunk.deps) | {chunk.hash})
    text.index_by_actor[change.actor] = len(text.acts)
    acts = [*text.acts, record(change, text.index_by_name, text.index_by_actor)]
    spans, gone = pack_spans(runs, text.index_by_actor)
    last = max(text.last, last_number(change))
    kept = [
        b"".join(heads), text.names + chunk.hash, text.actors + change.actor, acts, last, [], spans, gone, b""
    ]  # fmt: skip
    return TextAtRest(kept, shown, [heads, shown])

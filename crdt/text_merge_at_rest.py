"""Applies an arriving change to a text as it is stored, without making states of either.

Only what most edits are is done here: one change by a new author, all that it builds on is applied and came by batches,
nothing waits. Everything else is left to crdt.strategies.text, which leaves the same bytes.
"""

from typing import NamedTuple

from crdt.place import Place
from crdt.strategies.text import BASE_HASH, plain_text, promoted
from crdt.text_at_rest import to_stored
from crdt.text_chunk import ACTOR_BYTES, HASH_BYTES, last_number, parse_chunk, read_chunk
from crdt.text_spans import apply_change, pack_spans, shown_text, unpack_spans


class TextAtRest(NamedTuple):
    """A text as it is kept: `payload` beside what is `shown` (None for a plain text), and what a row hash spells."""

    payload: object | None
    shown: str
    proof: object


def at_rest(payload: object | None, shown: str) -> TextAtRest:
    """Return the text that was stored as `payload` beside `shown`; a damaged payload gives no true proof."""
    match payload:
        case [bytes(heads), bytes(), bytes(waiting), *_]:
            return TextAtRest(payload, shown, [[*_names(heads), *_names(waiting)], shown])
        case _:
            return TextAtRest(payload, shown, shown)


def merged(text: TextAtRest, wire: object, place: Place, *, changes_max: int) -> TextAtRest | None:
    """Return the text with one more change, as `text.join` would leave it; None where that has to decide.

    `wire` is what travels of an edit. At `changes_max` changes a text is due to be compacted, and not taken either.
    Raises MergeError for a change that is none, or does not fit the text.
    """
    if type(wire) is not list or len(wire) != 1:
        return None
    chunk = read_chunk(wire[0])
    payload = text.payload
    if payload is None:
        payload = to_stored(promoted(plain_text(text.shown, place)))
    match payload:
        case [bytes(heads), bytes(inside), b"", int(last), bytes(saved), list(chunks), bytes(actors), list(spans), b""]:
            pass
        case _:
            return None
    known = {*_names(inside), *(name for name, _ in chunks)}
    if not chunk.deps or BASE_HASH in chunk.deps or not known.issuperset(chunk.deps) or chunk.hash in known:
        return None
    change = parse_chunk(chunk.raw)
    authors = _cut(actors, ACTOR_BYTES)
    if len(chunks) + 1 >= changes_max or change.actor in authors:
        return None
    # What it names must be met first; its own characters and the beginning (None) always are.
    if not {operation[0] for operation in change.operations}.issubset((None, change.actor, *authors)):
        return None
    runs = apply_change(unpack_spans(spans, actors, text.shown), change)
    shown = shown_text(runs)
    names = sorted({*_names(heads)}.difference(chunk.deps) | {chunk.hash})
    packed_actors, packed = pack_spans(runs)
    kept = [
        b"".join(names),
        inside,
        b"",
        max(last, last_number(change)),
        saved,
        [*chunks, [chunk.hash, chunk.raw]],
        packed_actors,
        packed,
        b"",
    ]
    return TextAtRest(kept, shown, [names, shown])


def _names(blob: bytes) -> list[bytes]:
    return _cut(blob, HASH_BYTES)


def _cut(blob: bytes, size: int) -> list[bytes]:
    return [blob[at : at + size] for at in range(0, len(blob), size)]

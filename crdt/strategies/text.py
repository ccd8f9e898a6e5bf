"""Text that merges character by character: a plain value until it is edited, an Automerge document from then on.

A text that was only ever inserted is its own spelling. The first edit, or a second differing value for the same life of
the row, promotes it: the constant base change, then each inserted value as one change by actor H(place, value).
An edit is one change by actor H(stamp, heads, new text). So promotion happens anywhere, at any time, with the same
bytes, and no actor ever makes two changes: neither a fork nor a restored copy gives one (actor, number) two meanings.

What a state knows is a set of changes; its heads (the changes that no other one builds on) and the changes that are
named but missing determine that set, and with it the text.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b

import msgspec

from crdt import document
from crdt.errors import MergeError
from crdt.identifiers import Stamp
from crdt.place import Place
from crdt.text_chunk import ChangeHash, Chunk, read_chunk
from crdt.text_edits import edits
from crdt.values import Scalar

BASE_HASH = document.BASE.hash
_ACTOR_BYTES = 16
_encode = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True, slots=True, eq=False)
class Text:
    """One inserted value (`plain`), or the changes made since the base.

    `heads` stand in order of hash, `missing` are changes that are built on but not here, `shown` is the text of those
    whose dependencies are here. `saved` is a compact document of some of the changes, `chunks` are the others.
    """

    place: Place
    plain: str | None
    shown: str
    heads: tuple[ChangeHash, ...] = ()
    missing: frozenset[ChangeHash] = frozenset()
    saved: bytes = b""
    chunks: Mapping[ChangeHash, Chunk] = field(default_factory=dict)

    def __eq__(self, other: object) -> bool:
        """Tell whether both know the same changes, however they keep them."""
        return isinstance(other, Text) and self._identity() == other._identity()

    def __hash__(self) -> int:
        """Return the hash of what `__eq__` compares."""
        return hash(self._identity())

    def _identity(self) -> tuple[object, ...]:
        return (self.plain, self.heads, self.missing, self.shown)


def plain_text(value: str, place: Place) -> Text:
    """Return the text that was inserted as `value` and never edited."""
    return Text(place, value, value)


def is_plain(value: Scalar) -> bool:
    """Tell that an inserted text is its own spelling, whatever it is."""
    return True


def delta(state: Text | None, new_value: Scalar, stamp: Stamp, place: Place) -> Text | None:
    """Return the change that leads from what `state` shows to `new_value`; None where nothing changes.

    Raises MergeError where the new value is no text.
    """
    wanted = _check_text("" if new_value is None else new_value)
    if state is None:
        return plain_text(wanted, place)
    changes = edits(state.shown, wanted)
    if not changes:
        return None
    applied, heads = _applied(_all_chunks(state))
    parts = _parts(state, applied)
    chunk = read_chunk(document.edit(parts, heads, editor(stamp, heads, wanted), changes))
    missing = frozenset(chunk.deps) - {BASE_HASH}
    return Text(place, None, "" if missing else wanted, (chunk.hash,), missing, b"", {chunk.hash: chunk})


def join(a: Text, b: Text) -> Text:
    """Return the text of all changes of both."""
    if a == b:
        return a
    mine, others = _all_chunks(a), _all_chunks(b)
    if others.keys() <= mine.keys():
        return a
    if mine.keys() <= others.keys():
        return b
    return _of_chunks(a.place, {**mine, **others})


def value(state: Text) -> str:
    """Return the text."""
    return state.shown


def to_wire(state: Text) -> object:
    """Return the plain text, or the changes in order of hash."""
    if state.plain is not None:
        return state.plain
    return [chunk.raw for _, chunk in sorted(_all_chunks(state).items())]


def to_proof(state: Text) -> object:
    """Return what a row hash spells: the plain text, or [heads, text]."""
    return state.plain if state.plain is not None else [list(state.heads), state.shown]


def from_wire(payload: object, stamp: Stamp, place: Place) -> Text:
    """Return the text that `payload` spells, else raise MergeError."""
    if isinstance(payload, str):
        return plain_text(_check_text(payload), place)
    if not isinstance(payload, list) or not payload:
        raise MergeError("a text travels as a text, an edited one as the list of its changes")
    chunks = {chunk.hash: chunk for chunk in map(read_chunk, payload)}
    if len(chunks) != len(payload) or list(chunks) != sorted(chunks) or BASE_HASH in chunks:
        raise MergeError("the changes of a text stand in order of hash, each once, without the base")
    state = _of_chunks(place, chunks)
    if state.plain is not None:
        raise MergeError("a text that was only inserted travels as it is")
    return state


def to_stored(state: Text) -> object:
    """Return what is kept beside the shown text, None for a plain one: [heads, missing, document, [change…]]."""
    if state.plain is not None:
        return None
    chunks = [chunk.raw for _, chunk in sorted(state.chunks.items())]
    return [list(state.heads), sorted(state.missing), state.saved, chunks]


def from_stored(payload: object, shown: str, place: Place) -> Text:
    """Return the state that `to_stored` gave, `shown` being what stands in the table. Raises MergeError."""
    match payload:
        case None:
            return plain_text(shown, place)
        case [list(heads), list(missing), bytes(saved), list(raws)]:
            chunks = {chunk.hash: chunk for chunk in map(read_chunk, raws)}
            return Text(place, None, shown, tuple(heads), frozenset(missing), saved, chunks)
        case _:
            raise MergeError("a stored text is damaged")


def compacted(state: Text) -> Text:
    """Return the same text kept as one compact document; what still waits for a missing change stays as it is."""
    if state.plain is not None:
        return state
    chunks = _all_chunks(state)
    applied, heads = _applied(chunks)
    saved = document.save(_parts(state, applied), heads)
    # A change that does not come back in its own bytes could never be sent on: then nothing is compacted.
    if {chunk.hash for chunk in _saved_chunks(saved).values()} != applied.keys():
        return state
    rest = {name: chunk for name, chunk in chunks.items() if name not in applied}
    return Text(state.place, None, state.shown, state.heads, state.missing, saved, rest)


def without(state: Text, names: Iterable[ChangeHash]) -> Text:
    """Return the text as if the changes called `names`, and all that build on them, had never been made."""
    chunks = dict(_all_chunks(state))
    gone = set(names)
    while gone & chunks.keys():
        for name in gone & chunks.keys():
            del chunks[name]
        gone |= {name for name, chunk in chunks.items() if not gone.isdisjoint(chunk.deps)}
    return _of_chunks(state.place, chunks)


def rebase(state: Text, base_heads: Sequence[bytes], new_value: str) -> str:
    """Return the text that remains when `new_value`, written over the text as it stood at `base_heads`, is merged.

    Nothing is kept of the edit itself: its author writes the result as an ordinary edit. Raises MergeError where one
    of the heads is not among the changes of this text.
    """
    wanted = _check_text(new_value)
    chunks = _all_chunks(state)
    known = {BASE_HASH, *chunks}
    if not known.issuperset(base_heads):
        raise MergeError("the version that was edited is not known here")
    base: dict[ChangeHash, Chunk] = {}
    waiting = [ChangeHash(head) for head in base_heads]
    while waiting:
        name = waiting.pop()
        if name in chunks and name not in base:
            base[name] = chunks[name]
            waiting.extend(chunks[name].deps)
    old = _of_chunks(state.place, base)
    change = delta(old, wanted, Stamp(b"rebase"), state.place)
    return state.shown if change is None else join(state, change).shown


def heads_of(state: Text) -> tuple[ChangeHash, ...]:
    """Return the heads of a text; those of a plain one are what they would be after promotion."""
    if state.plain is None:
        return state.heads
    return tuple(_all_chunks(state)) or (BASE_HASH,)


def inserter(place: Place, text: str) -> bytes:
    """Return the actor that inserts `text` at `place`: 16 bytes that are the same on every device."""
    return blake2b(_encode([*place, text]), digest_size=_ACTOR_BYTES, person=b"nuthatch-insert").digest()


def editor(stamp: Stamp, heads: Sequence[ChangeHash], text: str) -> bytes:
    """Return the actor that makes `text` of the text at `heads` under `stamp`: 16 bytes."""
    return blake2b(_encode([stamp, heads, text]), digest_size=_ACTOR_BYTES, person=b"nuthatch-editor").digest()


def _check_text(text: object) -> str:
    if not isinstance(text, str) or "\0" in text:
        raise MergeError("a text is Unicode without NUL")
    return text


@lru_cache(maxsize=256)
def _inserted(place: Place, text: str) -> Chunk:
    return read_chunk(document.insert(text, inserter(place, text)))


@lru_cache(maxsize=64)
def _saved_chunks(saved: bytes) -> dict[ChangeHash, Chunk]:
    chunks = map(read_chunk, document.changes(saved))
    return {chunk.hash: chunk for chunk in chunks if chunk.hash != BASE_HASH}


def _all_chunks(state: Text) -> Mapping[ChangeHash, Chunk]:
    """Return every change of a text but the base."""
    if state.plain is not None:
        if not state.plain:
            return {}
        chunk = _inserted(state.place, state.plain)
        return {chunk.hash: chunk}
    return {**_saved_chunks(state.saved), **state.chunks} if state.saved else state.chunks


def _applied(chunks: Mapping[ChangeHash, Chunk]) -> tuple[dict[ChangeHash, Chunk], list[ChangeHash]]:
    """Return the changes whose dependencies are here, in an order in which they can be applied, and their heads."""
    applied: dict[ChangeHash, Chunk] = {}
    waiting = dict(sorted(chunks.items()))
    while ready := [c for c in waiting.values() if all(dep == BASE_HASH or dep in applied for dep in c.deps)]:
        for chunk in ready:
            applied[chunk.hash] = waiting.pop(chunk.hash)
    return applied, _heads(applied)


def _heads(chunks: Mapping[ChangeHash, Chunk]) -> list[ChangeHash]:
    built_on = {dep for chunk in chunks.values() for dep in chunk.deps}
    return sorted(chunks.keys() - built_on) or [BASE_HASH]


def _parts(state: Text, applied: Mapping[ChangeHash, Chunk]) -> list[bytes]:
    if not state.saved:
        return [document.BASE.raw, *(chunk.raw for chunk in applied.values())]
    inside = _saved_chunks(state.saved)
    return [state.saved, *(chunk.raw for name, chunk in applied.items() if name not in inside)]


def _of_chunks(place: Place, chunks: Mapping[ChangeHash, Chunk]) -> Text:
    if not chunks:
        return plain_text("", place)
    applied, heads = _applied(chunks)
    text = document.shown([document.BASE.raw, *(chunk.raw for chunk in applied.values())], heads) if applied else ""
    if len(chunks) == 1 and applied and text and chunks.keys() == {_inserted(place, text).hash}:
        return plain_text(text, place)
    missing = frozenset(dep for chunk in chunks.values() for dep in chunk.deps) - chunks.keys() - {BASE_HASH}
    return Text(place, None, text, tuple(_heads(chunks)), missing, b"", chunks)

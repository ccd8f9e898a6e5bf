"""Text that merges character by character: a plain value until it is edited, an Automerge document from then on.

A text that was only ever inserted is its own spelling. The first edit, or a second differing value for the same life of
the row, promotes it: the constant base change, then each inserted value as one change by actor H(place, value).
An edit is one change by actor H(stamp, heads, new text). So promotion happens anywhere, at any time, with the same
bytes, and no actor ever makes two changes: neither a fork nor a restored copy gives one (actor, number) two meanings.

What a state knows is a set of changes. Those whose dependencies are here are applied to the text's spans
(crdt.text_spans), which are kept with the state, so that merging a change loads nothing; the others wait for them.
Automerge makes the changes of edits and the compact documents, and each edit it makes is checked against the spans;
above `LIBRARY_CHARACTERS_MAX` it would take seconds, and crdt.text_chunk writes the same bytes.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from hashlib import blake2b

import msgspec

from crdt import document
from crdt.errors import MergeError
from crdt.identifiers import Stamp
from crdt.place import Place
from crdt.text_chunk import (
    ACTOR_BYTES,
    ChangeHash,
    Insertion,
    TextChange,
    parse_chunk,
    read_chunk,
    write_chunk,
)
from crdt.text_edits import Edit, edits
from crdt.text_growth import Applied, clashes, grow
from crdt.text_spans import Run, apply_change, operations_of, shown_text
from crdt.values import Scalar

BASE_HASH = document.BASE.hash
#: A write carries changes that no batch has brought yet only up to here; more of them would fill batches of their own.
CARRIED_BYTES_MAX = 65_536
#: Characters, deleted ones too: Automerge takes 2 µs for each when it loads a document.
LIBRARY_CHARACTERS_MAX = 16_384
_FIRST_NUMBER = 2
_REMEMBERED_BYTES = 4096
_encode = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True, slots=True, eq=False)
class Text:
    """One inserted value (`plain`), or the changes made since the base.

    `chunks` are their bytes in the order in which they were applied, except for those inside `saved`, a compact
    document. `known` are the names of all that are applied, `heads` those that no other one builds on, in order; what
    is in `chunks` only is waiting for a dependency. `spans` and `shown` are what the applied ones amount to, `last` is
    the greatest number of their operations. `ahead` names those of which only a copied row told: others who hold all
    batches that are held here need not know them.
    """

    place: Place
    plain: str | None
    shown: str
    heads: tuple[ChangeHash, ...] = (BASE_HASH,)
    known: frozenset[ChangeHash] = frozenset()
    chunks: Mapping[ChangeHash, bytes] = field(default_factory=dict)
    saved: bytes = b""
    spans: Sequence[Run] = ()
    last: int = _FIRST_NUMBER - 1
    ahead: frozenset[ChangeHash] = frozenset()

    def __eq__(self, other: object) -> bool:
        """Tell whether both know the same changes, however they keep them."""
        return isinstance(other, Text) and self._identity() == other._identity()

    def __hash__(self) -> int:
        """Return the hash of what `__eq__` compares."""
        return hash(self._identity())

    @property
    def waiting(self) -> list[ChangeHash]:
        """The names of the changes whose dependencies are not all here, in order."""
        return sorted(name for name in self.chunks if name not in self.known)

    def _identity(self) -> tuple[object, ...]:
        # The applied heads and what waits determine every change that is known.
        return (self.plain, self.heads, *self.waiting)


def plain_text(value: str, place: Place) -> Text:
    """Return the text that was inserted as `value` and never edited."""
    return Text(place, value, value)


def is_plain(value: Scalar) -> bool:
    """Tell that an inserted text is its own spelling, whatever it is."""
    return True


def delta(state: Text | None, new_value: Scalar, stamp: Stamp, place: Place) -> Text | None:
    """Return the change that leads from what `state` shows to `new_value`; None where nothing changes.

    With it go those that are `ahead`: whoever met the change without them would have to keep it out of sight. Raises
    MergeError where the new value is no text.
    """
    wanted = _check_text("" if new_value is None else new_value)
    if state is None:
        return plain_text(wanted, place)
    changes = edits(state.shown, wanted)
    if not changes:
        return None
    whole = promoted(state)
    raw = _edited(whole, editor(stamp, whole.heads, wanted), changes)
    change = _parsed(raw)
    if shown_text(apply_change(whole.spans, change)) != wanted:
        raise MergeError("the change of a text does not lead to what was written")
    return _grown(Text(place, None, ""), {**_carried(whole), read_chunk(raw).hash: raw})


def come_ahead(state: Text) -> Text:
    """Return the same text of which all changes are `ahead`, as they are where a row came without its batches."""
    whole = promoted(state)
    return replace(whole, ahead=whole.known.union(whole.chunks))


def _carried(state: Text) -> Mapping[ChangeHash, bytes]:
    if not state.ahead:
        return {}
    chunks = _all_chunks(state)
    carried = {name: chunks[name] for name in state.ahead & state.known}
    return carried if sum(map(len, carried.values())) <= CARRIED_BYTES_MAX else {}


def join(a: Text, b: Text) -> Text:
    """Return the text of all changes of both."""
    if a.plain is not None and a.plain == b.plain:
        return a
    more, less = (promoted(a), promoted(b))
    if len(more.known) < len(less.known):
        more, less, a = less, more, b
    chunks = less.chunks
    if less.saved and not less.known <= more.known:
        chunks = _all_chunks(less)
    new = {name: raw for name, raw in chunks.items() if name not in more.known and name not in more.chunks}
    grown = _grown(more, new) if new else a
    if more.ahead or less.ahead:
        by_batch = (one.known.union(one.chunks) - one.ahead for one in (more, less))
        return replace(grown, ahead=(more.ahead | less.ahead).difference(*by_batch))
    return grown


def value(state: Text) -> str:
    """Return the text."""
    return state.shown


def to_wire(state: Text) -> object:
    """Return the plain text, or the changes in order of hash."""
    if state.plain is not None:
        return state.plain
    return [raw for _, raw in sorted(_all_chunks(state).items())]


def to_proof(state: Text) -> object:
    """Return what a row hash spells: the plain text, or [heads and whatever waits, text]."""
    return state.plain if state.plain is not None else [[*state.heads, *state.waiting], state.shown]


def from_wire(payload: object, stamp: Stamp, place: Place) -> Text:
    """Return the text that `payload` spells, else raise MergeError."""
    if isinstance(payload, str):
        return plain_text(_check_text(payload), place)
    if not isinstance(payload, list) or not payload:
        raise MergeError("a text travels as a text, an edited one as the list of its changes")
    chunks: dict[ChangeHash, bytes] = {}
    for raw in payload:
        chunk = read_chunk(raw)
        chunks[chunk.hash] = chunk.raw
        _parsed(chunk.raw)
    if len(chunks) != len(payload) or list(chunks) != sorted(chunks):
        raise MergeError("the changes of a text stand in order of hash, each once")
    grown = _grown(Text(place, None, ""), chunks)
    if len(chunks) == 1 and not grown.known and read_chunk(payload[0]).deps == (BASE_HASH,):
        raise MergeError("a change of a text names characters that no one wrote")
    state = _canonical(grown)
    if state.plain is not None:
        raise MergeError("a text that was only inserted travels as it is")
    return state


def compacted(state: Text) -> Text:
    """Return the same text kept as one compact document; what still waits for a missing change stays as it is.

    A text too long for the library to load in a moment stays as it is, too.
    """
    if state.plain is not None or _characters(state) > LIBRARY_CHARACTERS_MAX:
        return state
    try:
        saved = document.save(_parts(state), state.heads)
    except MergeError:
        # The library takes no second change of one author, even if both only delete.
        return state
    # A change that does not come back in its own bytes could never be sent on: then nothing is compacted.
    if _saved_chunks(saved).keys() != state.known:
        return state
    rest = {name: raw for name, raw in state.chunks.items() if name not in state.known}
    return replace(state, chunks=rest, saved=saved)


def without(state: Text, names: Iterable[ChangeHash]) -> Text:
    """Return the text as if the changes called `names`, and all that build on them, had never been made."""
    chunks = dict(_all_chunks(state))
    gone = set(names)
    while gone & chunks.keys():
        for name in gone & chunks.keys():
            del chunks[name]
        gone |= {name for name, raw in chunks.items() if not gone.isdisjoint(read_chunk(raw).deps)}
    return _canonical(_grown(Text(state.place, None, ""), chunks))


def rebase(state: Text, base_heads: Sequence[bytes], new_value: str) -> str:
    """Return the text that remains when `new_value`, written over the text as it stood at `base_heads`, is merged.

    Nothing is kept of the edit itself: its author writes the result as an ordinary edit. Raises MergeError where one
    of the heads is not among the changes of this text.
    """
    wanted = _check_text(new_value)
    chunks = _all_chunks(state)
    if not {BASE_HASH, *chunks}.issuperset(base_heads):
        raise MergeError("the version that was edited is not known here")
    base: dict[ChangeHash, bytes] = {}
    open_names = [ChangeHash(head) for head in base_heads]
    while open_names:
        name = open_names.pop()
        if name in chunks and name not in base:
            base[name] = chunks[name]
            open_names.extend(read_chunk(chunks[name]).deps)
    old = _grown(Text(state.place, None, ""), base)
    # No stamp is under way: what is made here is merged into a value and then thrown away.
    change = delta(old, wanted, Stamp(b"rebase"), state.place)
    return state.shown if change is None else join(state, change).shown


def heads_of(state: Text) -> tuple[ChangeHash, ...]:
    """Return the heads of a text; those of a plain one are what they would be after promotion."""
    return promoted(state).heads


def inserter(place: Place, text: str) -> bytes:
    """Return the actor that inserts `text` at `place`: 16 bytes that are the same on every device."""
    return blake2b(_encode([*place, text]), digest_size=ACTOR_BYTES, person=b"nuthatch-insert").digest()


def editor(stamp: Stamp, heads: Sequence[ChangeHash], text: str) -> bytes:
    """Return the actor that makes `text` of the text at `heads` under `stamp`: 16 bytes."""
    return blake2b(_encode([stamp, heads, text]), digest_size=ACTOR_BYTES, person=b"nuthatch-editor").digest()


def _check_text(text: object) -> str:
    if not isinstance(text, str) or "\0" in text:
        raise MergeError("a text is Unicode without NUL")
    return text


def promoted(state: Text) -> Text:
    """Return the text as changes; the one that inserts a value has the same bytes wherever it is made."""
    if state.plain is None:
        return state
    if not state.plain:
        return Text(state.place, None, "")
    actor = inserter(state.place, state.plain)
    insertion = Insertion(None, 0, state.plain)
    chunk = write_chunk(TextChange(actor, (BASE_HASH,), _FIRST_NUMBER, (insertion,)))
    run = Run(actor, _FIRST_NUMBER, len(state.plain), state.plain, 0)
    return Text(
        place=state.place,
        plain=None,
        shown=state.plain,
        heads=(chunk.hash,),
        known=frozenset((chunk.hash,)),
        chunks={chunk.hash: chunk.raw},
        spans=(run,),
        last=_FIRST_NUMBER + len(state.plain) - 1,
    )


def _canonical(state: Text) -> Text:
    """Return the state, a plain one where its changes are exactly one inserted value."""
    if not state.known and not state.chunks:
        return plain_text("", state.place)
    if len(state.known) == 1 and len(state.spans) == 1 and state.shown and not state.waiting:
        plain = plain_text(state.shown, state.place)
        if promoted(plain).heads == state.heads:
            return plain
    return state


def _characters(state: Text) -> int:
    return sum([run.length for run in state.spans])


def _edited(state: Text, actor: bytes, changes: Sequence[Edit]) -> bytes:
    """Return the change by which `actor` makes `changes` in a promoted text."""
    if _characters(state) + sum(len(edit.inserted) for edit in changes) <= LIBRARY_CHARACTERS_MAX:
        with suppress(MergeError):
            return document.edit(_parts(state), state.heads, actor, changes)
    # Too long for the library, or with changes that a member made as the library never would.
    return write_chunk(TextChange(actor, state.heads, state.last + 1, operations_of(state.spans, changes))).raw


@lru_cache(maxsize=256)
def _remembered(raw: bytes) -> TextChange:
    return parse_chunk(raw)


def _parsed(raw: bytes) -> TextChange:
    """Return what a change does; what was just checked on its way in is not read again to be applied."""
    return _remembered(raw) if len(raw) <= _REMEMBERED_BYTES else parse_chunk(raw)


@lru_cache(maxsize=64)
def _saved_chunks(saved: bytes) -> Mapping[ChangeHash, bytes]:
    chunks = map(read_chunk, document.changes(saved))
    return {chunk.hash: chunk.raw for chunk in chunks if chunk.hash != BASE_HASH}


def _all_chunks(state: Text) -> Mapping[ChangeHash, bytes]:
    """Return every change of a text but the base, by name."""
    whole = promoted(state)
    return {**_saved_chunks(whole.saved), **whole.chunks} if whole.saved else whole.chunks


def _parts(state: Text) -> list[bytes]:
    """Return what the library loads: the base or the compact document, then the applied changes in order."""
    applied = (raw for name, raw in state.chunks.items() if name in state.known)
    return [state.saved or document.BASE.raw, *applied]


def _grown(state: Text, new: Mapping[ChangeHash, bytes]) -> Text:
    """Return a promoted text with further changes: those that can be are applied, the others wait."""
    waiting = {**{name: raw for name, raw in state.chunks.items() if name not in state.known}, **new}
    changes = {name: _parsed(raw) for name, raw in waiting.items()}
    if clashes(state.spans, changes):
        return _grown(Text(state.place, None, "", ahead=state.ahead), {**_all_chunks(state), **new})
    chunks = {name: raw for name, raw in state.chunks.items() if name in state.known}
    applied = Applied(state.spans, set(state.known), set(state.heads), state.last, [])
    grow(applied, changes, BASE_HASH)
    for name in applied.order:
        chunks[name] = waiting.pop(name)
    return Text(
        place=state.place,
        plain=None,
        shown=shown_text(applied.spans),
        heads=tuple(sorted(applied.heads)),
        known=frozenset(applied.known),
        chunks={**chunks, **waiting},
        saved=state.saved,
        spans=applied.spans,
        last=applied.last,
        ahead=state.ahead,
    )

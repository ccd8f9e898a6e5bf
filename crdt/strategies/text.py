"""Text that merges character by character: a plain value until it is edited, an Automerge document from then on.

A text that was only ever inserted is its own spelling. The first edit, or a second differing value for the same life of
the row, promotes it: the constant base change, then each inserted value as one change by actor H(place, value).
An edit is one change by actor H(stamp, heads, new text). So promotion happens anywhere, at any time, with the same
bytes, and no actor ever makes two changes: neither a fork nor a restored copy gives one (actor, number) two meanings.

What a state knows is a set of changes. Those whose dependencies are here are applied to the text's spans
(crdt.text_spans), which are kept with the state, so that merging a change loads nothing; the others wait for them.
Changes are written by crdt.text_chunk, byte for byte as Automerge writes them, without loading its document, which
takes ten times as long. Each edit is checked against the spans before it leaves here.
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
from crdt.text_change import ACTOR_BYTES, ChangeHash, Insertion, TextChange
from crdt.text_chunk import parse_chunk, read_chunk, write_chunk, written_out
from crdt.text_edits import edits
from crdt.text_growth import Applied, Waiting, clashes, grow, writers
from crdt.text_records import NO_RECORDS, Records, recorded, rewritten
from crdt.text_sequence import apply_change
from crdt.text_spans import Run, operations_of, shown_text
from crdt.values import Scalar

BASE_HASH = document.BASE.hash
#: A write carries changes that no batch has brought yet only up to here; more of them would fill batches of their own.
CARRIED_BYTES_MAX = 65_536
#: Automerge takes 2 µs for each character, deleted ones too.
REPLAYED_CHARACTERS_MAX = 16_384
_FIRST_NUMBER = 2
_REMEMBERED_BYTES = 4096
_encode = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True, slots=True, eq=False)
class Text:
    """One inserted value (`plain`), or the changes made since the base.

    `applied` are those that could be applied, `heads` the names of those that no other one builds on, in order;
    `unapplied` are those that wait for another. `spans` and `shown` are what the applied ones amount to,
    `last` is the greatest number of their operations. `ahead` names those of which only a copied row told: others who
    hold all batches that are held here need not know them.
    """

    place: Place
    plain: str | None
    shown: str
    heads: tuple[ChangeHash, ...] = (BASE_HASH,)
    applied: Records = NO_RECORDS
    unapplied: Mapping[ChangeHash, Waiting] = field(default_factory=dict)
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
    def known(self) -> frozenset[ChangeHash]:
        """The names of the changes that are applied."""
        return frozenset(self.applied.names)

    @property
    def waiting(self) -> list[ChangeHash]:
        """The names of the changes that wait for another, in order."""
        return sorted(self.unapplied)

    @property
    def chunks(self) -> dict[ChangeHash, bytes]:
        """The bytes of all changes but the base by name; the applied ones are written anew, 15 µs each."""
        return {**rewritten(self.applied, self.spans, BASE_HASH), **self._unapplied_chunks()}

    def _unapplied_chunks(self) -> dict[ChangeHash, bytes]:
        return {name: waiting.raw for name, waiting in self.unapplied.items()}

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
    if wanted == state.shown:
        return None
    whole = promoted(state)
    change, _ = change_to(wanted, whole.shown, whole.spans, whole.heads, whole.last, stamp)
    chunk = write_chunk(change)
    return _grown(Text(place, None, ""), {**_carried(whole), chunk.hash: chunk.raw})


def change_to(
    wanted: str, shown: str, spans: Sequence[Run], heads: Sequence[ChangeHash], last: int, stamp: Stamp
) -> tuple[TextChange, list[Run]]:
    """Return the change that leads from what is shown to another text, and the spans that it leaves.

    `heads` and `last` are the text's heads and its greatest operation. Raises MergeError where `wanted` is no text.
    """
    actor = editor(stamp, heads, _check_text(wanted))
    change = written_out(TextChange(actor, tuple(heads), last + 1, operations_of(spans, edits(shown, wanted))))
    left = apply_change(spans, change)
    if shown_text(left) != wanted:
        raise MergeError("the change of a text does not lead to what was written")
    return change, left


def come_ahead(state: Text) -> Text:
    """Return the same text of which all changes are `ahead`, as they are where a row came without its batches."""
    whole = promoted(state)
    return replace(whole, ahead=whole.known.union(whole.unapplied))


def _carried(state: Text) -> Mapping[ChangeHash, bytes]:
    if not state.ahead:
        return {}
    chunks = state.chunks
    carried = {name: chunks[name] for name in state.ahead & state.known}
    return carried if sum(map(len, carried.values())) <= CARRIED_BYTES_MAX else {}


def join(a: Text, b: Text) -> Text:
    """Return the text of all changes of both."""
    if a.plain is not None and a.plain == b.plain:
        return a
    more, less = (promoted(a), promoted(b))
    if len(more.applied.names) < len(less.applied.names):
        more, less, a = less, more, b
    known = {*more.applied.names, *more.unapplied}
    # What both have applied need not be written anew.
    chunks = less._unapplied_chunks() if known.issuperset(less.applied.names) else less.chunks
    new = {name: raw for name, raw in chunks.items() if name not in known}
    grown = _grown(more, new) if new else a
    if more.ahead or less.ahead:
        by_batch = (one.known.union(one.unapplied) - one.ahead for one in (more, less))
        return replace(grown, ahead=(more.ahead | less.ahead).difference(*by_batch))
    return grown


def value(state: Text) -> str:
    """Return the text."""
    return state.shown


def to_wire(state: Text) -> object:
    """Return the plain text, or the changes in order of hash."""
    if state.plain is not None:
        return state.plain
    return [raw for _, raw in sorted(promoted(state).chunks.items())]


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


def without(state: Text, names: Iterable[ChangeHash]) -> Text:
    """Return the text as if the changes called `names`, and all that build on them, had never been made."""
    chunks = promoted(state).chunks
    gone = set(names)
    while gone & chunks.keys():
        for name in gone & chunks.keys():
            del chunks[name]
        gone |= {name for name, raw in chunks.items() if not gone.isdisjoint(read_chunk(raw).deps)}
    return _canonical(_grown(Text(state.place, None, ""), chunks))


def is_whole(state: Text) -> bool:
    """Tell whether what is kept of a text is what its changes make, by this code and by Automerge.

    The library is asked up to `REPLAYED_CHARACTERS_MAX`; what it refuses, as only a member makes it, it has no say in.
    """
    if state.plain is not None:
        return True
    try:
        chunks = state.chunks
    except MergeError:
        return False
    again = _grown(Text(state.place, None, ""), chunks)
    if (again.shown, again.heads, again.waiting) != (state.shown, state.heads, state.waiting):
        return False
    if sum([run[2] for run in state.spans]) > REPLAYED_CHARACTERS_MAX:
        return True
    with suppress(MergeError):
        return document.replay([chunks[name] for name in state.applied.names], state.heads) == state.shown
    return True


def rebase(state: Text, base_heads: Sequence[bytes], new_value: str) -> str:
    """Return the text that remains when `new_value`, written over the text as it stood at `base_heads`, is merged.

    Nothing is kept of the edit itself: its author writes the result as an ordinary edit. Raises MergeError where one
    of the heads is not among the changes of this text.
    """
    wanted = _check_text(new_value)
    chunks = promoted(state).chunks
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
    change = TextChange(actor, (BASE_HASH,), _FIRST_NUMBER, (insertion,))
    name = write_chunk(change).hash
    return Text(
        place=state.place,
        plain=None,
        shown=state.plain,
        heads=(name,),
        applied=recorded(NO_RECORDS, [(name, change)], BASE_HASH),
        spans=((actor, _FIRST_NUMBER, len(state.plain), True, state.plain, 0),),
        last=_FIRST_NUMBER + len(state.plain) - 1,
    )


def _canonical(state: Text) -> Text:
    """Return the state, a plain one where its changes are exactly one inserted value."""
    if not state.applied.names and not state.unapplied:
        return plain_text("", state.place)
    if len(state.applied.names) == 1 and len(state.spans) == 1 and state.shown and not state.waiting:
        plain = plain_text(state.shown, state.place)
        if promoted(plain).heads == state.heads:
            return plain
    return state


@lru_cache(maxsize=256)
def _remembered(raw: bytes) -> TextChange:
    return parse_chunk(raw)


def _parsed(raw: bytes) -> TextChange:
    """Return what a change does; what was just checked on its way in is not read again to be applied."""
    return _remembered(raw) if len(raw) <= _REMEMBERED_BYTES else parse_chunk(raw)


def _grown(state: Text, new: Mapping[ChangeHash, bytes]) -> Text:
    """Return a promoted text with further changes: those that can be are applied, the others wait.

    Of those that waited already only those are looked at which lacked what has come, or share an author with it.
    """
    waiting = dict(state.unapplied)
    applied = Applied(state.spans, set(state.known), set(state.heads), state.last, [])
    changes: dict[ChangeHash, TextChange] = {}
    looked = {name: _parsed(raw) for name, raw in new.items()}
    while looked:
        authors = writers(looked)
        looked |= {name: _parsed(one.raw) for name, one in waiting.items() if one.actor in authors}
        if clashes(applied.spans, looked):
            return _grown(Text(state.place, None, "", ahead=state.ahead), {**state.chunks, **new})
        done = len(applied.order)
        lacks_by_name = grow(applied, looked, BASE_HASH)
        come = {name: looked[name] for name in applied.order[done:]}
        changes |= come
        for name, lacks in lacks_by_name.items():
            raw = waiting[name].raw if name in waiting else new[name]
            waiting[name] = Waiting(raw, looked[name].actor, lacks)
        for name in come:
            waiting.pop(name, None)
        met = {*come, *writers(come)}
        looked = {name: _parsed(one.raw) for name, one in waiting.items() if not met.isdisjoint(one.lacks)}
    return Text(
        place=state.place,
        plain=None,
        shown=shown_text(applied.spans),
        heads=tuple(sorted(applied.heads)),
        applied=recorded(state.applied, changes.items(), BASE_HASH),
        unapplied=waiting,
        spans=applied.spans,
        last=applied.last,
        ahead=state.ahead,
    )

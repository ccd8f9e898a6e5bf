"""Spells a text's state as it is kept beside the text that a table shows, so that it is read without building it up."""

from crdt.errors import MergeError
from crdt.place import Place
from crdt.strategies.text import Text, plain_text
from crdt.text_chunk import HASH_BYTES, ChangeHash
from crdt.text_spans import pack_spans, unpack_spans


def to_stored(state: Text) -> object:
    """Return what is kept beside the shown text, None for a plain one.

    [heads, names inside the document, names that wait, last number, document, [[name, change] …], actors, spans, names
    that are ahead], names and actors end to end, the spans as (index of actor, counter, length; negative: deleted) in
    a row.
    """
    if state.plain is not None:
        return None
    actors, spans = pack_spans(state.spans)
    inside = b"".join(sorted(state.known - state.chunks.keys()))
    chunks = [[name, raw] for name, raw in state.chunks.items()]
    waiting = b"".join(state.waiting)
    ahead = b"".join(sorted(state.ahead))
    return [b"".join(state.heads), inside, waiting, state.last, state.saved, chunks, actors, spans, ahead]


def from_stored(payload: object, shown: str, place: Place) -> Text:
    """Return the state that `to_stored` gave, `shown` being what stands in the table. Raises MergeError."""
    match payload:
        case None:
            return plain_text(shown, place)
        case [
            bytes(heads), bytes(inside), bytes(waiting), int(last),
            bytes(saved), list(chunks), bytes(actors), list(spans), bytes(ahead),
        ]:  # fmt: skip
            pass
        case _:
            raise MergeError("a stored text is damaged")
    raw_by_name: dict[ChangeHash, bytes] = dict(chunks)
    known = frozenset(_names(inside)) | (raw_by_name.keys() - frozenset(_names(waiting)))
    return Text(
        place=place,
        plain=None,
        shown=shown,
        heads=_names(heads),
        known=known,
        chunks=raw_by_name,
        saved=saved,
        spans=unpack_spans(spans, actors, shown),
        last=last,
        ahead=frozenset(_names(ahead)),
    )


def _names(blob: bytes) -> tuple[ChangeHash, ...]:
    return tuple([ChangeHash(blob[at : at + HASH_BYTES]) for at in range(0, len(blob), HASH_BYTES)])

"""Spells a text's state as it is kept beside the text that a table shows, so that it is read without building it up."""

from typing import cast

from crdt.errors import MergeError
from crdt.place import Place
from crdt.strategies.text import Text, plain_text
from crdt.text_change import ACTOR_BYTES, HASH_BYTES, ChangeHash
from crdt.text_growth import Waiting
from crdt.text_records import Records
from crdt.text_spans import pack_spans, unpack_spans


def to_stored(state: Text) -> object:
    """Return what is kept beside the shown text, None for a plain one.

    [heads, names of the applied changes, their authors, [record …], last number, [[name, bytes, author, [what it lacks
    …]] of a change that waits …], spans, deleted letters, names that are ahead]: names and authors end to end, the
    spans as (position of author, counter, length; negative: deleted) in a row.
    """
    if state.plain is not None:
        return None
    names, actors, acts = state.applied
    spans, gone = pack_spans(state.spans, state.applied.index_by_actor())
    waiting = [[name, raw, actor, [*lacks]] for name, (raw, actor, lacks) in sorted(state.unapplied.items())]
    ahead = b"".join(sorted(state.ahead))
    return [
        b"".join(state.heads), b"".join(names), b"".join(actors), [*acts], state.last, waiting, spans, gone, ahead
    ]  # fmt: skip


def from_stored(payload: object, shown: str, place: Place) -> Text:
    """Return the state that `to_stored` gave, `shown` being what stands in the table. Raises MergeError."""
    match payload:
        case None:
            return plain_text(shown, place)
        case [
            bytes(heads), bytes(names), bytes(actors), list(acts), int(last),
            list(waiting), list(spans), str(gone), bytes(ahead),
        ]:  # fmt: skip
            pass
        case _:
            raise MergeError("a stored text is damaged")
    authors = cut(actors, ACTOR_BYTES)
    applied = Records(cut_names(names), authors, acts)
    if not len(applied.names) == len(authors) == len(acts):
        raise MergeError("a stored text is damaged")
    return Text(
        place=place,
        plain=None,
        shown=shown,
        heads=tuple(cut_names(heads)),
        applied=applied,
        unapplied={name: Waiting(raw, actor, tuple(lacks)) for name, raw, actor, lacks in waiting},
        spans=unpack_spans(spans, gone, authors, shown),
        last=last,
        ahead=frozenset(cut_names(ahead)),
    )


def cut(blob: bytes, size: int) -> list[bytes]:
    """Return the pieces of `size` bytes that stand end to end."""
    # Most texts have one head.
    return [blob] if len(blob) == size else [blob[at : at + size] for at in range(0, len(blob), size)]


def cut_names(blob: bytes) -> list[ChangeHash]:
    """Return the names of changes that stand end to end."""
    return cast(list[ChangeHash], cut(blob, HASH_BYTES))

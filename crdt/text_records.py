"""Keeps the changes that are applied to a text without their letters, which stand in the text's runs already.

A change's bytes hold its name, the names of those that it builds on, the authors of the characters that it names, and
each letter once more: some 180 bytes for a word put in the place of another. A record says the same in about 20, by
positions in the lists of names and authors. Because a change has one spelling only (crdt.text_chunk), its bytes are
written anew from the record when it travels, and its name proves them.

A record is a msgpack array: number of the first operation, how many changes it builds on, their positions (−1: the
base), then for each operation (position of the author, −1: the beginning; counter; length) of an insertion, and
(position of the author, its complement where the counters fall; counter; −length) of a deletion.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from crdt.errors import MergeError
from crdt.text_change import ChangeHash, Deletion, Insertion, TextChange
from crdt.text_chunk import write_chunk
from crdt.text_spans import Spans, written_by

_NOBODY = -1
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[int]).decode


class Records(NamedTuple):
    """The applied changes in the order in which they were applied: name, author, and what each did."""

    names: Sequence[ChangeHash]
    actors: Sequence[bytes]
    acts: Sequence[bytes]

    def index_by_actor(self) -> dict[bytes, int]:
        """Return the first position at which each author stands."""
        return {actor: index for index, actor in reversed([*enumerate(self.actors)])}


NO_RECORDS = Records((), (), ())


def recorded(records: Records, changes: Iterable[tuple[ChangeHash, TextChange]], base: ChangeHash) -> Records:
    """Return the records with further changes that were applied, in this order; `base` is what every text begins with.

    All that they build on, and all authors whose characters they name, are recorded before them.
    """
    names, actors, acts = [*records.names], [*records.actors], [*records.acts]
    index_by_name = {name: index for index, name in enumerate(names)}
    index_by_name[base] = _NOBODY
    index_by_actor = records.index_by_actor()
    for name, change in changes:
        index_by_name[name] = len(names)
        index_by_actor.setdefault(change.actor, len(names))
        names.append(name)
        actors.append(change.actor)
        acts.append(record(change, index_by_name, index_by_actor))
    return Records(names, actors, acts)


def record(change: TextChange, index_by_name: Mapping[ChangeHash, int], index_by_actor: Mapping[bytes, int]) -> bytes:
    """Return what a change did, by the positions of what it names."""
    said = [change.start, len(change.deps), *[index_by_name[dep] for dep in change.deps]]
    for operation in change.operations:
        if isinstance(operation, Insertion):
            behind, counter, text = operation
            said += (_NOBODY if behind is None else index_by_actor[behind], counter, len(text))
        else:
            actor, counter, length, step = operation
            index = index_by_actor[actor]
            said += (index if step > 0 else ~index, counter, -length)
    return _encode(said)


def rewritten(records: Records, spans: Spans, base: ChangeHash) -> dict[ChangeHash, bytes]:
    """Return the bytes of every recorded change by name, in order; raise MergeError where a record is damaged."""
    text_by_actor = written_by(spans)
    raw_by_name: dict[ChangeHash, bytes] = {}
    try:
        for name, actor, act in zip(*records, strict=True):
            chunk = write_chunk(_change(records, actor, _decode(act), text_by_actor.get(actor, ""), base))
            raw_by_name[name] = chunk.raw
            if chunk.hash != name:
                raise MergeError("a stored text is damaged")
    except (IndexError, ValueError, msgspec.MsgspecError) as error:
        raise MergeError("a stored text is damaged") from error
    return raw_by_name


def _change(records: Records, actor: bytes, said: Sequence[int], text: str, base: ChangeHash) -> TextChange:
    start, count = said[:2]
    deps = tuple([base if index == _NOBODY else records.names[index] for index in said[2 : 2 + count]])
    operations: list[Insertion | Deletion] = []
    taken = 0
    for index, counter, length in zip(*[iter(said[2 + count :])] * 3, strict=True):
        if length > 0:
            behind = None if index == _NOBODY else records.actors[index]
            operations.append(Insertion(behind, counter, text[taken : taken + length]))
            taken += length
        elif index >= 0:
            operations.append(Deletion(records.actors[index], counter, -length))
        else:
            operations.append(Deletion(records.actors[~index], counter, -length, -1))
    return TextChange(actor, deps, start, tuple(operations))

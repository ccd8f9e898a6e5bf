"""The changes of a text in Automerge's binary format: read strictly, written byte for byte as Automerge writes them.

Source: the Automerge binary format specification (automerge.org/automerge-binary-format-spec), "Change chunk". A
chunk is magic 4 ‖ checksum 4 ‖ type 1 ‖ length (LEB128) ‖ contents; its hash is SHA-256 over type ‖ length ‖ contents,
and the checksum is its first four bytes. Only the uncompressed form (type 1) is used, so that a change has one
spelling and nothing is ever inflated. Of all operations only two are allowed: inserting one character behind another
(or at the beginning), and deleting one. A chunk is accepted exactly if writing what was read gives its bytes again.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from hashlib import sha256
from itertools import groupby
from typing import NamedTuple, NewType

from crdt.errors import MergeError
from crdt.text_columns import (
    Runs,
    read_runs,
    read_signed,
    read_truths,
    read_unsigned,
    signed,
    spell_runs,
    spell_truths,
    unsigned,
)

ChangeHash = NewType("ChangeHash", bytes)

HASH_BYTES = 32
ACTOR_BYTES = 16
#: A transaction is at most 8 MiB, and a character that was inserted at least one byte of it.
OPERATIONS_MAX = 8 * 1024 * 1024
_SHAPE_STEPS_MAX = 8
#: The actor of the one change that every text begins with; its first operation makes the text.
BASE_ACTOR = b"nuthatch-text-v1"
_TEXT_COUNTER = 1
MAGIC = b"\x85\x6f\x4a\x83"
_TYPE_CHANGE = 1
_TYPE = bytes([_TYPE_CHANGE])
_ACTOR_SIZE = bytes([ACTOR_BYTES])
_CONTENTS_AT_LEAST = 9
# Column numbers: id × 16 + type, as the specification lists them.
_OBJECT_ACTOR, _OBJECT_COUNTER, _KEY_ACTOR, _KEY_COUNTER, _INSERT, _ACTION = map(
    unsigned, (0x01, 0x02, 0x11, 0x13, 0x34, 0x42)
)
_VALUE_SIZE, _VALUE, _DELETED, _DELETED_ACTOR, _DELETED_COUNTER = map(unsigned, (0x56, 0x57, 0x70, 0x71, 0x73))
_SET, _DELETE = 1, 3
_TEXT_VALUE = 6


_Columns = tuple[tuple[bytes, bytes], ...]
_Shape = tuple[_Columns, _Columns, _Columns]


class Chunk(NamedTuple):
    """A change's bytes, its name, and the names of the changes that it builds on."""

    hash: ChangeHash
    deps: tuple[ChangeHash, ...]
    raw: bytes


class Insertion(NamedTuple):
    """`text` behind the character (actor, counter), at the beginning where `actor` is None."""

    actor: bytes | None
    counter: int
    text: str


class Deletion(NamedTuple):
    """`length` characters of `actor`: counter, counter + step, …"""

    actor: bytes
    counter: int
    length: int
    step: int = 1


class TextChange(NamedTuple):
    """What a change does: its operations are numbered `start`, `start` + 1, … one for each character."""

    actor: bytes
    deps: tuple[ChangeHash, ...]
    start: int
    operations: tuple[Insertion | Deletion, ...]


def read_chunk(raw: object) -> Chunk:
    """Return the change in `raw`, its hash and its length checked; raise MergeError for anything else."""
    if not isinstance(raw, bytes) or len(raw) <= _CONTENTS_AT_LEAST or raw[:4] != MAGIC or raw[8] != _TYPE_CHANGE:
        raise MergeError("a change of a text is an uncompressed Automerge change")
    length, start = read_unsigned(raw, _CONTENTS_AT_LEAST)
    if start + length != len(raw):
        raise MergeError("a change of a text is longer or shorter than it says")
    name = sha256(memoryview(raw)[8:]).digest()
    if name[:4] != raw[4:8]:
        raise MergeError("a change of a text is damaged")
    deps, _ = _read_deps(raw, start)
    return Chunk(ChangeHash(name), deps, raw)


def _read_deps(raw: bytes, start: int) -> tuple[tuple[ChangeHash, ...], int]:
    count, offset = read_unsigned(raw, start)
    end = offset + count * HASH_BYTES
    if end > len(raw):
        raise MergeError("a change of a text ends within its dependencies")
    return tuple([ChangeHash(raw[at : at + HASH_BYTES]) for at in range(offset, end, HASH_BYTES)]), end


def last_number(change: TextChange) -> int:
    """Return the number of a change's last operation."""
    return change.start - 1 + sum([len(o.text) if isinstance(o, Insertion) else o.length for o in change.operations])


def write_chunk(change: TextChange) -> Chunk:
    """Return the bytes of a change, the same that Automerge gives it."""
    contents = _contents(change)
    hashed = b"".join((_TYPE, unsigned(len(contents)), contents))
    name = sha256(hashed).digest()
    return Chunk(ChangeHash(name), change.deps, b"".join((MAGIC, name[:4], hashed)))


def _contents(change: TextChange) -> bytes:
    actors, columns = _columns(change)
    head = [unsigned(len(change.deps)), *change.deps, _ACTOR_SIZE, change.actor, b"\x01", unsigned(change.start)]
    head += (b"\0\0", unsigned(len(actors)))
    for actor in actors:
        head += (_ACTOR_SIZE, actor)
    head.append(unsigned(len(columns)))
    data: list[bytes] = []
    for number, column in columns:
        head += (number, unsigned(len(column)))
        data.append(column)
    return b"".join(head + data)


def parse_chunk(raw: bytes) -> TextChange:
    """Return what a change does; raise MergeError where it is anything but canonical insertions and deletions."""
    _, begin = read_unsigned(raw, _CONTENTS_AT_LEAST)
    deps, offset = _read_deps(raw, begin)
    actor = raw[offset + 1 : offset + 1 + ACTOR_BYTES]
    # The number of the change (1), the time (0) and the message (empty) need not be read: writing shows what they are.
    start, offset = read_unsigned(raw, offset + 1 + ACTOR_BYTES + 1)
    count, offset = read_unsigned(raw, offset + 2)
    actors = [actor]
    for _ in range(min(count, len(raw) // ACTOR_BYTES)):
        actors.append(raw[offset + 1 : offset + 1 + ACTOR_BYTES])
        offset += 1 + ACTOR_BYTES
    column_by_number = _read_columns(raw, offset)
    operations = _operations(start, actors, column_by_number)
    change = TextChange(actor, deps, start, operations)
    if not operations or list(deps) != sorted(set(deps)) or _contents(change) != raw[begin:]:
        raise MergeError("a change of a text does something else than inserting and deleting characters")
    return change


def _read_columns(raw: bytes, offset: int) -> dict[bytes, bytes]:
    count, offset = read_unsigned(raw, offset)
    sizes: list[tuple[bytes, int]] = []
    for _ in range(min(count, 16)):
        # A number is one byte: where it is more, writing what was read gives other bytes.
        number = raw[offset : offset + 1]
        size, offset = read_unsigned(raw, offset + 1)
        sizes.append((number, size))
    column_by_number: dict[bytes, bytes] = {}
    for number, size in sizes:
        column_by_number[number] = raw[offset : offset + size]
        offset += size
    return column_by_number


def _operations(
    start: int, actors: Sequence[bytes], column_by_number: dict[bytes, bytes]
) -> tuple[Insertion | Deletion, ...]:
    """Return the operations in the columns of keys and values; the other columns follow from them."""
    lengths = read_truths(column_by_number.get(_INSERT, b""), OPERATIONS_MAX)
    try:
        text = column_by_number.get(_VALUE, b"").decode()
    except UnicodeDecodeError as error:
        raise MergeError("a change of a text inserts what is no Unicode") from error
    if "\0" in text or len(text) != sum(lengths[1::2]):
        raise MergeError("a change of a text inserts characters one by one, and no NUL")
    operations: list[Insertion | Deletion] = []
    own = actors[0]
    number = start
    taken = begun = 0
    behind: tuple[bytes | None, int] = (None, 0)
    for inserts, actor, first, count, step in _stretches(lengths, actors, column_by_number):
        if not inserts:
            if taken > begun:
                operations.append(Insertion(*behind, text[begun:taken]))
                begun = taken
            _delete(operations, actor, first, count, step)
            number += count
            continue
        at = 0
        while at < count:
            key = first + at * step
            if taken > begun and key == number - 1 and actor == own:
                # A run of keys that each name the character before goes on to its end.
                more = count - at if step == 1 else 1
            else:
                if taken > begun:
                    operations.append(Insertion(*behind, text[begun:taken]))
                behind, begun, more = (actor, key), taken, 1
            at, taken, number = at + more, taken + more, number + more
    if taken > begun:
        operations.append(Insertion(*behind, text[begun:taken]))
    return tuple(operations)


def _delete(operations: list[Insertion | Deletion], actor: bytes | None, first: int, count: int, step: int) -> None:
    if actor is None:
        raise MergeError("a change of a text deletes nothing that is there")
    last = operations[-1] if operations else None
    if (
        isinstance(last, Deletion)
        and last.step == step == 1
        and last.counter + last.length == first
        and last.actor == actor
    ):
        operations[-1] = Deletion(actor, last.counter, last.length + count)
    else:
        operations.append(Deletion(actor, first, count, step))


def _stretches(
    lengths: Sequence[int], actors: Sequence[bytes], column_by_number: dict[bytes, bytes]
) -> Iterator[tuple[bool, bytes | None, int, int, int]]:
    """Yield (inserts, actor, first counter, count, step) of the characters that the operations name.

    `lengths` are those of alternating deletions and insertions, the first of deletions.
    """
    total = sum(lengths)
    actor_runs = iter(read_runs(column_by_number.get(_KEY_ACTOR, b""), read_unsigned, total))
    actor: bytes | None = None
    left = actors_left = counter = 0
    position, inserts = -1, True
    for run, step in read_runs(column_by_number.get(_KEY_COUNTER, b""), read_signed, total):
        if step is None:
            raise MergeError("a change of a text names no character where it must")
        while run:
            while not left:
                position, inserts = position + 1, not inserts
                left = lengths[position]
            if not actors_left:
                # A column that ends early, or is left out, goes on with nulls.
                actors_left, index = next(actor_runs, (0, None))
                actors_left = actors_left or total
                if index is not None and index >= len(actors):
                    raise MergeError("a change of a text names an author that it does not list")
                actor = None if index is None else actors[index]
            # The first of a run may stand apart from those that follow: only steps of one go on as a stretch.
            count = min(run, left, actors_left) if step in (1, -1) else 1
            first = counter + step
            counter = first + (count - 1) * step
            if first < 0 or counter < 0:
                raise MergeError("a change of a text counts below zero")
            yield inserts, actor, first, count, step if count > 1 else 1
            run, left, actors_left = run - count, left - count, actors_left - count
    if left or position + 1 < len(lengths):
        raise MergeError("a change of a text names no character where it must")


#: What a change does by the lengths of its operations alone: (index of the actor named, inserted; −deleted).
_Steps = tuple[tuple[int | None, int], ...]


def _columns(change: TextChange) -> tuple[list[bytes], list[tuple[bytes, bytes]]]:
    """Return the other actors that a change names, and its columns in order of number."""
    named = {operation[0] for operation in change.operations}
    named.add(BASE_ACTOR)
    named -= {None, change.actor}
    actors = sorted(actor for actor in named if actor is not None)
    index_by_actor: dict[bytes | None, int | None] = {None: None, change.actor: 0}
    index_by_actor.update({actor: index for index, actor in enumerate(actors, 1)})
    steps: list[tuple[int | None, int]] = []
    keys: Runs = []
    deleted: Runs = []
    texts: list[str] = []
    number, key, last_deleted = change.start, 0, 0
    for operation in change.operations:
        if isinstance(operation, Insertion):
            actor, counter, text = operation
            length = len(text)
            steps.append((index_by_actor[actor], length))
            keys.append((1, counter - key))
            key = counter
            if length > 1:
                # Each next character stands behind the one before it.
                keys += ((1, number - counter), (length - 2, 1)) if length > 2 else ((1, number - counter),)
                key = number + length - 2
            texts.append(text)
        else:
            actor, counter, length, step = operation
            steps.append((index_by_actor[actor], -length))
            keys.append((1, counter - key))
            deleted.append((1, counter - last_deleted))
            if length > 1:
                keys.append((length - 1, step))
                deleted.append((length - 1, step))
            key = last_deleted = counter + (length - 1) * step
        number += length
    inserted = "".join(texts)
    sizes = () if inserted.isascii() else tuple(map(tuple, map(_sizes, texts)))
    base_index = index_by_actor[BASE_ACTOR]
    assert base_index is not None
    shape = _small_shape if len(steps) + len(sizes) <= _SHAPE_STEPS_MAX and inserted.isascii() else _shape
    before_keys, before_values, before_deleted = shape(tuple(steps), base_index, sizes)
    columns = [
        *before_keys,
        (_KEY_COUNTER, spell_runs(keys, signed)),
        *before_values,
        (_VALUE, inserted.encode()),
        *before_deleted,
        (_DELETED_COUNTER, spell_runs(deleted, signed)),
    ]
    return actors, [pair for pair in columns if pair[1]]


def _shape(steps: _Steps, base_index: int, sizes: tuple[tuple[tuple[int, int | None], ...], ...]) -> _Shape:
    """Return the columns that follow from `steps` alone: those before the keys, the values, and the deleted counters.

    `sizes` are the runs of value sizes of each insertion, empty where each character is one byte.
    """
    key_actors: Runs = []
    deleted_actors: Runs = []
    value_sizes: Runs = []
    kinds: Runs = []
    sizes_left = iter(sizes)
    for index, length in steps:
        key_actors.append((1, index) if length > 0 else (-length, index))
        if length > 0:
            if length > 1:
                key_actors.append((length - 1, 0))
            value_sizes += next(sizes_left, ((length, 1 << 4 | _TEXT_VALUE),))
            kinds.append((length, 1))
        else:
            deleted_actors.append((-length, index))
            value_sizes.append((-length, 0))
            kinds.append((-length, 0))
    total = sum([length for length, _ in kinds])
    return (
        (
            (_OBJECT_ACTOR, spell_runs([(total, base_index)], unsigned)),
            (_OBJECT_COUNTER, spell_runs([(total, _TEXT_COUNTER)], unsigned)),
            (_KEY_ACTOR, spell_runs(key_actors, unsigned)),
        ),
        (
            (_INSERT, spell_truths(_alternating(kinds))),
            (_ACTION, spell_runs([(length, _SET if inserts else _DELETE) for length, inserts in kinds], unsigned)),
            (_VALUE_SIZE, spell_runs(value_sizes, unsigned)),
        ),
        (
            (_DELETED, spell_runs([(length, 0 if inserts else 1) for length, inserts in kinds], unsigned)),
            (_DELETED_ACTOR, spell_runs(deleted_actors, unsigned)),
        ),
    )


#: Most changes are of few shapes; what a hostile one may blow up is not remembered.
_small_shape = lru_cache(maxsize=4096)(_shape)


def _alternating(kinds: Runs) -> list[int]:
    """Return the lengths of alternating runs of deletions and insertions, the first of deletions."""
    lengths = [0]
    for length, inserts in kinds:
        if len(lengths) % 2 == inserts:
            lengths.append(0)
        lengths[-1] += length
    return lengths


def _sizes(text: str) -> Runs:
    """Return the runs of value sizes of characters: bytes × 16 + the type of a text."""
    if text.isascii():
        return [(len(text), 1 << 4 | _TEXT_VALUE)]
    sizes = (len(character.encode()) << 4 | _TEXT_VALUE for character in text)
    return [(sum(1 for _ in group), size) for size, group in groupby(sizes)]

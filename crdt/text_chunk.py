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
    operations = tuple(_operations(start, actors, column_by_number))
    change = TextChange(actor, deps, start, operations)
    if not operations or list(deps) != sorted(set(deps)) or _contents(change) != raw[begin:]:
        raise MergeError("a change of a text does something else than inserting and deleting characters")
    return change


def _read_columns(raw: bytes, offset: int) -> dict[bytes, bytes]:
    count, offset = read_unsigned(raw, offset)
    sizes: list[tuple[bytes, int]] = []
    for _ in range(min(count, 16)):
        begin = offset
        _, offset = read_unsigned(raw, begin)
        number = raw[begin:offset]
        size, offset = read_unsigned(raw, offset)
        sizes.append((number, size))
    column_by_number: dict[bytes, bytes] = {}
    for number, size in sizes:
        column_by_number[number] = raw[offset : offset + size]
        offset += size
    return column_by_number


def _operations(
    start: int, actors: Sequence[bytes], column_by_number: dict[bytes, bytes]
) -> Iterator[Insertion | Deletion]:
    """Yield the operations in the columns of keys and values; the other columns follow from them."""
    lengths = read_truths(column_by_number.get(_INSERT, b""), OPERATIONS_MAX)
    total = sum(lengths)
    try:
        text = column_by_number.get(_VALUE, b"").decode()
    except UnicodeDecodeError as error:
        raise MergeError("a change of a text inserts what is no Unicode") from error
    if "\0" in text or len(text) != sum(lengths[1::2]):
        raise MergeError("a change of a text inserts characters one by one, and no NUL")
    keys = _keys(actors, column_by_number, total)
    number, taken = start, 0
    own = actors[0]
    behind: tuple[bytes | None, int] = (None, 0)
    begun = 0
    for index, length in enumerate(lengths):
        left = length
        while left:
            actor, counter, count, step = keys.take(left)
            left -= count
            if index % 2 == 0:
                if actor is None:
                    raise MergeError("a change of a text deletes nothing that is there")
                yield Deletion(actor, counter, count, step)
                number += count
                continue
            at = 0
            while at < count:
                key = (actor, counter + at * step)
                if taken > begun and key == (own, number - 1):
                    # A run of keys that each name the character before goes on to its end.
                    more = count - at if step == 1 else 1
                else:
                    if taken > begun:
                        yield Insertion(*behind, text[begun:taken])
                    behind, begun, more = key, taken, 1
                at, taken, number = at + more, taken + more, number + more
        if index % 2 and taken > begun:
            yield Insertion(*behind, text[begun:taken])
            begun = taken


class _Keys:
    """The characters that the operations name, taken in stretches of one actor and one step."""

    def __init__(self, actors: Sequence[bytes], actor_runs: Runs, counter_runs: Runs) -> None:
        self._actors = actors
        self._actor_runs = iter(actor_runs)
        self._counter_runs = iter(counter_runs)
        self._actor: bytes | None = None
        self._actors_left = self._steps_left = self._step = self._counter = 0

    def take(self, most: int) -> tuple[bytes | None, int, int, int]:
        """Return (actor, first counter, count, step) of the next keys, at most `most`."""
        if not self._actors_left:
            self._actors_left, index = next(self._actor_runs, (0, None))
            if not self._actors_left:
                # A column that ends early, or is left out, goes on with nulls.
                self._actors_left = most
            if index is not None and index >= len(self._actors):
                raise MergeError("a change of a text names an author that it does not list")
            self._actor = None if index is None else self._actors[index]
        if not self._steps_left:
            self._steps_left, step = next(self._counter_runs, (0, None))
            if not self._steps_left or step is None:
                raise MergeError("a change of a text names no character where it must")
            self._step = step
        first = self._counter + self._step
        count = min(most, self._actors_left, self._steps_left)
        # The first of a run may stand apart from those that follow: only steps of one go on as a stretch.
        if self._step not in (1, -1):
            count = 1
        if first < 0 or first + (count - 1) * self._step < 0:
            raise MergeError("a change of a text counts below zero")
        self._counter = first + (count - 1) * self._step
        self._actors_left -= count
        self._steps_left -= count
        return self._actor, first, count, self._step if count > 1 else 1


def _keys(actors: Sequence[bytes], column_by_number: dict[bytes, bytes], total: int) -> _Keys:
    return _Keys(
        actors,
        read_runs(column_by_number.get(_KEY_ACTOR, b""), read_unsigned, total),
        read_runs(column_by_number.get(_KEY_COUNTER, b""), read_signed, total),
    )


@lru_cache(maxsize=4096)
def _shape(lengths: tuple[int, ...], base_index: int) -> tuple[bytes, bytes, bytes, bytes, bytes]:
    """Return the columns that follow from the alternating numbers of deletions and insertions alone."""
    total = sum(lengths)
    actions = spell_runs(((n, _SET if i % 2 else _DELETE) for i, n in enumerate(lengths) if n), unsigned)
    deleted = spell_runs(((n, 1 - i % 2) for i, n in enumerate(lengths) if n), unsigned)
    objects = spell_runs([(total, base_index)], unsigned)
    return objects, spell_runs([(total, _TEXT_COUNTER)], unsigned), spell_truths(lengths), actions, deleted


def _columns(change: TextChange) -> tuple[list[bytes], list[tuple[bytes, bytes]]]:
    """Return the other actors that a change names, and its columns in order of number."""
    named = {operation[0] for operation in change.operations}
    named.add(BASE_ACTOR)
    named -= {None, change.actor}
    actors = sorted(actor for actor in named if actor is not None)
    index_by_actor: dict[bytes | None, int | None] = {None: None, change.actor: 0}
    index_by_actor.update({actor: index for index, actor in enumerate(actors, 1)})
    rows = _Rows()
    number = change.start
    for operation in change.operations:
        if isinstance(operation, Insertion):
            rows.insert(index_by_actor[operation.actor], operation.counter, operation.text, number)
            number += len(operation.text)
        else:
            rows.delete(index_by_actor[operation.actor], operation)
            number += operation.length
    base_index = index_by_actor[BASE_ACTOR]
    assert base_index is not None
    columns = rows.columns(base_index)
    return actors, [pair for pair in columns if pair[1]]


class _Rows:
    """The rows of a change's table of operations, as runs by column."""

    def __init__(self) -> None:
        self._lengths: list[int] = [0]
        self._key_actors: Runs = []
        self._key_steps: Runs = []
        self._deleted_actors: Runs = []
        self._deleted_steps: Runs = []
        self._sizes: Runs = []
        self._texts: list[str] = []
        self._key = self._deleted = 0

    def insert(self, index: int | None, counter: int, text: str, number: int) -> None:
        """Add a character behind (actor's index, counter), then each next one behind the one before it."""
        length = len(text)
        self._count(length, True)
        self._key_actors.append((1, index))
        self._key_steps.append((1, counter - self._key))
        self._key = counter
        if length > 1:
            self._key_actors.append((length - 1, 0))
            self._key_steps += ((1, number - counter), (length - 2, 1)) if length > 2 else ((1, number - counter),)
            self._key = number + length - 2
        self._sizes += _sizes(text)
        self._texts.append(text)

    def delete(self, index: int | None, deletion: Deletion) -> None:
        """Add the deletion of each character of a stretch."""
        _, counter, length, step = deletion
        self._count(length, False)
        self._key_actors.append((length, index))
        self._deleted_actors.append((length, index))
        self._key_steps.append((1, counter - self._key))
        self._deleted_steps.append((1, counter - self._deleted))
        if length > 1:
            self._key_steps.append((length - 1, step))
            self._deleted_steps.append((length - 1, step))
        self._key = self._deleted = counter + (length - 1) * step
        self._sizes.append((length, 0))

    def _count(self, length: int, inserted: bool) -> None:
        if len(self._lengths) % 2 == inserted:
            self._lengths.append(0)
        self._lengths[-1] += length

    def columns(self, base_index: int) -> tuple[tuple[bytes, bytes], ...]:
        """Return all columns by number, empty ones too."""
        objects, counters, inserts, actions, is_deleted = _shape(tuple(self._lengths), base_index)
        return (
            (_OBJECT_ACTOR, objects),
            (_OBJECT_COUNTER, counters),
            (_KEY_ACTOR, spell_runs(self._key_actors, unsigned)),
            (_KEY_COUNTER, spell_runs(self._key_steps, signed)),
            (_INSERT, inserts),
            (_ACTION, actions),
            (_VALUE_SIZE, spell_runs(self._sizes, unsigned)),
            (_VALUE, "".join(self._texts).encode()),
            (_DELETED, is_deleted),
            (_DELETED_ACTOR, spell_runs(self._deleted_actors, unsigned)),
            (_DELETED_COUNTER, spell_runs(self._deleted_steps, signed)),
        )


def _sizes(text: str) -> Runs:
    """Return the runs of value sizes of characters: bytes × 16 + the type of a text."""
    if text.isascii():
        return [(len(text), 1 << 4 | _TEXT_VALUE)]
    sizes = (len(character.encode()) << 4 | _TEXT_VALUE for character in text)
    return [(sum(1 for _ in group), size) for size, group in groupby(sizes)]

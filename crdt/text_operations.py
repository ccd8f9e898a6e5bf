"""Reads what a change does from the columns of its operations."""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate

from crdt.errors import MergeError
from crdt.text_change import Deletion, Insertion
from crdt.text_columns import INSERT, KEY_ACTOR, KEY_COUNTER, VALUE, read_runs, read_signed, read_truths, read_unsigned

#: A transaction is at most 8 MiB, and a character that was inserted at least one byte of it.
OPERATIONS_MAX = 8 * 1024 * 1024
_COLUMNS_MAX = 16
_READ = frozenset({KEY_ACTOR, KEY_COUNTER, INSERT, VALUE})
# What is longer may be a hostile one, and is not remembered.
_REMEMBERED_BYTES = 48


#: What a change does by lengths alone: (index of the actor named, inserted; −deleted) of each operation.
Steps = tuple[tuple[int | None, int], ...]


def read_columns(raw: bytes, offset: int) -> dict[bytes, bytes]:
    """Return the columns whose directory begins at `offset`, by number, at least those from which operations are read.

    Whether they are as they must be, writing what was read shows.
    """
    count = raw[offset] if offset < len(raw) else 0
    end = offset + 1 + 2 * count
    places = _places(raw[offset:end]) if count <= _COLUMNS_MAX else None
    if places is not None:
        return {number: raw[end + begin : end + until] for number, begin, until in places}
    sizes: list[tuple[bytes, int]] = []
    count, offset = read_unsigned(raw, offset)
    for _ in range(min(count, _COLUMNS_MAX)):
        # A number is one byte: where it is more, writing what was read gives other bytes.
        number = raw[offset : offset + 1]
        size, offset = read_unsigned(raw, offset + 1)
        sizes.append((number, size))
    column_by_number: dict[bytes, bytes] = {}
    for number, size in sizes:
        column_by_number[number] = raw[offset : offset + size]
        offset += size
    return column_by_number


@lru_cache(maxsize=4096)
def _places(directory: bytes) -> tuple[tuple[bytes, int, int], ...] | None:
    """Return (number, begin, end) of the columns that are read; None where a size takes more than one byte."""
    sizes = directory[2::2]
    if len(directory) % 2 == 0 or any(size >= 128 for size in sizes):
        return None
    ends = list(accumulate(sizes))
    return tuple(
        (directory[2 * index + 1 : 2 * index + 2], end - size, end)
        for index, (size, end) in enumerate(zip(sizes, ends, strict=True))
        if directory[2 * index + 1 : 2 * index + 2] in _READ
    )


def read_usual_operations(
    start: int, actors: Sequence[bytes], column_by_number: Mapping[bytes, bytes]
) -> tuple[Insertion | Deletion, ...] | None:
    """Return the operations if they are what those of most changes are, None where this cannot be told.

    Such are alternating stretches, each inserted behind one character or deleted from one on. Whether it is so, writing
    them shows.
    """
    inserts, key_actors = column_by_number.get(INSERT, b""), column_by_number.get(KEY_ACTOR, b"")
    steps = _usual_steps(inserts, key_actors) if len(inserts) + len(key_actors) <= _REMEMBERED_BYTES else None
    value = column_by_number.get(VALUE, b"")
    if steps is None or not value.isascii() or 0 in value:
        return None
    text = value.decode()
    counter_runs = read_runs(column_by_number.get(KEY_COUNTER, b""), read_signed, sum([abs(step[1]) for step in steps]))
    runs = iter(counter_runs)
    operations: list[Insertion | Deletion] = []
    number, key, taken, left, difference = start, 0, 0, 0, None
    for index, length in steps:
        if not left:
            left, difference = next(runs, (0, None))
        if not left or difference is None or (index is not None and index >= len(actors)):
            return None
        left -= 1
        counter = key + difference
        actor = None if index is None else actors[index]
        size = abs(length)
        if counter < 0:
            return None
        if length > 0:
            operations.append(Insertion(actor, counter, text[taken : taken + length]))
            taken += length
            key = number + length - 2 if length > 1 else counter
        elif actor is None:
            return None
        else:
            operations.append(Deletion(actor, counter, size))
            key = counter + size - 1
        number += size
        skipped = size - 1
        while skipped > left:
            skipped -= left
            left, difference = next(runs, (0, None))
            if not left:
                return None
        left -= skipped
    return tuple(operations) if taken == len(text) else None


@lru_cache(maxsize=4096)
def _usual_steps(inserts: bytes, key_actors: bytes) -> Steps | None:
    """Return the steps of operations of which each section of insertions or deletions is one, None for others."""
    try:
        lengths = read_truths(inserts, OPERATIONS_MAX)
        runs = read_runs(key_actors, read_unsigned, sum(lengths))
    except MergeError:
        return None
    steps: list[tuple[int | None, int]] = []
    left = 0
    index: int | None = None
    waiting = iter(runs)
    for section, length in enumerate(lengths):
        if not length:
            continue
        # An insertion names one character and then its own ones, a deletion those of one author.
        parts = ((1, True), (length - 1, False)) if section % 2 else ((length, True),)
        for part, names in parts:
            if part and not left:
                left, index = next(waiting, (0, None))
            if part > left or (part and not names and index != 0):
                return None
            if names:
                steps.append((index, length if section % 2 else -length))
            left -= part
    return tuple(steps)


def read_operations(
    start: int, actors: Sequence[bytes], column_by_number: Mapping[bytes, bytes], most: int
) -> tuple[Insertion | Deletion, ...]:
    """Return the operations in the columns of keys and values; the other columns follow from them.

    Raises MergeError beyond `most`, a stretch of characters being one.
    """
    lengths = read_truths(column_by_number.get(INSERT, b""), OPERATIONS_MAX)
    try:
        text = column_by_number.get(VALUE, b"").decode()
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
        if len(operations) > most:
            raise MergeError("a change of a text does more than its bytes can say")
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
    lengths: Sequence[int], actors: Sequence[bytes], column_by_number: Mapping[bytes, bytes]
) -> Iterator[tuple[bool, bytes | None, int, int, int]]:
    """Yield (inserts, actor, first counter, count, step) of the characters that the operations name.

    `lengths` are those of alternating deletions and insertions, the first of deletions.
    """
    total = sum(lengths)
    actor_runs = iter(read_runs(column_by_number.get(KEY_ACTOR, b""), read_unsigned, total))
    actor: bytes | None = None
    left = actors_left = counter = 0
    position, inserts = -1, True
    for run, step in read_runs(column_by_number.get(KEY_COUNTER, b""), read_signed, total):
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

"""Writes the contents of a change from what it does, byte for byte as Automerge does."""

from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

from crdt.text_change import ACTOR_BYTES, BASE_ACTOR, Insertion, TextChange
from crdt.text_columns import (
    ACTION,
    DELETED,
    DELETED_ACTOR,
    DELETED_COUNTER,
    INSERT,
    KEY_ACTOR,
    KEY_COUNTER,
    OBJECT_ACTOR,
    OBJECT_COUNTER,
    VALUE,
    VALUE_SIZE,
    Runs,
    signed,
    spell_runs,
    spell_truths,
    unsigned,
)
from crdt.text_operations import Steps

_ACTOR_SIZE = bytes([ACTOR_BYTES])
_TEXT_COUNTER = 1
_SET, _DELETE = 1, 3
_TEXT_VALUE = 6
_REMEMBERED_STEPS = 8

#: The runs of value sizes of each insertion.
_Sizes = tuple[tuple[tuple[int, int | None], ...], ...]


class _Frame(NamedTuple):
    """The columns that follow from the lengths of operations, and the directory of all of them."""

    directory: bytes
    before_keys: bytes
    before_values: bytes
    before_deleted: bytes


def write_contents(change: TextChange) -> bytes:
    """Return the contents of a chunk: what stands behind its length."""
    named = {operation[0] for operation in change.operations}
    named.add(BASE_ACTOR)
    named -= {None, change.actor}
    actors = sorted([actor for actor in named if actor is not None])
    index_by_actor: dict[bytes | None, int | None] = {None: None, change.actor: 0}
    for actor in actors:
        index_by_actor[actor] = len(index_by_actor) - 1
    steps, texts, keys, deleted = _columns(change, index_by_actor)
    inserted = "".join(texts)
    base_index = index_by_actor[BASE_ACTOR]
    assert base_index is not None
    value = inserted.encode()
    lengths = (len(keys), len(value), len(deleted))
    if len(value) == len(inserted) and len(steps) <= _REMEMBERED_STEPS:
        frame = _remembered_frame(steps, base_index, lengths)
    else:
        frame = _frame(steps, base_index, lengths, tuple(map(tuple, map(_sizes, texts))))
    head = (unsigned(len(change.deps)), *change.deps, _ACTOR_SIZE, change.actor, b"\x01", unsigned(change.start))
    authors = [_ACTOR_SIZE + actor for actor in actors]
    columns = (frame.before_keys, keys, frame.before_values, value, frame.before_deleted, deleted)
    # The time and the message are zero and empty.
    return b"".join((*head, b"\0\0", unsigned(len(actors)), *authors, frame.directory, *columns))


def _columns(
    change: TextChange, index_by_actor: dict[bytes | None, int | None]
) -> tuple[Steps, list[str], bytes, bytes]:
    """Return the steps of a change, the texts it inserts, and the columns of the counters that it names and deletes."""
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
            behind, counter, length, step = operation
            steps.append((index_by_actor[behind], -length))
            keys.append((1, counter - key))
            deleted.append((1, counter - last_deleted))
            if length > 1:
                keys.append((length - 1, step))
                deleted.append((length - 1, step))
            key = last_deleted = counter + (length - 1) * step
        number += length
    return tuple(steps), texts, spell_runs(keys, signed), spell_runs(deleted, signed)


def _frame(steps: Steps, base_index: int, lengths: tuple[int, int, int], sizes: _Sizes = ()) -> _Frame:
    """Return the columns that follow from `steps` alone, and the directory.

    `lengths` are those of the other columns in bytes: keys, values, deleted counters. `sizes` are empty where each
    character is one byte.
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
    before_keys = (
        (OBJECT_ACTOR, spell_runs([(total, base_index)], unsigned)),
        (OBJECT_COUNTER, spell_runs([(total, _TEXT_COUNTER)], unsigned)),
        (KEY_ACTOR, spell_runs(key_actors, unsigned)),
    )
    before_values = (
        (INSERT, spell_truths(_alternating(kinds))),
        (ACTION, spell_runs([(length, _SET if inserts else _DELETE) for length, inserts in kinds], unsigned)),
        (VALUE_SIZE, spell_runs(value_sizes, unsigned)),
    )
    before_deleted = (
        (DELETED, spell_runs([(length, 0 if inserts else 1) for length, inserts in kinds], unsigned)),
        (DELETED_ACTOR, spell_runs(deleted_actors, unsigned)),
    )
    of_keys, of_values, of_deleted = lengths
    directory = [(number, len(column)) for number, column in (*before_keys, *before_values, *before_deleted)]
    directory += [(KEY_COUNTER, of_keys), (VALUE, of_values), (DELETED_COUNTER, of_deleted)]
    entries = [number + unsigned(size) for number, size in sorted(directory) if size]
    return _Frame(
        unsigned(len(entries)) + b"".join(entries),
        *(b"".join([column for _, column in columns]) for columns in (before_keys, before_values, before_deleted)),
    )


#: Most changes are of few shapes; what a hostile one may blow up is not remembered.
_remembered_frame = lru_cache(maxsize=4096)(_frame)


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

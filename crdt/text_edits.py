"""Finds what a person changed: the least edits that lead from one text to another, within bounds of time and memory.

First the common ends are cut off; what is left is compared line by line, each changed stretch of lines word by word,
each changed word character by character where the two are alike. Each comparison is Indel's (longest common
subsequence, Hyyrö's bit-parallel algorithm in rapidfuzz), whose time and memory grow with the product of the two
lengths; where that is beyond `COMPARED_MAX` the stretch is replaced whole. Words stay whole unless they are alike:
shared letters of unrelated words would let two concurrent rewrites be mixed letter by letter.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

#: Cells of one comparison's bit matrix: 64 million are 8 MB and some 10 ms.
COMPARED_MAX = 64_000_000
_ALIKE = 0.5
_WORD = re.compile(r"\w+|\s+|[^\w\s]")


class Edit(NamedTuple):
    """`removed` characters at `position` of the old text give way to `inserted`."""

    position: int
    removed: int
    inserted: str


def common_prefix(a: str, b: str) -> int:
    """Return how many characters at the beginning of both are equal, by bisection over whole comparisons."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def common_suffix(a: str, b: str, at_most: int) -> int:
    """Return how many characters, at most `at_most`, at the end of both are equal."""
    low, high = 0, at_most
    while low < high:
        middle = (low + high + 1) // 2
        if a[len(a) - middle : len(a) - low] == b[len(b) - middle : len(b) - low]:
            low = middle
        else:
            high = middle - 1
    return low


def edits(old: str, new: str) -> list[Edit]:
    """Return the edits that turn `old` into `new`, in order of position, none touching the next."""
    found: list[Edit] = []
    for edit in _by_lines(old, new):
        if found and found[-1].position + found[-1].removed == edit.position:
            last = found.pop()
            edit = Edit(last.position, last.removed + edit.removed, last.inserted + edit.inserted)
        found.append(edit)
    return found


def apply(old: str, changes: Sequence[Edit]) -> str:
    """Return `old` after `changes` (in order of position) were made in it."""
    parts: list[str] = []
    at = 0
    for position, removed, inserted in changes:
        parts += (old[at:position], inserted)
        at = position + removed
    return "".join([*parts, old[at:]])


def _by_lines(old: str, new: str) -> Iterator[Edit]:
    for at, was, is_now in _differing(old, new, lambda text: text.splitlines(keepends=True)):
        for word_at, was_words, is_words in _differing(was, is_now, _WORD.findall):
            position = at + word_at
            if was_words and is_words and _alike(was_words, is_words):
                for letter_at, was_letters, is_letters in _differing(was_words, is_words, list):
                    yield Edit(position + letter_at, len(was_letters), is_letters)
            else:
                yield Edit(position, len(was_words), is_words)


def _alike(a: str, b: str) -> bool:
    from rapidfuzz.distance import Indel

    return len(a) * len(b) <= COMPARED_MAX and Indel.normalized_similarity(a, b) >= _ALIKE


def _differing(old: str, new: str, split: Callable[[str], Sequence[str]]) -> Iterator[tuple[int, str, str]]:
    """Yield (position, old stretch, new stretch) of what differs between two texts compared part by part."""
    start = common_prefix(old, new)
    end = common_suffix(old, new, min(len(old), len(new)) - start)
    old_middle, new_middle = old[start : len(old) - end], new[start : len(new) - end]
    if not old_middle or not new_middle:
        if old_middle or new_middle:
            yield start, old_middle, new_middle
        return
    yield from ((start + at, was, is_now) for at, was, is_now in _aligned(old_middle, new_middle, split))


def _aligned(old: str, new: str, split: Callable[[str], Sequence[str]]) -> Iterator[tuple[int, str, str]]:
    from rapidfuzz.distance import Indel

    old_parts, new_parts = split(old), split(new)
    if len(old_parts) * len(new_parts) > COMPARED_MAX:
        yield 0, old, new
        return
    # The library compares parts by their hash alone: numbers are given out instead, which cannot collide.
    numbers: dict[str, int] = {}
    old_numbers = [numbers.setdefault(part, len(numbers)) for part in old_parts]
    new_numbers = [numbers.setdefault(part, len(numbers)) for part in new_parts]
    at = 0
    counted = 0
    was_from = is_from = 0
    for operation in [*Indel.opcodes(old_numbers, new_numbers), None]:
        if operation is not None and operation.tag != "equal":
            continue
        was_to = operation.src_start if operation else len(old_parts)
        is_to = operation.dest_start if operation else len(new_parts)
        if was_to > was_from or is_to > is_from:
            at += sum(map(len, old_parts[counted:was_from]))
            counted = was_from
            yield at, "".join(old_parts[was_from:was_to]), "".join(new_parts[is_from:is_to])
        if operation is not None:
            was_from, is_from = operation.src_end, operation.dest_end

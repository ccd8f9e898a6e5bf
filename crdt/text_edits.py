"""Finds what a person changed: the least edits that lead from one text to another, within bounds of time and memory.

What is left between the common ends is compared line by line, each changed stretch of lines word by word in the same
way, each changed word character by character where the two are alike. Each comparison is Indel's (longest common
subsequence, Hyyrö's bit-parallel algorithm in rapidfuzz), whose time and memory grow with the product of the two
lengths. Beyond `COMPARED_MAX` the texts are first cut into windows at stretches that stand once in each; a window that
is still beyond it is replaced whole. Words stay whole unless they are alike:
shared letters of unrelated words would let two concurrent rewrites be mixed letter by letter.
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

#: Cells of one comparison's bit matrix: 64 million are 8 MB and some 10 ms.
COMPARED_MAX = 64_000_000
_ALIKE = 0.5
_ANCHOR_PARTS = 6
_WINDOW_PARTS = 2_000
_LETTERS = re.compile(r"\w\w")
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
    if not old or not new or old.endswith("\n") or new.endswith("\n"):
        return _joined(_by_lines(old, new))
    # With a line end added to both, their last lines are told as the same ones where they are the last no more.
    found = _joined(_by_lines(old + "\n", new + "\n"))
    if found and found[-1].position + found[-1].removed > len(old):
        position, removed, inserted = found.pop()
        if removed and inserted:
            last = Edit(position, removed - 1, inserted[:-1])
        else:
            # The line end that stands before the edit stands for the one that was added.
            last = Edit(position - 1, removed, ("\n" + inserted)[:-1] if inserted else "")
        found = _joined([*found, last])
    return found


def _joined(changes: Iterable[Edit]) -> list[Edit]:
    found: list[Edit] = []
    for edit in changes:
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
    for at, was, is_now in _differing(old, new, _whole_lines, lambda text: text.splitlines(keepends=True)):
        for word_at, was_words, is_words in _differing(was, is_now, _whole_words, _WORD.findall):
            position = at + word_at
            if was_words and is_words and _alike(was_words, is_words):
                for letter_at, was_letters, is_letters in _aligned(was_words, is_words, list):
                    yield Edit(position + letter_at, len(was_letters), is_letters)
            else:
                yield Edit(position, len(was_words), is_words)


def _alike(a: str, b: str) -> bool:
    from rapidfuzz.distance import Indel

    return len(a) * len(b) <= COMPARED_MAX and Indel.normalized_similarity(a, b) >= _ALIKE


def _differing(
    old: str,
    new: str,
    common_ends: Callable[[str, str], tuple[int, int]],
    split: Callable[[str], Sequence[str]],
) -> Iterator[tuple[int, str, str]]:
    """Yield (position, old stretch, new stretch) of what differs between two texts compared part by part."""
    start, end = common_ends(old, new)
    old_middle, new_middle = old[start : len(old) - end], new[start : len(new) - end]
    if not old_middle or not new_middle:
        if old_middle or new_middle:
            yield start, old_middle, new_middle
        return
    yield from ((start + at, was, is_now) for at, was, is_now in _aligned(old_middle, new_middle, split))


def _whole_lines(old: str, new: str) -> tuple[int, int]:
    """Return the lengths of the common ends, cut between lines: half a line would not be found again in the middle."""
    start = old.rfind("\n", 0, common_prefix(old, new)) + 1
    end = common_suffix(old, new, min(len(old), len(new)) - start)
    if not (_begins_line(old, len(old) - end) and _begins_line(new, len(new) - end)):
        following = old.find("\n", len(old) - end) + 1
        end = len(old) - following if following else 0
    return start, end


def _begins_line(text: str, position: int) -> bool:
    return position == 0 or text[position - 1] == "\n"


def _whole_words(old: str, new: str) -> tuple[int, int]:
    """Return the lengths of the common ends, cut between words: of "an oak" and "an old oak" not "an o", but "an "."""
    start = common_prefix(old, new)
    while _within_word(old, start) or _within_word(new, start):
        start -= 1
    end = common_suffix(old, new, min(len(old), len(new)) - start)
    while _within_word(old, len(old) - end) or _within_word(new, len(new) - end):
        end -= 1
    return start, end


def _within_word(text: str, position: int) -> bool:
    return 0 < position < len(text) and _LETTERS.match(text, position - 1) is not None


def _aligned(old: str, new: str, split: Callable[[str], Sequence[str]]) -> Iterator[tuple[int, str, str]]:
    old_parts, new_parts = split(old), split(new)
    # The library compares parts by their hash alone: numbers are given out instead, which cannot collide.
    numbers: dict[str, int] = {}
    old_numbers = [numbers.setdefault(part, len(numbers)) for part in old_parts]
    new_numbers = [numbers.setdefault(part, len(numbers)) for part in new_parts]
    at = counted = was_from = is_from = 0
    for was_to, is_to in _windows(old_numbers, new_numbers):
        for was, was_end, is_now, is_end in _changed(old_numbers[was_from:was_to], new_numbers[is_from:is_to]):
            at += sum(map(len, old_parts[counted : was_from + was]))
            counted = was_from + was
            was_text = "".join(old_parts[was_from + was : was_from + was_end])
            yield at, was_text, "".join(new_parts[is_from + is_now : is_from + is_end])
        was_from, is_from = was_to, is_to


def _changed(old: Sequence[int], new: Sequence[int]) -> Iterator[tuple[int, int, int, int]]:
    """Yield (old begin, old end, new begin, new end) of each stretch that differs."""
    from rapidfuzz.distance import Indel

    if len(old) * len(new) > COMPARED_MAX:
        yield 0, len(old), 0, len(new)
        return
    was_from = is_from = 0
    for operation in Indel.opcodes(old, new):
        if operation.tag != "equal":
            continue
        if operation.src_start > was_from or operation.dest_start > is_from:
            yield was_from, operation.src_start, is_from, operation.dest_start
        was_from, is_from = operation.src_end, operation.dest_end
    if len(old) > was_from or len(new) > is_from:
        yield was_from, len(old), is_from, len(new)


def _windows(old: Sequence[int], new: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield where to cut two sequences into windows that can be compared each for itself, the two ends last.

    They are cut where a stretch of `_ANCHOR_PARTS` parts stands exactly once in each, in the longest row of such
    anchors that has the same order in both (as in Cohen's patience diff).
    """
    if len(old) * len(new) > COMPARED_MAX:
        cut_old = cut_new = 0
        for was, is_now in _rising(_anchors(old, new)):
            if max(was - cut_old, is_now - cut_new) >= _WINDOW_PARTS:
                cut_old, cut_new = was, is_now
                yield was, is_now
    yield len(old), len(new)


def _anchors(old: Sequence[int], new: Sequence[int]) -> list[tuple[int, int]]:
    """Return (position in old, position in new) of the stretches that stand once in each, in order of the old ones."""
    places: list[dict[tuple[int, ...], int]] = []
    for numbers in (old, new):
        place: dict[tuple[int, ...], int] = {}
        for at, stretch in enumerate(zip(*(numbers[shift:] for shift in range(_ANCHOR_PARTS)), strict=False)):
            place[stretch] = -1 if stretch in place else at
        places.append(place)
    in_old, in_new = places
    return [(at, in_new[stretch]) for stretch, at in in_old.items() if at >= 0 and in_new.get(stretch, -1) >= 0]


def _rising(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the longest row of pairs whose second numbers rise (by patience sorting), their first ones rising too."""
    ends: list[int] = []
    index_at_end: list[int] = []
    before: list[int] = []
    for index, (_, second) in enumerate(pairs):
        pile = bisect_left(ends, second)
        before.append(index_at_end[pile - 1] if pile else -1)
        ends[pile : pile + 1] = [second]
        index_at_end[pile : pile + 1] = [index]
    row: list[tuple[int, int]] = []
    index = index_at_end[-1] if index_at_end else -1
    while index >= 0:
        row.append(pairs[index])
        index = before[index]
    return row[::-1]

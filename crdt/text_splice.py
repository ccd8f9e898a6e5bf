"""Applies a change to the runs of a text as they lie, packed in a row of numbers, without unpacking them.

It does what crdt.text_spans does, for changes of few operations: each looks for its place from the beginning, and
everything around it is copied as it is. The runs are (position of author, counter, length; negative: deleted) in a row;
what is shown and what is deleted are two texts, each in the order of the runs.
"""

from typing import NamedTuple

from crdt.errors import MergeError
from crdt.text_change import ACTOR_BYTES, Deletion, Insertion, TextChange
from crdt.text_spans import FEW_OPERATIONS

#: So many runs one deletion may reach over; beyond it, passing over all runs once costs less.
_REACH_MAX = 8

#: A place among the runs: index of a run, how many shown and how many deleted characters stand before it.
_Place = tuple[int, int, int]
_BEGINNING: _Place = (0, 0, 0)


class Packed(NamedTuple):
    """The runs of a text, the deleted letters, and what is shown."""

    spans: list[int]
    gone: str
    shown: str


def position(blob: bytes, piece: bytes) -> int:
    """Return at which place `piece` stands among the equally long pieces of `blob`, −1 where it does not."""
    size = len(piece)
    at = blob.find(piece)
    while at % size and at >= 0:
        at = blob.find(piece, at + 1)
    return at // size if at >= 0 else -1


def splice(text: Packed, actors: bytes, change: TextChange) -> Packed | None:
    """Return the text after `change`, None where unpacking the runs costs less.

    `actors` are the authors by position, the change's own one among them. Raises MergeError where the change names a
    character that is not there.
    """
    if len(change.operations) > FEW_OPERATIONS:
        return None
    runs, shown, gone = text.spans.copy(), text.shown, text.gone
    number = change.start
    own = position(actors, change.actor)
    near = _BEGINNING
    for operation in change.operations:
        if isinstance(operation, Insertion):
            behind = None if operation.actor is None else position(actors, operation.actor)
            near = _insert(runs, actors, own, number, behind, operation, near)
            at = near[1]
            shown = f"{shown[:at]}{operation.text}{shown[at:]}"
            number += len(operation.text)
        else:
            left = _delete(runs, shown, gone, number, position(actors, operation.actor), operation, near)
            if left is None:
                return None
            shown, gone, near = left
            number += operation.length
    return Packed(runs, gone, shown)


def _find(runs: list[int], author: int, counter: int, near: _Place) -> _Place:
    """Return the place of the run that holds a character, looked for from `near` on: one edit follows another."""
    begin, shown, gone = near
    for at in range(begin, len(runs), 3):
        length = runs[at + 2]
        if length > 0:
            if runs[at] == author and 0 <= counter - runs[at + 1] < length:
                return at, shown, gone
            shown += length
        else:
            if runs[at] == author and 0 <= counter - runs[at + 1] < -length:
                return at, shown, gone
            gone -= length
    if begin:
        return _find(runs, author, counter, _BEGINNING)
    raise MergeError("a change of a text names a character that is not there")


def _insert(
    runs: list[int], actors: bytes, own: int, number: int, behind: int | None, insertion: Insertion, near: _Place
) -> _Place:
    """Put an insertion among the runs and return its place."""
    counter, text = insertion.counter, insertion.text
    at, shown, gone = _BEGINNING
    if behind is not None:
        if counter >= number:
            raise MergeError("a change of a text writes behind a character that is later than itself")
        at, shown, gone = _find(runs, behind, counter, near)
        first, length = runs[at + 1], runs[at + 2]
        before, size = counter - first + 1, abs(length)
        # The rest of the run was written behind the same character: it stays there if its id is the greater one.
        if before < size and not _greater(actors, behind, first + before, own, number):
            sign = 1 if length > 0 else -1
            runs[at : at + 3] = (behind, first, sign * before, behind, first + before, sign * (size - before))
            length = sign * before
        if length > 0:
            shown += length
        else:
            gone -= length
        at += 3
    end = len(runs)
    while at < end and _greater(actors, runs[at], runs[at + 1], own, number):
        if runs[at + 2] > 0:
            shown += runs[at + 2]
        else:
            gone -= runs[at + 2]
        at += 3
    runs[at:at] = (own, number, len(text))
    return at, shown, gone


def _greater(actors: bytes, author: int, counter: int, own: int, number: int) -> bool:
    if counter != number:
        return counter > number
    theirs, mine = author * ACTOR_BYTES, own * ACTOR_BYTES
    return actors[theirs : theirs + ACTOR_BYTES] > actors[mine : mine + ACTOR_BYTES]


def _delete(
    runs: list[int], shown: str, gone: str, number: int, author: int, deletion: Deletion, near: _Place
) -> tuple[str, str, _Place] | None:
    """Take characters out of what is shown; return what is shown and deleted then, and the place of the first.

    None where they are spread over many runs.
    """
    counter, count = deletion.counter, deletion.length
    if deletion.step < 0:
        counter -= count - 1
    if counter + count > number:
        raise MergeError("a change of a text deletes a character that is later than itself")
    for _ in range(_REACH_MAX):
        at, before_shown, before_gone = near = _find(runs, author, counter, near)
        first, length = runs[at + 1], runs[at + 2]
        before = counter - first
        here = min(count, abs(length) - before)
        if length > 0:
            pieces = [author, first, before] if before else []
            pieces += (author, counter, -here)
            if before + here < length:
                pieces += (author, counter + here, length - before - here)
            runs[at : at + 3] = pieces
            begin = before_shown + before
            gone = f"{gone[:before_gone]}{shown[begin : begin + here]}{gone[before_gone:]}"
            shown = f"{shown[:begin]}{shown[begin + here :]}"
        counter += here
        count -= here
        if not count:
            return shown, gone, near
    return None

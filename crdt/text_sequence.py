"""Applies changes to the runs of a text, in a time that no order of their arrival and no way of making them draws out.

A change costs a step for each of its operations, and one for each run that it is the first to delete; a step grows with
the square root of the number of runs. So nothing has to be given up for taking too long, which would part devices: the
order in which changes came decides what is walked over. Whether a change fits a text is found before it is applied, and
follows from itself and from what the authors that it names have written.

The runs stand in blocks, each of which knows the least operation id in it: looking for the first lesser one passes over
whole blocks. The runs of each author are found by the number with which they begin.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Sequence
from math import isqrt

from crdt.errors import MergeError
from crdt.text_change import Deletion, Insertion, TextChange
from crdt.text_spans import FEW_OPERATIONS, Run, apply_few

_BLOCK_RUNS_MIN = 64


def apply_change(spans: Sequence[Run], change: TextChange) -> list[Run]:
    """Return the spans after `change`; raise MergeError where it names a character that is not there."""
    if len(change.operations) <= FEW_OPERATIONS:
        return apply_few(spans, change)
    sequence = RunSequence(spans)
    if not sequence.fits(change):
        raise MergeError("a change of a text names a character that is not there")
    sequence.apply(change)
    return sequence.spans()


class _Run:
    __slots__ = ("actor", "block", "counter", "length", "offset", "shown", "source")

    def __init__(self, run: Run, block: "_Block") -> None:
        self.actor, self.counter, self.length, self.shown, self.source, self.offset = run
        self.block = block

    def tuple(self) -> Run:
        return self.actor, self.counter, self.length, self.shown, self.source, self.offset


class _Block:
    """Neighbouring runs, the least (counter, actor) of them, and the block behind."""

    __slots__ = ("following", "least", "runs")

    def __init__(self) -> None:
        self.runs: list[_Run] = []
        self.least: tuple[int, bytes] = (0, b"")
        self.following: _Block | None = None


class _Numbers:
    """Which numbers of operations are characters: ranges in order, none touching the next."""

    __slots__ = ("begins", "ends")

    def __init__(self) -> None:
        self.begins: list[int] = []
        self.ends: list[int] = []

    def extend(self, begin: int, count: int) -> None:
        """Add numbers behind all others."""
        if self.ends and self.ends[-1] == begin:
            self.ends[-1] += count
        else:
            self.begins.append(begin)
            self.ends.append(begin + count)

    def hold(self, begin: int, count: int) -> bool:
        """Tell whether all of these numbers are characters."""
        index = bisect_right(self.begins, begin) - 1
        return index >= 0 and begin + count <= self.ends[index]


class _Author:
    """What one author wrote: its runs by the number with which they begin, and which of these are shown."""

    __slots__ = ("begins", "run_by_begin", "shown", "written")

    def __init__(self, runs: Sequence[_Run]) -> None:
        self.run_by_begin = {run.counter: run for run in runs}
        self.begins = sorted(self.run_by_begin)
        self.shown = [begin for begin in self.begins if self.run_by_begin[begin].shown]
        self.written = _Numbers()
        for begin in self.begins:
            self.written.extend(begin, self.run_by_begin[begin].length)

    def find(self, counter: int) -> _Run:
        """Return the run that holds a character."""
        return self.run_by_begin[self.begins[bisect_right(self.begins, counter) - 1]]

    def add(self, run: _Run) -> None:
        """Take up a run that was written or split off."""
        insort(self.begins, run.counter)
        self.run_by_begin[run.counter] = run
        if run.shown:
            insort(self.shown, run.counter)


class RunSequence:
    """The runs of one text while changes are applied to them."""

    __slots__ = ("_author_by_actor", "_block_runs_max", "_first")

    def __init__(self, spans: Sequence[Run]) -> None:
        """Begin with `spans`, which stay as they are."""
        self._first = block = _Block()
        runs_by_actor: dict[bytes, list[_Run]] = {}
        size = max(_BLOCK_RUNS_MIN, isqrt(len(spans)))
        self._block_runs_max = 2 * size
        for start in range(0, len(spans), size):
            if start:
                following = _Block()
                block.following, block = following, following
            block.runs = [_Run(run, block) for run in spans[start : start + size]]
            block.least = min([(run.counter, run.actor) for run in block.runs])
            for run in block.runs:
                runs_by_actor.setdefault(run.actor, []).append(run)
        self._author_by_actor = {actor: _Author(runs) for actor, runs in runs_by_actor.items()}

    def spans(self) -> list[Run]:
        """Return the runs as they stand."""
        return [run.tuple() for block in self._blocks() for run in block.runs]

    def _blocks(self) -> Iterator[_Block]:
        block: _Block | None = self._first
        while block is not None:
            yield block
            block = block.following

    def fits(self, change: TextChange) -> bool:
        """Tell whether all characters that a change names are there when it comes to them.

        If it inserts, nothing here is by its author.
        """
        own = self._author_by_actor.get(change.actor, _Author(())).written
        number = change.start
        if any(isinstance(operation, Insertion) for operation in change.operations):
            own = _Numbers()
        for operation in change.operations:
            actor, first, count = operation.actor, operation.counter, 1
            if isinstance(operation, Deletion):
                first, count = _range(operation)
            if actor is not None:
                author = self._author_by_actor.get(actor)
                written = own if actor == change.actor else author.written if author else None
                if written is None or first + count > number or not written.hold(first, count):
                    return False
            if isinstance(operation, Insertion):
                own.extend(number, len(operation.text))
                number += len(operation.text)
            else:
                number += operation.length
        return True

    def apply(self, change: TextChange) -> None:
        """Do what a change does that fits."""
        number = change.start
        for operation in change.operations:
            if isinstance(operation, Insertion):
                self._insert(change.actor, number, operation)
                number += len(operation.text)
            else:
                self._delete(self._author_by_actor[operation.actor], *_range(operation))
                number += operation.length

    def _insert(self, actor: bytes, number: int, insertion: Insertion) -> None:
        behind, counter, text = insertion
        block, index, mine = self._first, 0, (number, actor)
        if behind is not None:
            author = self._author_by_actor[behind]
            run = author.find(counter)
            before = counter - run.counter + 1
            # The rest of the run was written behind the same character: it stays there if its id is the greater one.
            if before < run.length and (run.counter + before, behind) < mine:
                self._split(author, run, before)
            block = run.block
            index = block.runs.index(run) + 1
        index = _first_lesser(block.runs, index, mine)
        while index == len(block.runs) and block.following is not None:
            block = block.following
            index = len(block.runs) if block.least > mine else _first_lesser(block.runs, 0, mine)
        written = _Run((actor, number, len(text), True, text, 0), block)
        _put(block, index, written, self._block_runs_max)
        if actor not in self._author_by_actor:
            self._author_by_actor[actor] = _Author(())
        self._author_by_actor[actor].add(written)
        self._author_by_actor[actor].written.extend(number, len(text))

    def _split(self, author: _Author, run: _Run, before: int) -> None:
        """Let a run end after so many characters, and another begin there."""
        _, counter, length, shown, source, offset = run.tuple()
        rest = _Run((run.actor, counter + before, length - before, shown, source, offset + before), run.block)
        run.length = before
        _put(run.block, run.block.runs.index(run) + 1, rest, self._block_runs_max)
        author.add(rest)

    def _delete(self, author: _Author, first: int, count: int) -> None:
        for border in (first, first + count):
            index = bisect_left(author.shown, border) - 1
            run = author.run_by_begin[author.shown[index]] if index >= 0 else None
            if run is not None and run.counter + run.length > border:
                self._split(author, run, border - run.counter)
        begin, end = bisect_left(author.shown, first), bisect_left(author.shown, first + count)
        for shown in author.shown[begin:end]:
            author.run_by_begin[shown].shown = False
        # What is deleted is not met again by the next deletion.
        del author.shown[begin:end]


def _range(deletion: Deletion) -> tuple[int, int]:
    """Return the least number that a deletion names, and how many they are."""
    _, counter, length, step = deletion
    return (counter if step > 0 else counter - length + 1), length


def _first_lesser(runs: Sequence[_Run], index: int, mine: tuple[int, bytes]) -> int:
    """Return the index of the first run from `index` on of a lesser id than `mine`, the length where there is none."""
    number, actor = mine
    for at in range(index, len(runs)):
        run = runs[at]
        if run.counter < number or (run.counter == number and run.actor < actor):
            return at
    return len(runs)


def _put(block: _Block, index: int, run: _Run, runs_max: int) -> None:
    """Put a run into a block, which is halved when it is full."""
    mine = (run.counter, run.actor)
    block.least = min(block.least, mine) if block.runs else mine
    block.runs.insert(index, run)
    if len(block.runs) <= runs_max:
        return
    behind = _Block()
    half = runs_max // 2
    behind.runs, block.runs = block.runs[half:], block.runs[:half]
    behind.following, block.following = block.following, behind
    for moved in behind.runs:
        moved.block = behind
    for part in (block, behind):
        part.least = min([(one.counter, one.actor) for one in part.runs])

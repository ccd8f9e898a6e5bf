"""The characters of a text in their order, deleted ones too, as runs: what a change is applied to without Automerge.

The order is that of RGA (Roh et al. 2011) as Automerge has it: a character stands behind the one it was written behind,
and of several written behind the same one that with the greater operation id (counter, then actor) stands first.
Because a character's id is greater than that of the one it was written behind, its place is found by walking on past
all greater ids. A run is characters of one actor with consecutive counters, all shown or all deleted.
"""

from collections.abc import Iterable, Mapping, Sequence

from crdt.errors import MergeError
from crdt.text_change import Deletion, Insertion, TextChange
from crdt.text_edits import Edit

#: (actor, counter, length, shown, source, offset): `actor` wrote `length` characters as operations `counter`,
#: `counter` + 1, …; they are `source[offset : offset + length]`, and deleted where `shown` is false. A plain tuple:
#: thousands are made in each second, and a named one takes five times as long to make.
Run = tuple[bytes, int, int, bool, str, int]
Spans = Sequence[Run]

#: So many operations are quicker done one by one, each by a walk along the runs.
FEW_OPERATIONS = 8


def shown_text(spans: Spans) -> str:
    """Return the text that is shown."""
    return "".join([source[offset : offset + length] for _, _, length, shown, source, offset in spans if shown])


def written_by(spans: Spans) -> dict[bytes, str]:
    """Return what each actor wrote, deleted or not, in the order in which it was written."""
    pieces_by_actor: dict[bytes, list[tuple[int, str]]] = {}
    for actor, counter, length, _, source, offset in spans:
        pieces_by_actor.setdefault(actor, []).append((counter, source[offset : offset + length]))
    return {actor: "".join([piece for _, piece in sorted(pieces)]) for actor, pieces in pieces_by_actor.items()}


def apply_few(spans: Spans, change: TextChange) -> list[Run]:
    """Return the spans after a change of few operations, each looked for from the beginning.

    Raises MergeError where it names a character that is not there.
    """
    runs = list(spans)
    number = change.start
    for operation in change.operations:
        if isinstance(operation, Insertion):
            _insert(runs, change.actor, number, operation)
            number += len(operation.text)
        else:
            _delete(runs, operation, number)
            number += operation.length
    return runs


def pack_spans(spans: Spans, index_by_actor: Mapping[bytes, int]) -> tuple[list[int], str]:
    """Return (index of actor, counter, length; deleted: −length) of each run in a row, and the deleted letters."""
    packed: list[int] = []
    gone: list[str] = []
    for actor, counter, length, shown, source, offset in spans:
        if shown:
            packed += (index_by_actor[actor], counter, length)
        else:
            packed += (index_by_actor[actor], counter, -length)
            gone.append(source[offset : offset + length])
    return packed, "".join(gone)


def unpack_spans(packed: Sequence[int], gone: str, actors: Sequence[bytes], shown: str) -> list[Run]:
    """Return the spans that `pack_spans` packed, which show `shown`; raise MergeError where they do not fit it."""
    runs: list[Run] = []
    at = gone_at = 0
    try:
        for index, counter, length in zip(*[iter(packed)] * 3, strict=True):
            if length > 0:
                runs.append((actors[index], counter, length, True, shown, at))
                at += length
            else:
                runs.append((actors[index], counter, -length, False, gone, gone_at))
                gone_at -= length
    except (IndexError, ValueError) as error:
        raise MergeError("a stored text is damaged") from error
    if at != len(shown) or gone_at != len(gone):
        raise MergeError("a stored text is not as long as what its table shows")
    return runs


def _find(runs: list[Run], actor: bytes, counter: int) -> int:
    """Return the index of the run that holds a character."""
    for index, run in enumerate(runs):
        if run[1] <= counter < run[1] + run[2] and run[0] == actor:
            return index
    raise MergeError("a change of a text names a character that is not there")


def _insert(runs: list[Run], actor: bytes, number: int, insertion: Insertion) -> None:
    behind, counter, text = insertion
    index = 0
    if behind is not None:
        if counter >= number:
            raise MergeError("a change of a text writes behind a character that is later than itself")
        index = _find(runs, behind, counter)
        run = runs[index]
        before = counter - run[1] + 1
        index += 1
        # The rest of the run was written behind the same character: it stays there if its id is the greater one.
        if before < run[2] and (run[1] + before, run[0]) < (number, actor):
            _split(runs, index - 1, before)
    while index < len(runs) and (runs[index][1], runs[index][0]) > (number, actor):
        index += 1
    runs.insert(index, (actor, number, len(text), True, text, 0))


def _split(runs: list[Run], index: int, before: int) -> None:
    actor, counter, length, shown, source, offset = runs[index]
    runs[index : index + 1] = (
        (actor, counter, before, shown, source, offset),
        (actor, counter + before, length - before, shown, source, offset + before),
    )


def _delete(runs: list[Run], deletion: Deletion, number: int) -> None:
    actor, first, left, step = deletion
    if step < 0:
        first -= left - 1
    end = first + left
    if end > number:
        raise MergeError("a change of a text deletes a character that is later than itself")
    passed: list[Run] = []
    index = 0
    while left and index < len(runs):
        run = runs[index]
        index += 1
        passed.append(run)
        begin = run[1]
        if run[0] != actor or begin >= end or begin + run[2] <= first:
            continue
        _, _, length, shown, source, offset = run
        before, until = max(first - begin, 0), min(end - begin, length)
        left -= until - before
        if shown:
            del passed[-1]
            if before:
                passed.append((actor, begin, before, True, source, offset))
            passed.append((actor, begin + before, until - before, False, source, offset + before))
            if until < length:
                passed.append((actor, begin + until, length - until, True, source, offset + until))
    if left:
        raise MergeError("a change of a text names a character that is not there")
    runs[:index] = passed


def operations_of(spans: Spans, edits: Iterable[Edit]) -> tuple[Insertion | Deletion, ...]:
    """Return the operations that make `edits` (in order of position) in the text that `spans` show.

    Each edit inserts behind the character that stands before it and then deletes; they come last edit first.
    """
    made: list[list[Insertion | Deletion]] = []
    index = position = 0
    before: tuple[bytes | None, int] = (None, 0)
    for at, removed, inserted in edits:
        # Walk to the run that shows the character before the edit.
        while index < len(spans) and (not spans[index][3] or position + spans[index][2] < at):
            if spans[index][3]:
                position += spans[index][2]
            index += 1
        if at > position:
            before = (spans[index][0], spans[index][1] + at - position - 1)
        elif at == 0:
            before = (None, 0)
        else:
            before = _last_shown(spans, index)
        operations: list[Insertion | Deletion] = [Insertion(before[0], before[1], inserted)] if inserted else []
        walked, walked_position, left = index, position, removed
        while left:
            actor, counter, length, shown, _, _ = spans[walked]
            if not shown:
                walked += 1
                continue
            skip = max(at - walked_position, 0)
            count = min(left, length - skip)
            if count > 0:
                operations.append(Deletion(actor, counter + skip, count))
                left -= count
            walked_position += length
            walked += 1
        made.append(operations)
    return tuple(operation for operations in reversed(made) for operation in _joined(operations))


def _last_shown(spans: Spans, index: int) -> tuple[bytes, int]:
    while index:
        index -= 1
        actor, counter, length, shown, _, _ = spans[index]
        if shown:
            return actor, counter + length - 1
    raise AssertionError("a position behind the beginning has a character before it")


def _joined(operations: list[Insertion | Deletion]) -> Iterable[Insertion | Deletion]:
    last: Insertion | Deletion | None = None
    for operation in operations:
        if (
            isinstance(last, Deletion)
            and isinstance(operation, Deletion)
            and operation.actor == last.actor
            and operation.counter == last.counter + last.length
        ):
            last = Deletion(last.actor, last.counter, last.length + operation.length)
            continue
        if last is not None:
            yield last
        last = operation
    if last is not None:
        yield last

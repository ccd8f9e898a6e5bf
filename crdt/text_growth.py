"""Applies the changes of a text that can be applied, so that what is shown depends on which are known and nothing else.

A member may sign what no honest device makes: a second change under the author of an honest one, or one that names
characters which it had not seen. Refusing such a change where it does harm and taking it where it does none would part
honest devices, so none is refused when texts are joined. It waits, for reasons that are the same everywhere:
- of several changes that insert under one author only the one of least hash is applied;
- a change is applied after all that it builds on, and after some change of each author whose characters it names.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from crdt.errors import MergeError
from crdt.text_change import ChangeHash, Insertion, TextChange, last_number
from crdt.text_sequence import RunSequence
from crdt.text_spans import FEW_OPERATIONS, Run, apply_few


class Waiting(NamedTuple):
    """A change that is not applied, its author, and which changes and authors it was found to lack."""

    raw: bytes
    actor: bytes
    lacks: tuple[bytes, ...]


@dataclass(slots=True)
class Applied:
    """What the applied changes amount to: spans, names, heads, greatest operation; `order` are the newly applied."""

    spans: Sequence[Run]
    known: set[ChangeHash]
    heads: set[ChangeHash]
    last: int
    order: list[ChangeHash]


def clashes(spans: Sequence[Run], changes: Mapping[ChangeHash, TextChange]) -> bool:
    """Tell whether some of `changes` insert under an author of `spans`: then all changes must be looked at again."""
    authors = {run[0] for run in spans}
    return not authors.isdisjoint(writers(changes))


def writers(changes: Mapping[ChangeHash, TextChange]) -> set[bytes]:
    """Return the authors of those of `changes` that insert."""
    return {change.actor for change in changes.values() if _inserts(change)}


def needs_of(change: TextChange) -> set[bytes]:
    """Return the changes and authors that must be applied before a change is."""
    needs: set[bytes] = {*change.deps, *[operation[0] for operation in change.operations if operation[0] is not None]}
    if _inserts(change):
        # What it names as its own it wrote itself. One that only deletes means what another one has written.
        needs.discard(change.actor)
    return needs


def grow(
    applied: Applied, changes: Mapping[ChangeHash, TextChange], base: ChangeHash
) -> dict[ChangeHash, tuple[bytes, ...]]:
    """Apply those of `changes` that can be, in an order in which they can be; `base` is what every text begins with.

    Returns which changes and authors each of the others lacks; what lacks nothing can never be applied. None of
    `changes` inserts under an author of the spans. Time grows with the changes and what each does to the spans.
    """
    first_by_author: dict[bytes, ChangeHash] = {}
    for name, change in changes.items():
        if _inserts(change):
            first_by_author[change.actor] = min(name, first_by_author.get(change.actor, name))
    met: set[bytes] = {base, *applied.known, *[run[0] for run in applied.spans]}
    needs_by_name: dict[ChangeHash, set[bytes]] = {}
    waiting_for: dict[bytes, list[ChangeHash]] = {}
    for name, change in changes.items():
        needs = needs_of(change) - met
        needs_by_name[name] = needs
        for need in needs:
            waiting_for.setdefault(need, []).append(name)
    runs = _Runs(applied.spans, sum([len(change.operations) for change in changes.values()]))
    ready = [name for name, needs in needs_by_name.items() if not needs]
    for name in ready:
        change = changes[name]
        inserts = _inserts(change)
        if inserts and first_by_author[change.actor] != name:
            continue
        if not runs.take(change):
            # It names characters that their authors never wrote: no device can apply it, now or later.
            continue
        applied.last = max(applied.last, last_number(change))
        applied.known.add(name)
        applied.heads.difference_update(change.deps)
        applied.heads.add(name)
        applied.order.append(name)
        for now_met in (name, change.actor) if inserts else (name,):
            for later in waiting_for.get(now_met, ()):
                if now_met in needs_by_name[later]:
                    needs_by_name[later].remove(now_met)
                    if not needs_by_name[later]:
                        ready.append(later)
    applied.spans = runs.spans()
    return {name: tuple(sorted(needs_by_name[name])) for name in changes.keys() - applied.known}


class _Runs:
    """The runs while changes are applied to them: as they are, or found quickly where many operations are to come."""

    def __init__(self, spans: Sequence[Run], operations: int) -> None:
        self._spans = spans
        self._sequence = RunSequence(spans) if operations > FEW_OPERATIONS else None

    def take(self, change: TextChange) -> bool:
        """Apply a change if it fits, and tell whether it did."""
        if self._sequence is None:
            try:
                self._spans = apply_few(self._spans, change)
            except MergeError:
                return False
            return True
        fits = self._sequence.fits(change)
        if fits:
            self._sequence.apply(change)
        return fits

    def spans(self) -> Sequence[Run]:
        return self._spans if self._sequence is None else self._sequence.spans()


def _inserts(change: TextChange) -> bool:
    return any(isinstance(operation, Insertion) for operation in change.operations)

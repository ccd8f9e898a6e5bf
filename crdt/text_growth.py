"""Applies the changes of a text that can be applied, so that what is shown depends on which are known and nothing else.

A member may sign what no honest device makes: a second change under the author of an honest one, or one that names
characters which it had not seen. Refusing such a change where it does harm and taking it where it does none would part
honest devices, so none is refused when texts are joined. It waits, for reasons that are the same everywhere:
- of several changes that insert under one author only the one of least hash is applied;
- a change is applied after all that it builds on, and after some change of each author whose characters it names.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crdt.errors import MergeError
from crdt.text_change import ChangeHash, Insertion, TextChange, last_number
from crdt.text_spans import Run, apply_change


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
    return any(change.actor in authors and _inserts(change) for change in changes.values())


def grow(applied: Applied, changes: Mapping[ChangeHash, TextChange], base: ChangeHash) -> None:
    """Apply those of `changes` that can be, in an order in which they can be; `base` is what every text begins with.

    None of them inserts under an author of the spans. Time grows with the changes and what each does to the spans.
    """
    first_by_author: dict[bytes, ChangeHash] = {}
    for name, change in changes.items():
        if _inserts(change):
            first_by_author[change.actor] = min(name, first_by_author.get(change.actor, name))
    met: set[bytes] = {base, *applied.known, *[run[0] for run in applied.spans]}
    lacking: dict[ChangeHash, int] = {}
    waiting_for: dict[bytes, list[ChangeHash]] = {}
    for name, change in changes.items():
        named = {operation[0] for operation in change.operations}
        needs = {*change.deps, *named} - {None, change.actor} - met
        lacking[name] = len(needs)
        for need in needs:
            waiting_for.setdefault(need or b"", []).append(name)
    ready = [name for name, count in lacking.items() if not count]
    for name in ready:
        change = changes[name]
        inserts = _inserts(change)
        if inserts and first_by_author[change.actor] != name:
            continue
        try:
            applied.spans = apply_change(applied.spans, change)
        except MergeError:
            # It names characters that their authors never wrote: no device can apply it, now or later.
            continue
        applied.last = max(applied.last, last_number(change))
        applied.known.add(name)
        applied.heads.difference_update(change.deps)
        applied.heads.add(name)
        applied.order.append(name)
        for now_met in (name, change.actor) if inserts else (name,):
            for later in waiting_for.get(now_met, ()):
                lacking[later] -= 1
                if not lacking[later]:
                    ready.append(later)


def _inserts(change: TextChange) -> bool:
    return any(isinstance(operation, Insertion) for operation in change.operations)

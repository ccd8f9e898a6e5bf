"""Finds the current branch of a conversation whose turns are a tree."""

from collections.abc import Mapping

from crdt.errors import MergeError
from crdt.identifiers import RowId, row_id_from_text


def current_branch(parents: Mapping[RowId, RowId | None], current: object) -> list[RowId]:
    """Return the turns from the first to the current one, each answered by the next.

    `parents` are all turns in the order of time, with the turn that each answers; `current` is the id, as text, of the
    turn at which the person was. Where no turn is current, no branch is: all turns are told in the order of time.
    """
    leaf = _known(parents, current)
    if leaf is None:
        return list(parents)
    leaf = _continued(parents, leaf)
    branch: dict[RowId, None] = {}
    step: RowId | None = leaf
    # Devices apart can make two turns each other's parents.
    while step is not None and step in parents and step not in branch:
        branch[step] = None
        step = parents[step]
    return list(reversed(branch))


def _continued(parents: Mapping[RowId, RowId | None], leaf: RowId) -> RowId:
    """Follow a turn to what was said after it since, always by the latest answer."""
    latest_answer = {parent: row_id for row_id, parent in parents.items() if parent is not None}
    seen = {leaf}
    while (answer := latest_answer.get(leaf)) is not None and answer not in seen:
        leaf = answer
        seen.add(leaf)
    return leaf


def _known(parents: Mapping[RowId, RowId | None], current: object) -> RowId | None:
    try:
        row_id = row_id_from_text(current) if isinstance(current, str) else None
    except MergeError:
        return None
    return row_id if row_id in parents else None

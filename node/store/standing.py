"""Decides which living rows stand, what they show of references to rows that do not, and which repairs are ours to log.

The rules (`crdt/MERGE.md`, section 6), a function of the merged rows alone:
- A row does not stand if it is deleted, or if a row that owns it (a cascading reference) was seen and does not stand.
- A reference that clears shows NULL while its target was seen and does not stand.
- A reference within a table that re-parents shows the nearest ancestor that stands, going by what those between hold.
- A row that was never seen stands in nobody's way: references tolerate absence.

"Does not stand" is the least fixed point, so a ring of rows that own each other stands. When an owner returns, all rows
that hung on it are therefore first taken to stand, and then fall anew (delete and re-derive, Gupta et al. 1993).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from node.store.reference_graph import Node, ReferenceGraph, RowKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the rows in question come to.

    `fallen` are alive but out of sight; `shown_by_row` are the references of standing rows that show another value
    than the true one; `watched_by_row` are the rows on whose account either is so. `deletes` and `updates` are the
    repairs that this device owes, as the one who deleted the rows referred to.
    """

    standing: set[RowKey] = field(default_factory=set)
    fallen: set[RowKey] = field(default_factory=set)
    shown_by_row: dict[RowKey, dict[str, bytes | None]] = field(default_factory=dict)
    watched_by_row: dict[RowKey, set[RowKey]] = field(default_factory=dict)
    deletes: set[RowKey] = field(default_factory=set)
    updates: dict[RowKey, dict[str, bytes | None]] = field(default_factory=dict)


class Standing:
    """The decision over rows whose life or references may have changed, and over all that hang on them."""

    __slots__ = ("_fallen", "_graph", "_is_own", "_scope")

    def __init__(self, graph: ReferenceGraph, is_own: Callable[[int], bool]) -> None:
        """Decide by what `graph` reads; `is_own` tells whether an origin's number is one of this device."""
        self._graph = graph
        self._is_own = is_own
        self._scope: dict[RowKey, Node] = {}
        self._fallen: set[RowKey] = set()

    def decide(self, seeds: Iterable[RowKey]) -> Decision:
        """Return what becomes of `seeds` and of every row that changes with them."""
        pending = set(seeds)
        while pending:
            self._take_in(pending)
            self._fall()
            moved = {key for key, node in self._scope.items() if node.in_table == (key in self._fallen)}
            pending = self._graph.referring(moved) | self._graph.watching(moved)
            pending -= self._scope.keys()
        decision = Decision(
            standing=self._scope.keys() - self._fallen, fallen=set(self._fallen), deletes=self._own_deletes()
        )
        for key in sorted(decision.standing):
            self._show_references(key, decision)
        for key in self._fallen - decision.deletes:
            decision.watched_by_row[key] = set(self._graph.targets(key, "cascade"))
        return decision

    def _take_in(self, keys: Iterable[RowKey]) -> None:
        pending = set(keys)
        while pending:
            self._graph.load(pending)
            hidden: list[RowKey] = []
            for key in pending:
                node = self._graph.node(key)
                if node is not None and node.alive:
                    self._scope[key] = node
                    if not node.in_table:
                        hidden.append(key)
            # What hangs on a hidden row is hidden too, and nothing may hold itself down.
            pending = {key for key in self._graph.watching(hidden) if key not in self._scope}
        self._graph.load(target for key in list(self._scope) for target in self._graph.targets(key, "cascade"))

    def _fall(self) -> None:
        self._fallen = set()
        falling = True
        while falling:
            fallen = {
                key
                for key in self._scope.keys() - self._fallen
                if any(map(self._is_gone, self._graph.targets(key, "cascade")))
            }
            self._fallen |= fallen
            falling = bool(fallen)

    def _is_gone(self, key: RowKey) -> bool:
        node = self._graph.node(key)
        if node is None:
            return False
        return key in self._fallen if key in self._scope else not node.in_table

    def _is_mine(self, key: RowKey) -> bool:
        node = self._graph.node(key)
        return node is not None and not node.alive and self._is_own(node.origin)

    def _own_deletes(self) -> set[RowKey]:
        owed: set[RowKey] = set()
        found = True
        while found:
            more = {
                key
                for key in self._fallen - owed
                if any(parent in owed or self._is_mine(parent) for parent in self._graph.targets(key, "cascade"))
            }
            owed |= more
            found = bool(more)
        return owed

    def _show_references(self, key: RowKey, decision: Decision) -> None:
        for reference in self._graph.table(key[0]).references:
            target = self._scope[key].true[reference.column]
            if reference.on_delete == "cascade" or target is None or not self._is_gone((reference.table, target)):
                continue
            shown: bytes | None = None
            walked = [target]
            if reference.on_delete == "reparent":
                shown, walked = self._ancestor(reference.table, reference.column, target)
            if self._is_mine((reference.table, target)):
                decision.updates.setdefault(key, {})[reference.column] = shown
                continue
            decision.shown_by_row.setdefault(key, {})[reference.column] = shown
            watched = decision.watched_by_row.setdefault(key, set())
            watched.update((reference.table, row_id) for row_id in walked)

    def _ancestor(self, table: str, column: str, first: bytes) -> tuple[bytes | None, list[bytes]]:
        """Return the nearest ancestor that stands, if any, and all that were passed on the way to it."""
        walked: list[bytes] = []
        target: bytes | None = first
        while target is not None and target not in walked:
            node = self._graph.node((table, target))
            if node is not None and not self._is_gone((table, target)):
                return target, walked
            walked.append(target)
            target = None if node is None else node.true[column]
        return None, walked


def hidden_values(true: Mapping[str, bytes | None], shown: Mapping[str, bytes | None]) -> dict[str, bytes | None]:
    """Return the true values of those references that show another one."""
    return {column: true[column] for column, value in shown.items() if value != true[column]}

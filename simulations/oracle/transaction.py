"""A transaction as the oracle sees it: edits of visible rows, netted at the commit into one change per row."""

from collections.abc import Iterator, Mapping

from node.store.schema import Column, Table
from simulations.oracle.fold import live_members, value_order
from simulations.oracle.history import Cell, CellChange, Change, Count, Leaves, Members, RowKey, Version, Write
from simulations.oracle.replica import ModelReplica
from sync.streams import Stream


class ModelTransaction:
    """Mirrors in Python what each SQL statement does to the rows that a person sees."""

    def __init__(self, replica: ModelReplica, unveiled: Mapping[RowKey, Mapping[str, Cell]] | None = None) -> None:
        """Begin on what a person sees; `unveiled` are rows that the store itself sees in another form."""
        self._replica = replica
        self._before = {name: dict(rows) for name, rows in replica.visible().items()}
        for (table, row_id), cells in (unveiled or {}).items():
            self._before[table][row_id] = dict(cells)
        self.after = {name: dict(rows) for name, rows in self._before.items()}
        self.touched: set[RowKey] = set()
        # Each row touched as it first stood; what refers to a deleted row goes by this.
        self._first: dict[RowKey, Mapping[str, Cell]] = {}

    def table(self, name: str) -> dict[bytes, dict[str, Cell]]:
        """Return the rows that the transaction sees now."""
        return self.after[name]

    def before(self, table: str, row_id: bytes) -> Mapping[str, Cell] | None:
        """Return a row as it stood before the transaction, None if it did not."""
        return self._before[table].get(row_id)

    def insert(self, table: str, row_id: bytes, cells: Mapping[str, Cell]) -> None:
        """Mirror INSERT (every column given) and the second half of REPLACE."""
        self._touch(table, row_id)
        self.after[table][row_id] = dict(cells)

    def update(self, table: str, row_id: bytes, cells: Mapping[str, Cell]) -> None:
        """Mirror UPDATE of some columns."""
        self._touch(table, row_id)
        self.after[table][row_id] = {**self.after[table][row_id], **cells}

    def delete(self, table: str, row_id: bytes) -> None:
        """Mirror DELETE; what hangs on the row is settled at the commit, as a re-insert may yet save it."""
        self._touch(table, row_id)
        del self.after[table][row_id]

    def settle(self) -> None:
        """Carry out the references to every row that is gone: cascade, clear, or give the nearest living ancestor."""
        gone = {key: first for key, first in self._first.items() if key[1] not in self.after[key[0]]}
        waiting = sorted(gone)
        while waiting:
            parent = waiting.pop()
            for name, row_id in self._children(parent, "cascade"):
                self.delete(name, row_id)
                gone[(name, row_id)] = self._first[(name, row_id)]
                waiting.append((name, row_id))
        for parent in sorted(gone):
            for name, row_id, column in self._referring(parent, "set_null"):
                self.update(name, row_id, {column: None})
            for name, row_id, column in self._referring(parent, "reparent"):
                self.update(name, row_id, {column: self._ancestor(parent, column, gone)})

    def _touch(self, table: str, row_id: bytes) -> None:
        self.touched.add((table, row_id))
        if row_id in self.after[table]:
            self._first.setdefault((table, row_id), self.after[table][row_id])

    def _ancestor(self, parent: RowKey, column: str, gone: Mapping[RowKey, Mapping[str, Cell]]) -> Cell:
        walked, target = {parent[1]}, gone[parent][column]
        while isinstance(target, bytes) and (parent[0], target) in gone:
            if target in walked:
                return None
            walked.add(target)
            target = gone[(parent[0], target)][column]
        # A peer may have ended the ancestor, while the reference to it was written: then there is none.
        return target if isinstance(target, bytes) and target in self.after[parent[0]] else None

    def _children(self, parent: RowKey, action: str) -> list[RowKey]:
        return sorted({(name, row_id) for name, row_id, _ in self._referring(parent, action)})

    def _referring(self, parent: RowKey, action: str) -> list[tuple[str, bytes, str]]:
        return [
            (child.name, row_id, reference.column)
            for child in self._replica.declared.values()
            for reference in child.references
            if reference.table == parent[0] and reference.on_delete == action
            for row_id, row in sorted(self.after[child.name].items())
            if row[reference.column] == parent[1]
        ]

    def changes(self, stream: Stream, version: Version, deps: Mapping[bytes, int]) -> tuple[Change, ...]:
        """Return the netted changes of one stream under the stamp that the store gave it."""
        return tuple(
            Change(key=key, generation=generation, version=version, deps=deps, cells=cells)
            for key, generation, cells in self.netted()
            if self._replica.declared[key[0]].stream == stream
        )

    def streams(self) -> set[Stream]:
        """Return the streams in which anything changed."""
        return {self._replica.declared[key[0]].stream for key, _, _ in self.netted()}

    def netted(self) -> Iterator[tuple[RowKey, int, dict[str, CellChange]]]:
        """Yield key, generation and cells for every row that differs from before the transaction."""
        rows = self._replica.rows()
        for key in sorted(self.touched):
            table = self._replica.declared[key[0]]
            before, after = self._before[key[0]].get(key[1]), self.after[key[0]].get(key[1])
            known = rows[key].generation if key in rows else 0
            if before is None and after is not None:
                # A row that is alive but out of sight is written anew past its tombstone.
                yield (
                    key,
                    known + (2 if known % 2 == 1 else 1),
                    {column.name: _initial(column, after[column.name]) for column in table.columns},
                )
            elif before is not None and after is None:
                yield (
                    key,
                    known + 1,
                    {
                        item.column: Write(rows[key].cells[item.column] if key in rows else before[item.column])
                        for item in table.references
                    },
                )
            elif before is not None and after is not None:
                cells = dict(self._edits(key, table, before, after))
                if cells:
                    yield key, known, cells

    def _edits(
        self, key: RowKey, table: Table, before: Mapping[str, Cell], after: Mapping[str, Cell]
    ) -> Iterator[tuple[str, CellChange]]:
        for column in table.columns:
            old, new = before[column.name], after[column.name]
            if old == new:
                continue
            if column.strategy == "counter":
                assert isinstance(old, int)
                assert isinstance(new, int)
                yield column.name, Count(new - old)
            elif column.strategy in ("set", "text"):
                assert isinstance(old, frozenset)
                assert isinstance(new, frozenset)
                yield column.name, self._set_edit(key, column.name, old, new)
            elif column.strategy == "document":
                assert isinstance(old, frozenset)
                assert isinstance(new, frozenset)
                gone: dict[str, str | None] = dict.fromkeys(leaves(old).keys() - leaves(new).keys())
                yield column.name, Leaves({**gone, **leaves(new - old)})
            elif column.strategy == "min":
                if new is not None and (old is None or value_order(new) < value_order(old)):
                    yield column.name, Write(new)
            elif column.strategy != "max" or value_order(new) > value_order(old):
                yield column.name, Write(new)

    def _set_edit(self, key: RowKey, column: str, old: frozenset[str], new: frozenset[str]) -> Members:
        held = self._replica.changes_by_row[key].values()
        generation = max(change.generation for change in held)
        live = live_members((change for change in held if change.generation == generation), column)
        return Members(
            added=new - old, removed=frozenset((version, element) for version, element in live if element not in new)
        )


def _initial(column: Column, value: Cell) -> CellChange:
    if column.strategy == "counter":
        assert isinstance(value, int)
        return Count(value)
    if column.strategy == "document":
        assert isinstance(value, frozenset)
        return Leaves(leaves(value))
    if column.strategy in ("set", "text"):
        assert isinstance(value, frozenset)
        return Members(added=value, removed=frozenset())
    return Write(value)


def leaves(shown: frozenset[str]) -> dict[str, str]:
    """Return the JSON text by key of a document's leaves."""
    return dict(leaf.split("=", 1) for leaf in shown)

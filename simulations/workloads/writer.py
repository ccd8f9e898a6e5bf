"""Random SQL statements over declared tables, each mirrored into the oracle's transaction as it is executed."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from crdt.identifiers import natural_row_id
from node.store.schema import Column, Reference, Table
from simulations.kernel.streams import SeededStream
from simulations.oracle.checks import document_text, text_of
from simulations.oracle.fold import default_value
from simulations.oracle.history import Cell
from simulations.oracle.transaction import ModelTransaction
from simulations.workloads.values import Values

Parameter = str | int | float | bytes | None
_NATURAL_KEYS = ("alpha", "beta", "gamma", "it's", "δ")


class Execute(Protocol):
    """What the writer needs of a store's transaction."""

    def execute(self, sql: str, params: Sequence[Parameter] = ()) -> object:
        """Run one statement."""


class Writer:
    """Writes one transaction's statements on one device."""

    def __init__(
        self,
        *,
        random: SeededStream,
        values: Values,
        tables: Mapping[str, Table],
        model: ModelTransaction,
        transaction: Execute,
        new_row_id: Callable[[], bytes],
        forgotten: Mapping[str, Sequence[bytes]],
    ) -> None:
        self._random = random
        self._values = values
        self._tables = tables
        self._model = model
        self._transaction = transaction
        self._new_row_id = new_row_id
        self._forgotten = forgotten
        self.kinds: list[str] = []

    def write(self, names: Sequence[str]) -> None:
        """Run one random statement on one of the tables."""
        table = self._tables[self._random.choice(names)]
        rows = self._model.table(table.name)
        if not rows or (len(rows) < 4 and self._random.chance(0.6)):
            kind: Callable[[Table], None] = self._random.weighted(
                ((self.insert, 6), (self.insert_many, 2), (self.reinsert, 2))
            )
        else:
            kind = self._random.weighted(
                (
                    (self.insert, 5),
                    (self.insert_many, 1),
                    (self.reinsert, 2),
                    (self.update, 9),
                    (self.add_to_counters, 4),
                    (self.edit_sets, 4),
                    (self.edit_texts, 6),
                    (self.edit_documents, 3),
                    (self.update_many, 2),
                    (self.rewrite_same, 1),
                    (self.replace, 3),
                    (self.upsert, 2),
                    (self.delete, 4),
                    (self.delete_many, 1),
                )
            )
        self.kinds.append(kind.__name__)
        kind(table)

    def insert(self, table: Table) -> None:
        """INSERT one row, some columns left to their defaults."""
        row_id = self._fresh_id(table)
        if row_id is not None:
            self._insert("INSERT", table, [row_id])

    def insert_many(self, table: Table) -> None:
        """INSERT several rows by one statement."""
        candidates = (self._fresh_id(table) for _ in range(self._random.between(2, 4)))
        row_ids = sorted({row_id for row_id in candidates if row_id is not None})
        if row_ids:
            self._insert("INSERT", table, row_ids)

    def reinsert(self, table: Table) -> None:
        """INSERT a row under the id of one that was deleted."""
        present = self._model.table(table.name)
        free = [row_id for row_id in self._forgotten[table.name] if row_id not in present]
        if free:
            self._insert("INSERT", table, [self._random.choice(free)])

    def replace(self, table: Table) -> None:
        """INSERT OR REPLACE: of a present row an update of its mutable columns, of an absent one an insert."""
        row_id = self._pick(table)
        self._insert("INSERT OR REPLACE", table, [row_id])

    def upsert(self, table: Table) -> None:
        """INSERT … ON CONFLICT DO UPDATE."""
        row_id = self._pick(table)
        columns = [column for column in self._mutable(table) if column.strategy == "lww"]
        if not columns:
            return
        column = self._random.choice(columns)
        before = self._model.table(table.name)[row_id]
        names = ["id", *(item.name for item in table.columns)]
        value = self._edited(table, column)
        parameters = [row_id, *(self._spelled(item, before[item.name]) for item in table.columns)]
        parameters[names.index(column.name)] = self._spelled(column, value)
        marks = ", ".join("?" for _ in names)
        self._run(
            f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({marks}) "
            f"ON CONFLICT (id) DO UPDATE SET {column.name} = excluded.{column.name}",
            parameters,
        )
        self._model.update(table.name, row_id, {column.name: value})

    def update(self, table: Table) -> None:
        """UPDATE some columns of one row."""
        row_id = self._pick(table)
        columns = [column for column in self._mutable(table) if column.strategy in ("lww", "max", "min")]
        if not columns:
            return
        chosen = self._random.sample(columns, self._random.between(1, 2))
        cells = {column.name: self._edited(table, column) for column in chosen}
        sets = ", ".join(f"{name} = ?" for name in cells)
        self._run(
            f"UPDATE {table.name} SET {sets} WHERE id = ?",
            [*(self._spelled(column, cells[column.name]) for column in chosen), row_id],
        )
        self._model.update(table.name, row_id, cells)

    def add_to_counters(self, table: Table) -> None:
        """UPDATE … SET counter = counter + n."""
        columns = [column for column in table.columns if column.strategy == "counter"]
        if not columns:
            self.update(table)
            return
        row_id, column, amount = self._pick(table), self._random.choice(columns), self._values.amount()
        self._run(
            f"UPDATE {table.name} SET {column.name} = {column.name} + ? WHERE id = ?",
            [amount, row_id],
        )
        before = self._model.table(table.name)[row_id][column.name]
        assert isinstance(before, int)
        self._model.update(table.name, row_id, {column.name: before + amount})

    def edit_sets(self, table: Table) -> None:
        """UPDATE … SET tags = a JSON array that differs from the one shown."""
        columns = [column for column in table.columns if column.strategy == "set"]
        if not columns:
            self.update(table)
            return
        row_id, column = self._pick(table), self._random.choice(columns)
        before = self._model.table(table.name)[row_id][column.name]
        assert isinstance(before, frozenset)
        value = self._values.tags(before)
        self._run(f"UPDATE {table.name} SET {column.name} = ? WHERE id = ?", [self._spelled(column, value), row_id])
        self._model.update(table.name, row_id, {column.name: value})

    def edit_texts(self, table: Table) -> None:
        """UPDATE … SET text = itself without some of its characters, with new ones before or behind."""
        columns = [column for column in table.columns if column.strategy == "text"]
        if not columns:
            self.update(table)
            return
        row_id, column = self._pick(table), self._random.choice(columns)
        before = self._model.table(table.name)[row_id][column.name]
        assert isinstance(before, frozenset)
        gone = self._random.sample(sorted(before), min(len(before), self._random.below(3)))
        new = self._values.characters()
        without = column.name
        for _ in gone:
            # Without its line end, which an edit made apart may have used for a line of its own.
            without = f"replace({without}, ?, '')"
        added = text_of(sorted(new))
        in_front = self._random.chance(0.5)
        spelled, parameters = (f"? || {without}", [added, *gone]) if in_front else (f"{without} || ?", [*gone, added])
        self._run(f"UPDATE {table.name} SET {column.name} = {spelled} WHERE id = ?", [*parameters, row_id])
        self._model.update(table.name, row_id, {column.name: (before - set(gone)) | new})

    def edit_documents(self, table: Table) -> None:
        """UPDATE … SET document = itself with a key set or taken away."""
        columns = [column for column in table.columns if column.strategy == "document"]
        if not columns:
            self.update(table)
            return
        row_id, column = self._pick(table), self._random.choice(columns)
        before = self._model.table(table.name)[row_id][column.name]
        assert isinstance(before, frozenset)
        leaf = self._values.leaf()
        kept = frozenset(other for other in before if other.split("=")[0] != leaf.split("=")[0])
        value = kept if self._random.chance(0.3) else kept | {leaf}
        self._run(f"UPDATE {table.name} SET {column.name} = ? WHERE id = ?", [self._spelled(column, value), row_id])
        self._model.update(table.name, row_id, {column.name: value})

    def update_many(self, table: Table) -> None:
        """UPDATE several rows by one statement."""
        columns = [column for column in self._mutable(table) if column.strategy == "lww"]
        if not columns:
            return
        column = self._random.choice(columns)
        row_ids = self._several(table)
        value = self._edited(table, column)
        marks = ", ".join("?" for _ in row_ids)
        self._run(
            f"UPDATE {table.name} SET {column.name} = ? WHERE id IN ({marks})", [self._spelled(column, value), *row_ids]
        )
        for row_id in row_ids:
            self._model.update(table.name, row_id, {column.name: value})

    def rewrite_same(self, table: Table) -> None:
        """UPDATE every column to what it is: nothing happened."""
        row_id = self._pick(table)
        columns = self._mutable(table)
        if columns:
            sets = ", ".join(f"{column.name} = {column.name}" for column in columns)
            self._run(f"UPDATE {table.name} SET {sets} WHERE id = ?", [row_id])

    def delete(self, table: Table) -> None:
        """DELETE one row, with what hangs on it."""
        row_id = self._pick(table)
        self._run(f"DELETE FROM {table.name} WHERE id = ?", [row_id])
        self._model.delete(table.name, row_id)

    def delete_many(self, table: Table) -> None:
        """DELETE several rows by one statement."""
        row_ids = self._several(table)
        marks = ", ".join("?" for _ in row_ids)
        self._run(f"DELETE FROM {table.name} WHERE id IN ({marks})", row_ids)
        for row_id in row_ids:
            if row_id in self._model.table(table.name):
                self._model.delete(table.name, row_id)

    def _insert(self, verb: str, table: Table, row_ids: Sequence[bytes]) -> None:
        left_out = [
            column
            for column in table.columns
            if not self._is_owner(table, column) and column.strategy != "immutable" and self._random.chance(0.3)
        ]
        given = [column for column in table.columns if column not in left_out]
        parameters: list[Parameter] = []
        rows: dict[bytes, dict[str, Cell]] = {}
        for row_id in row_ids:
            cells = {column.name: default_value(column) for column in table.columns}
            for column in given:
                # A row that stood before the transaction and stands after it was updated, and so keeps these.
                stood = self._model.before(table.name, row_id) if column.strategy == "immutable" else None
                cells[column.name] = self._initial(table, column) if stood is None else stood[column.name]
            rows[row_id] = cells
            parameters += [row_id, *(self._spelled(column, cells[column.name]) for column in given)]
        marks = "(" + ", ".join("?" for _ in range(len(given) + 1)) + ")"
        names = ", ".join(["id", *(column.name for column in given)])
        self._run(
            f"{verb} INTO {table.name} ({names}) VALUES {', '.join(marks for _ in row_ids)}",
            parameters,
        )
        for row_id, cells in rows.items():
            self._model.insert(table.name, row_id, cells)

    def _run(self, sql: str, parameters: Sequence[Parameter]) -> None:
        self._transaction.execute(sql, tuple(parameters))

    def _pick(self, table: Table) -> bytes:
        return self._random.choice(sorted(self._model.table(table.name)))

    def _several(self, table: Table) -> list[bytes]:
        return self._random.sample(sorted(self._model.table(table.name)), self._random.between(1, 3))

    def _fresh_id(self, table: Table) -> bytes | None:
        if table.natural_key is None:
            return self._new_row_id()
        row_id = natural_row_id(table.name, self._random.choice(_NATURAL_KEYS))
        return None if row_id in self._model.table(table.name) else row_id

    def _initial(self, table: Table, column: Column) -> Cell:
        reference = self._reference(table, column)
        if reference is not None:
            return self._target(reference)
        return normalised(self._values.initial(column))

    def _edited(self, table: Table, column: Column) -> Cell:
        reference = self._reference(table, column)
        if reference is not None:
            return self._target(reference)
        return normalised(self._values.edited(column))

    def _target(self, reference: Reference) -> Cell:
        targets = sorted(self._model.table(reference.table))
        if not targets or self._random.chance(0.1):
            return None
        return self._random.choice(targets)

    def _reference(self, table: Table, column: Column) -> Reference | None:
        return next((item for item in table.references if item.column == column.name), None)

    def _is_owner(self, table: Table, column: Column) -> bool:
        reference = self._reference(table, column)
        return reference is not None and reference.on_delete == "cascade"

    def _mutable(self, table: Table) -> list[Column]:
        return [column for column in table.columns if column.strategy != "immutable"]

    def _spelled(self, column: Column, cell: Cell) -> Parameter:
        if isinstance(cell, frozenset) and column.strategy == "text":
            return text_of(self._random.shuffled(sorted(cell)))
        if isinstance(cell, frozenset) and column.strategy == "document":
            return document_text(cell) if cell or column.default is not None else None
        if isinstance(cell, frozenset):
            # Any spelling of a set must do: shuffled, with blanks, with an element twice.
            elements = self._random.shuffled(sorted(cell))
            return json.dumps(elements + elements[:1], ensure_ascii=self._random.chance(0.5))
        return cell


def normalised(cell: Cell) -> Cell:
    """Return what a column really stores: no negative zero, no NaN."""
    if isinstance(cell, float):
        return None if cell != cell else cell + 0.0
    return cell

"""The replicated tables as the store works with them: columns in order of name, decoders, SQL texts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any

import msgspec

from crdt.identifiers import ROW_ID_BYTES
from crdt.row import GENERATION_MAX, Layout, layout_digest
from crdt.strategies import STRATEGY_BY_CODE, STRATEGY_BY_NAME, CellState, Strategy
from crdt.strategies.register import Register
from crdt.values import INTEGER_MAX, INTEGER_MIN, Scalar
from node.errors import StorageError
from node.store.schema import Column, Component, Reference, Table
from sync.streams import Stream

_Integer = Annotated[int, msgspec.Meta(ge=INTEGER_MIN, le=INTEGER_MAX)]
_RowId = Annotated[bytes, msgspec.Meta(min_length=ROW_ID_BYTES, max_length=ROW_ID_BYTES)]
_Generation = Annotated[int, msgspec.Meta(ge=1, le=GENERATION_MAX)]
_TYPE_OF_VALUES: dict[str, type] = {"TEXT": str, "INTEGER": int, "REAL": float, "BLOB": bytes}
_PYTHON_TYPE: dict[str, object] = {"TEXT": str, "INTEGER": _Integer, "REAL": float, "BLOB": bytes}
# Closed types: a payload that nests deeper than its strategy's cannot even be decoded.
_PAYLOAD_TYPE: dict[str, object] = {
    "set": tuple[list[tuple[bytes, str]], list[bytes]] | None,
    "counter": list[tuple[bytes, _Integer, _Integer]] | None,
    "text": str | list[bytes],
    "document": str | list[tuple[list[str], str | None, bytes | None]] | None,
}
# What a column must be declared as: (type, the SQL literals that may be its default).
_DECLARED_AS: dict[str, tuple[str, tuple[str | None, ...]]] = {
    "set": ("TEXT", ("'[]'",)),
    "counter": ("INTEGER", ("0",)),
    "text": ("TEXT", ("''",)),
    "document": ("TEXT", (None, "'{}'")),
}
# Strategies whose default stands as nil on wire and in hashes.
_NIL_AT_DEFAULT = frozenset({"set", "counter", "document"})


def shown_for_nil(column: Column) -> str | None:
    """Return the SQL literal that a column shows where nothing was ever written to it, if that is not its value."""
    return column.default if column.strategy in _NIL_AT_DEFAULT else None


class NewerSchemaError(Exception):
    """A batch or page speaks of a table or column that this version does not know."""


@dataclass(frozen=True)
class ReplicatedTable:
    """One declared table with everything that is derived from its declaration."""

    declaration: Table

    @property
    def name(self) -> str:
        """The table's SQL name."""
        return self.declaration.name

    @property
    def stream(self) -> Stream:
        """The stream it belongs to."""
        return self.declaration.stream

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """All columns but the id, in order of name."""
        return tuple(sorted(self.declaration.columns, key=lambda column: column.name))

    @cached_property
    def column_names(self) -> tuple[str, ...]:
        """The names of `columns`."""
        return tuple(column.name for column in self.columns)

    @cached_property
    def index_by_column(self) -> dict[str, int]:
        """The position of each of `columns` by its name."""
        return {name: index for index, name in enumerate(self.column_names)}

    @cached_property
    def strategies(self) -> tuple[Strategy, ...]:
        """The strategy of each of `columns`."""
        return tuple(STRATEGY_BY_NAME[column.strategy] for column in self.columns)

    @cached_property
    def strategy_by_column(self) -> dict[str, Strategy]:
        """The strategy by column name."""
        return dict(zip(self.column_names, self.strategies, strict=True))

    @cached_property
    def layout(self) -> Layout:
        """The layout of a row of which every column is known."""
        codes = (strategy.code for strategy in self.strategies)
        return tuple(zip(self.column_names, codes, strict=True))

    @cached_property
    def layout_named(self) -> bytes:
        """The digest that names `layout` in the hashes of rows."""
        return layout_digest(self.name, self.layout)

    @cached_property
    def conditional(self) -> tuple[tuple[int, Callable[[Scalar], bool]], ...]:
        """The positions in `columns` of cells that may be more than the value shown, each with what tells."""
        return tuple((index, strategy.plain) for index, strategy in enumerate(self.strategies) if not strategy.stamped)

    @cached_property
    def shown_for_nil(self) -> tuple[str | None, ...]:
        """For each of `columns` the SQL literal that it shows for nil, if it has one."""
        return tuple(map(shown_for_nil, self.columns))

    @cached_property
    def editable(self) -> frozenset[int]:
        """The positions of columns that hold one stamped value, may be written again, and refer to no other row."""
        referring = {reference.column for reference in self.references}
        return frozenset(
            index
            for index, (name, strategy) in enumerate(zip(self.column_names, self.strategies, strict=True))
            if strategy.stamped and strategy.name != "immutable" and name not in referring
        )

    @cached_property
    def last_written(self) -> frozenset[int]:
        """The positions of `editable` columns that show what was written last."""
        return frozenset(index for index in self.editable if self.strategies[index].name == "lww")

    @cached_property
    def texts(self) -> frozenset[int]:
        """The positions of columns that hold a text merged character by character."""
        return frozenset(index for index, strategy in enumerate(self.strategies) if strategy.name == "text")

    @cached_property
    def references(self) -> tuple[Reference, ...]:
        """The logical references of the table."""
        return self.declaration.references

    @cached_property
    def row_table(self) -> str:
        """The table of row states."""
        return f"_row_{self.name}"

    @cached_property
    def full_text_table(self) -> str | None:
        """The full-text table, where the declaration asks for one."""
        return f"_fts_{self.name}" if self.declaration.full_text else None

    def selections_of(self, alias: str) -> tuple[str, ...]:
        """Return all columns of what is called `alias`, as SQL, an untouched set, counter or document as NULL."""
        return tuple(
            f"{alias}.{name}" if nil is None else f"nullif({alias}.{name}, {nil})"
            for name, nil in zip(self.column_names, self.shown_for_nil, strict=True)
        )

    @cached_property
    def selections(self) -> tuple[str, ...]:
        """`t.a`, `t.b`, … of all columns, an untouched set, counter or document as NULL."""
        return self.selections_of("t")

    @cached_property
    def selected(self) -> str:
        """The selected columns, as SQL takes them."""
        return ", ".join(self.selections)

    @cached_property
    def _holdable_types(self) -> dict[str, frozenset[type]]:
        """The types of values that each stamped column can hold."""
        return {
            column.name: frozenset(
                {_TYPE_OF_VALUES[column.type]}
                if column.default is not None
                else {_TYPE_OF_VALUES[column.type], type(None)}
            )
            for column in self.columns
        }

    def can_hold(self, name: str, code: int, cell: CellState) -> bool:
        """Tell whether a column is declared, merges by strategy `code`, and can show what `cell` holds.

        While it was unknown here, another device may have written to it what its declaration does not allow.
        """
        strategy = self.strategy_by_column.get(name)
        if strategy is None or strategy.code != code:
            return False
        return not isinstance(cell, Register) or type(cell.value) in self._holdable_types[name]

    def selected_as_bytes_of(self, alias: str) -> str:
        """Return the columns of what is called `alias`, texts as their bytes: any can then be read."""
        return ", ".join(
            f"CAST({selection} AS BLOB)" if column.type == "TEXT" else selection
            for column, selection in zip(self.columns, self.selections_of(alias), strict=True)
        )

    @cached_property
    def _decoders(self) -> dict[Layout, Callable[[bytes], Sequence[Sequence[Any]]]]:
        return {}

    def decoder(self, layout: Layout) -> Callable[[bytes], Sequence[Sequence[Any]]]:
        """Return the typed decoder of an array of rows spelled in `layout`.

        A column that is not declared here takes whatever its strategy spells. Raises NewerSchemaError for a strategy
        that is not known here, or another one for a column that is declared.
        """
        if layout not in self._decoders:
            known = {column.name: column for column in self.columns}
            types: list[object] = []
            for name, code in layout:
                if name in known and self.strategy_by_column[name].code == code and not name.startswith("_"):
                    types.append(_payload_type(known[name]))
                else:
                    types.append(_unknown_type(name, code, is_declared=name in known))
            row_type = tuple[(_RowId, _Generation, *types)]  # type: ignore[valid-type]
            self._decoders[layout] = msgspec.msgpack.Decoder(list[row_type]).decode
        return self._decoders[layout]


def _payload_type(column: Column) -> object:
    if column.strategy in _PAYLOAD_TYPE:
        return _PAYLOAD_TYPE[column.strategy]
    python_type = _PYTHON_TYPE[column.type]
    return python_type if column.default is not None else python_type | None  # type: ignore[operator]


def _unknown_type(name: str, code: int, *, is_declared: bool) -> object:
    strategy = STRATEGY_BY_CODE.get(code)
    if strategy is None or is_declared or name.startswith("_"):
        raise NewerSchemaError
    if strategy.name in _PAYLOAD_TYPE:
        return _PAYLOAD_TYPE[strategy.name]
    if not strategy.stamped:
        raise NewerSchemaError
    # msgspec knows no union of text and bytes; `check_values` looks at what came.
    return Any


@dataclass(frozen=True)
class Catalogue:
    """All replicated tables of all components, and those that only a newer version declares (`foreign`, by name)."""

    components: tuple[Component, ...]
    foreign: dict[str, ReplicatedTable] = field(default_factory=dict, compare=False)

    def held_table(self, name: str) -> ReplicatedTable:
        """Return one of `held_tables`; raises KeyError."""
        return self.foreign[name] if name in self.foreign else self.table_by_name[name]

    @property
    def held_tables(self) -> tuple[ReplicatedTable, ...]:
        """All tables of which there are row states, also those that are not declared here."""
        return (*self.tables, *self.foreign.values())

    @cached_property
    def tables(self) -> tuple[ReplicatedTable, ...]:
        """All tables, those that others refer to before them where the declarations are in such order."""
        return tuple(
            ReplicatedTable(table)
            for component in sorted(self.components, key=lambda component: (component.priority, component.name))
            for table in component.tables
        )

    @cached_property
    def table_by_name(self) -> dict[str, ReplicatedTable]:
        """The tables by SQL name."""
        return {table.name: table for table in self.tables}

    @cached_property
    def children(self) -> dict[str, tuple[tuple[ReplicatedTable, Reference], ...]]:
        """For each table those that refer to it."""
        return {
            parent.name: tuple(
                (child, reference)
                for child in self.tables
                for reference in child.references
                if reference.table == parent.name
            )
            for parent in self.tables
        }

    @cached_property
    def schemas(self) -> tuple[tuple[str, int], ...]:
        """(component, version) of all components, as batches carry them."""
        return tuple(sorted((component.name, component.version) for component in self.components))

    def find(self, name: str) -> ReplicatedTable | None:
        """Return the table `name`, declared or foreign, None where there is none."""
        return self.table_by_name.get(name) or self.foreign.get(name)

    def table(self, name: str) -> ReplicatedTable:
        """Return the table `name`, declared or foreign; raises NewerSchemaError where there is none."""
        table = self.find(name)
        if table is None:
            raise NewerSchemaError
        return table


def check_declarations(components: Sequence[Component]) -> None:
    """Raise StorageError for a declaration that could not merge."""
    names = [table.name for component in components for table in component.tables]
    if len(set(names)) != len(names):
        raise StorageError("Two components declare a table of the same name.")
    for component in components:
        for table in component.tables:
            _check_table(component, table, set(names))


def _check_table(component: Component, table: Table, names: set[str]) -> None:
    where = f"Component {component.name}, table {table.name}"
    columns = {column.name: column for column in table.columns}
    if not all(name.isidentifier() and not name.startswith("_") for name in (table.name, *columns)):
        raise StorageError(f"{where}: names are plain and do not begin with an underscore.")
    if component.kind == "plugin" and not table.name.startswith(f"{component.name}_"):
        raise StorageError(f"{where}: a plugin's tables begin with {component.name}_.")
    if len(columns) != len(table.columns) or "id" in columns or not columns:
        raise StorageError(f"{where}: columns are named once, and `id` is added by itself.")
    if not columns.keys() >= set(table.unique_name):
        raise StorageError(f"{where}: a name is made of declared columns.")
    for column in table.columns:
        kind, defaults = _DECLARED_AS.get(column.strategy, (column.type, (column.default,)))
        if column.type != kind or column.default not in defaults:
            choice = " or ".join("no default" if default is None else f"default {default}" for default in defaults)
            raise StorageError(f"{where}: a {column.strategy} is declared as {kind} with {choice}.")
    for reference in table.references:
        child = columns.get(reference.column)
        if child is None or child.type != "BLOB" or child.default is not None or reference.table not in names:
            raise StorageError(
                f"{where}: {reference.column} must be a nullable BLOB column that names a declared table."
            )
        if (reference.on_delete == "cascade") != (child.strategy == "immutable"):
            raise StorageError(f"{where}: a cascading reference is immutable, and no other is.")
        if reference.on_delete == "reparent" and reference.table != table.name:
            raise StorageError(f"{where}: only a reference within one table can be re-parented.")

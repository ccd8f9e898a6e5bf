"""What a component declares of its tables: columns with merge strategies, references, search, migrations."""

from dataclasses import dataclass
from typing import Literal

from sync.streams import Stream

ColumnType = Literal["TEXT", "INTEGER", "REAL", "BLOB"]
StrategyName = Literal["lww", "immutable", "set", "counter", "max", "text", "document", "min"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column and how concurrent versions of it merge; the strategy of a column never changes.

    `default` is an SQL literal; a column is NOT NULL exactly if it has one, so that a row of which only some
    columns are known can always be shown.
    """

    name: str
    type: ColumnType
    strategy: StrategyName
    default: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A logical foreign key, checked at the local write and carried out by generated triggers.

    `cascade` deletes the child (its column is immutable), `set_null` clears the column, `reparent` gives it the
    deleted row's own value of the same column (a thread's reply moves up to the grandparent).
    """

    column: str
    table: str
    on_delete: Literal["cascade", "set_null", "reparent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A replicated table; `id BLOB PRIMARY KEY` is added to the columns.

    `unique_name` are columns by which a person tells rows apart: two rows that bear one name are shown as a clash.
    """

    name: str
    stream: Stream
    columns: tuple[Column, ...]
    references: tuple[Reference, ...] = ()
    indexes: tuple[str, ...] = ()
    full_text: tuple[str, ...] = ()
    natural_key: str | None = None
    unique_name: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One step of a component's layout, applied in one transaction with capture off."""

    version: int
    description: str
    up: tuple[str, ...]
    down: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A named set of tables that is versioned as one."""

    name: str
    version: int
    kind: Literal["core", "plugin"]
    priority: int
    tables: tuple[Table, ...]
    migrations: tuple[Migration, ...] = ()

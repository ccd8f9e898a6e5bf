"""The drill component as two versions of one program declare it: the later one added tables and columns."""

from dataclasses import replace

from node.store.schema import Column, Component, Migration, Table
from simulations.workloads.component import DRILL

_ADDED_TABLES = frozenset({"drill_folders", "drill_reactions"})
#: Of each strategy and referential action one or more, so that a device of the earlier version merges each unseen.
_ADDED_COLUMNS = {
    "drill_items": frozenset({"parent_id", "pinned_id", "size", "tags", "uses", "best"}),
    "drill_comments": frozenset({"reply_to_id", "likes"}),
    "drill_settings": frozenset({"origin", "labels", "latest"}),
    "drill_notes": frozenset({"margin", "weather", "lowest"}),
}


def _is_added(table: Table, column: str) -> bool:
    return column in _ADDED_COLUMNS.get(table.name, ())


def _before(table: Table) -> Table:
    return replace(
        table,
        columns=tuple(column for column in table.columns if not _is_added(table, column.name)),
        references=tuple(reference for reference in table.references if not _is_added(table, reference.column)),
        indexes=(),
    )


def _adding(table: Table, column: Column) -> str:
    default = "" if column.default is None else f" NOT NULL DEFAULT {column.default}"
    return f"ALTER TABLE {table.name} ADD COLUMN {column.name} {column.type}{default}"


_ALTERED = tuple(table for table in DRILL.tables if table.name in _ADDED_COLUMNS)
_ADDED = tuple((table, column) for table in _ALTERED for column in table.columns if _is_added(table, column.name))

EARLIER_DRILL: Component = replace(
    DRILL, tables=tuple(_before(table) for table in DRILL.tables if table.name not in _ADDED_TABLES)
)
LATER_DRILL: Component = replace(
    DRILL,
    version=DRILL.version + 1,
    migrations=(
        Migration(
            version=DRILL.version + 1,
            description="folders, reactions, and what the other tables lacked",
            up=(
                *(_adding(table, column) for table, column in _ADDED),
                *(index for table in _ALTERED for index in table.indexes),
            ),
            down=tuple(f"ALTER TABLE {table.name} DROP COLUMN {column.name}" for table, column in _ADDED),
        ),
    ),
)

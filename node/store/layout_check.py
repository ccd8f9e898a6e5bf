"""Compares the tables on the disk with those that this version declares."""

import re

from node.store.catalogue import Catalogue, ReplicatedTable
from node.store.database import Database
from node.store.schema_registry import internal_statements

_NAME = re.compile(r"CREATE (TABLE|INDEX|UNIQUE INDEX) (\w+)")


def layout_differences(database: Database, catalogue: Catalogue) -> list[str]:
    """Return one sentence for each difference; raises StorageError where the layout cannot be read."""
    present = {
        (kind, name): " ".join((sql or "").split())
        for kind, name, sql in database.query("SELECT type, name, sql FROM sqlite_master")
    }
    found: list[str] = []
    for statement in internal_statements():
        kind, name = _named(statement)
        if (kind, name) not in present:
            found.append(f"The {kind} {name} is missing.")
        elif present[kind, name] != " ".join(statement.split()):
            found.append(f"The {kind} {name} is laid out otherwise than this version does it.")
    for table in catalogue.tables:
        found += _table_differences(database, table, present)
    return found


def _table_differences(database: Database, table: ReplicatedTable, present: dict[tuple[str, str], str]) -> list[str]:
    wanted = {"id": "BLOB"} | {column.name: column.type for column in table.columns}
    columns: dict[str, str] = dict(database.query(f"SELECT name, type FROM pragma_table_info('{table.name}')"))
    found: list[str] = []
    if not columns:
        found.append(f"The table {table.name} is missing.")
    elif columns != wanted:
        names = sorted(name for name in wanted.keys() | columns.keys() if wanted.get(name) != columns.get(name))
        found.append(f"The table {table.name} differs in {', '.join(names)}.")
    wanted_beside = [("table", table.row_table), *(_named(index) for index in table.declaration.indexes)]
    if table.full_text_table is not None:
        wanted_beside.append(("table", table.full_text_table))
    found += [f"The {kind} {name} is missing." for kind, name in wanted_beside if (kind, name) not in present]
    return found


def _named(statement: str) -> tuple[str, str]:
    match = _NAME.match(statement.strip())
    assert match is not None, "declarations begin with CREATE TABLE or CREATE INDEX"
    return ("table" if match.group(1) == "TABLE" else "index"), match.group(2)

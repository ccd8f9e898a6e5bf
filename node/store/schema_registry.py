"""Registers components' schemas: creates and migrates their tables, keeps versions, checksums and history.

Each component's version is its own. A store whose component is newer than the program is refused untouched; a
component whose declaration changed without a new version is schema drift and refused too.
"""

import re
from collections.abc import Sequence
from hashlib import blake2b

import msgspec

from node.errors import NewerStoreError, StorageError
from node.store.catalogue import ReplicatedTable, check_declarations
from node.store.database import Database
from node.store.full_text import layout
from node.store.history import BLOCK_BITS
from node.store.row_state import split_cells
from node.store.schema import Component

FORMAT_VERSION = 2

_INTERNAL = f"""
CREATE TABLE _meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
CREATE TABLE _incarnation (
    number INTEGER PRIMARY KEY, incarnation BLOB NOT NULL UNIQUE, at_milliseconds INTEGER NOT NULL, cause TEXT NOT NULL
) STRICT;
CREATE TABLE _component (
    name TEXT PRIMARY KEY, version INTEGER NOT NULL, kind TEXT NOT NULL, priority INTEGER NOT NULL,
    checksum BLOB NOT NULL
) STRICT;
CREATE TABLE _migration_history (
    number INTEGER PRIMARY KEY, component TEXT NOT NULL, version INTEGER NOT NULL, description TEXT NOT NULL,
    applied_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ'))
) STRICT;
CREATE TABLE _origin (number INTEGER PRIMARY KEY, origin BLOB NOT NULL UNIQUE) STRICT;
CREATE TABLE _stream (stream INTEGER PRIMARY KEY, digest BLOB NOT NULL, rows INTEGER NOT NULL, clock BLOB NOT NULL)
STRICT;
CREATE TABLE _frontier (
    stream INTEGER NOT NULL, origin INTEGER NOT NULL, seq INTEGER NOT NULL, hash BLOB NOT NULL,
    PRIMARY KEY (stream, origin)
) STRICT, WITHOUT ROWID;
CREATE TABLE _log_base (
    stream INTEGER NOT NULL, origin INTEGER NOT NULL, seq INTEGER NOT NULL, prefix BLOB NOT NULL,
    PRIMARY KEY (stream, origin)
) STRICT, WITHOUT ROWID;
CREATE TABLE _snapshot_partial (
    stream INTEGER PRIMARY KEY, table_name TEXT NOT NULL, row_id BLOB NOT NULL, frontier BLOB NOT NULL
) STRICT;
CREATE TABLE _batch (
    position INTEGER PRIMARY KEY, stream INTEGER NOT NULL, origin INTEGER NOT NULL, seq INTEGER NOT NULL,
    hash BLOB NOT NULL, raw BLOB NOT NULL, UNIQUE (stream, origin, seq)
) STRICT;
CREATE TABLE _abandoned (
    stream INTEGER NOT NULL, origin INTEGER NOT NULL, seq INTEGER NOT NULL, hash BLOB NOT NULL,
    into_origin INTEGER NOT NULL, into_seq INTEGER NOT NULL, into_hash BLOB NOT NULL,
    PRIMARY KEY (stream, origin, seq, hash)
) STRICT, WITHOUT ROWID;
CREATE TABLE _fork (
    stream INTEGER NOT NULL, origin INTEGER NOT NULL, seq INTEGER NOT NULL, ours BLOB NOT NULL, theirs BLOB NOT NULL,
    evidence BLOB NOT NULL, at_milliseconds INTEGER NOT NULL, PRIMARY KEY (stream, origin, seq, theirs)
) STRICT, WITHOUT ROWID;
CREATE TABLE _statement (hash BLOB PRIMARY KEY, raw BLOB NOT NULL) STRICT;
CREATE TABLE _conflict (
    key BLOB PRIMARY KEY, table_name TEXT NOT NULL, row_id BLOB NOT NULL, generation INTEGER NOT NULL,
    column_name TEXT NOT NULL, loser BLOB NOT NULL, value BLOB NOT NULL, same INTEGER NOT NULL, settled_by BLOB
) STRICT;
CREATE INDEX _conflict_by_row ON _conflict (row_id);
CREATE TABLE _derived (
    watched_table TEXT NOT NULL, watched BLOB NOT NULL, table_name TEXT NOT NULL, row_id BLOB NOT NULL,
    PRIMARY KEY (watched_table, watched, table_name, row_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX _derived_by_row ON _derived (table_name, row_id);
CREATE TABLE _foreign (name TEXT PRIMARY KEY, stream INTEGER NOT NULL) STRICT;
CREATE TABLE _to_adopt (table_name TEXT PRIMARY KEY) STRICT;
CREATE TABLE _history (
    number INTEGER PRIMARY KEY, table_name TEXT NOT NULL, row_id BLOB NOT NULL, generation INTEGER NOT NULL,
    hlc BLOB NOT NULL, origin INTEGER NOT NULL, seq INTEGER NOT NULL, noted_at INTEGER NOT NULL, differences BLOB
) STRICT;
CREATE INDEX _history_by_row ON _history (number >> {BLOCK_BITS}, row_id);
CREATE INDEX _history_by_age ON _history (noted_at) WHERE differences IS NOT NULL;
CREATE TABLE _to_forget (
    stream INTEGER NOT NULL, origin INTEGER NOT NULL, seq INTEGER NOT NULL, row_id BLOB NOT NULL,
    generation INTEGER NOT NULL, PRIMARY KEY (stream, origin, seq, row_id)
) STRICT, WITHOUT ROWID;
"""

# A time-ordered UUIDv7 for rows that are inserted by plain SQL without an id.
_NEW_ID = (
    "(unhex(printf('%012x', CAST(unixepoch('subsec') * 1000 AS INTEGER)) || '7' || substr(hex(randomblob(2)), 2) ||"
    " substr('89AB', 1 + (random() & 3), 1) || substr(hex(randomblob(8)), 2)))"
)

_ALTERED = re.compile(
    r"\s*(?:ALTER\s+TABLE|CREATE\s+(?:UNIQUE\s+)?INDEX\s+(?:IF\s+NOT\s+EXISTS\s+)?\w+\s+ON)\s+(\w+)", re.IGNORECASE
)


def create_internal_tables(database: Database) -> None:
    """Lay out an empty database, within the open transaction."""
    for statement in internal_statements():
        database.change(statement)


def internal_statements() -> list[str]:
    """Return the statements that lay out the store's own tables."""
    return _INTERNAL.strip().removesuffix(";").split(";\n")


def register_schema(database: Database, components: Sequence[Component]) -> None:
    """Create or migrate the tables of all components, each in a transaction of its own.

    Raises NewerStoreError for a store written by a newer version, StorageError for drift or a failed migration.
    """
    check_declarations(components)
    present: dict[str, int] = dict(database.query("SELECT name, version FROM _component"))
    for component in components:
        # All are asked before the first is migrated: a store that is refused stays as it is.
        _refuse_newer(component, present.get(component.name, 0))
    for component in sorted(components, key=lambda component: (component.priority, component.name)):
        database.begin()
        try:
            _register(database, component)
            database.commit()
        except BaseException:
            database.rollback()
            raise


def _refuse_newer(component: Component, present: int) -> None:
    if present > component.version:
        raise NewerStoreError(
            f"This store's {component.name} schema has version {present}, newer than this program's "
            f"{component.version}. Update Nuthatch on this device; nothing was changed."
        )


def _register(database: Database, component: Component) -> None:
    checksum = blake2b(msgspec.msgpack.encode(component), digest_size=32).digest()
    rows = database.query("SELECT version, checksum FROM _component WHERE name = ?", (component.name,))
    present, known = rows[0] if rows else (0, checksum)
    if present == component.version:
        if known != checksum:
            raise StorageError(
                f"The {component.name} schema was changed without a new version; restore its declaration "
                "or raise its version."
            )
        return
    before = {table.name: _present_columns(database, table.name) for table in component.tables}
    for table in component.tables:
        _take_over(database, ReplicatedTable(table))
    fresh = {table.name for table in component.tables if not _present_columns(database, table.name)}
    for table in component.tables:
        create_table(database, ReplicatedTable(table))
    for migration in component.migrations:
        # What is new is laid out as declared, which is where all migrations have led: a new store as a whole, and in
        # an old one the tables that a version between has added.
        if 0 < present < migration.version <= component.version:
            for statement in migration.up:
                altered = _ALTERED.match(statement)
                if altered is None or altered[1] not in fresh:
                    database.change(statement)
            _note(database, component.name, migration.version, migration.description)
    database.change(
        "INSERT INTO _component VALUES (?, ?, ?, ?, ?) ON CONFLICT(name) DO UPDATE"
        " SET version = excluded.version, kind = excluded.kind, priority = excluded.priority,"
        " checksum = excluded.checksum",
        (component.name, component.version, component.kind, component.priority, checksum),
    )
    _check_layout(database, component)
    for table in component.tables:
        added = {column.name for column in table.columns} - before[table.name].keys()
        if before[table.name] and added:
            _note_unknown(database, ReplicatedTable(table).row_table, sorted(added))
            database.change("INSERT OR IGNORE INTO _to_adopt VALUES (?)", (table.name,))
    if present == 0:
        _note(database, component.name, component.version, "created")


def _note(database: Database, name: str, version: int, description: str) -> None:
    database.change(
        "INSERT INTO _migration_history (component, version, description) VALUES (?, ?, ?)",
        (name, version, description),
    )


def _take_over(database: Database, table: ReplicatedTable) -> None:
    """Make way for a table that newer versions of other devices declared earlier; its row states stay."""
    streams = database.query("SELECT stream FROM _foreign WHERE name = ?", (table.name,))
    if not streams:
        return
    if streams[0][0] != int(table.stream):
        raise StorageError(
            f"Other devices hold {table.name} in another stream than this version. Update Nuthatch here and there to "
            "one version; nothing was changed."
        )
    database.change(f"DROP TABLE main.{table.name}")
    database.change("DELETE FROM _foreign WHERE name = ?", (table.name,))


def create_table(database: Database, table: ReplicatedTable) -> None:
    """Lay out a table, its row states, indexes and full-text index within the open transaction, unless it is there."""
    if database.query("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (table.name,)):
        return
    columns = ", ".join(
        f"{column.name} {column.type}" + ("" if column.default is None else f" NOT NULL DEFAULT {column.default}")
        for column in table.declaration.columns
    )
    database.change(f"CREATE TABLE {table.name} (id BLOB PRIMARY KEY NOT NULL DEFAULT {_NEW_ID}, {columns}) STRICT")
    database.change(
        f"CREATE TABLE IF NOT EXISTS {table.row_table} (id BLOB PRIMARY KEY NOT NULL, generation INTEGER NOT NULL,"
        " hlc BLOB NOT NULL, origin INTEGER NOT NULL, seq INTEGER NOT NULL, cells BLOB, hash BLOB NOT NULL)"
        " STRICT, WITHOUT ROWID"
    )
    for index in table.declaration.indexes:
        database.change(index)
    if table.full_text_table:
        database.change(layout(table))


def _note_unknown(database: Database, row_table: str, columns: Sequence[str]) -> None:
    """Note that living rows know nothing yet of `columns`, which a migration has just added.

    So their states, and with them their hashes, stay what they are on devices that have not migrated.
    """
    database.change(
        f"UPDATE {row_table} SET cells = ? WHERE cells IS NULL AND generation % 2 = 1",
        (msgspec.msgpack.encode(([], {}, sorted(columns), {}, {})),),
    )
    noted = database.query(f"SELECT id, cells FROM {row_table} WHERE cells IS NOT NULL AND generation % 2 = 1")
    changed: list[tuple[bytes, bytes]] = []
    for row_id, cells in noted:
        try:
            stamps, payloads, missing, hidden, unknown = split_cells(cells)
        except msgspec.MsgspecError:
            # The row is damaged, and found so by whoever reads it; a peer's copy will replace it.
            continue
        changed.append(
            (msgspec.msgpack.encode((stamps, payloads, sorted({*missing, *columns}), hidden, unknown)), row_id)
        )
    database.change_many(f"UPDATE {row_table} SET cells = ? WHERE id = ?", changed)


def _present_columns(database: Database, table: str) -> dict[str, str]:
    return {row[0]: row[1] for row in database.query(f"SELECT name, type FROM pragma_table_info('{table}')")}


def _check_layout(database: Database, component: Component) -> None:
    for table in component.tables:
        declared = {"id": "BLOB"} | {column.name: column.type for column in table.columns}
        if _present_columns(database, table.name) != declared:
            raise StorageError(f"After its migrations the table {table.name} is not what {component.name} declares.")

"""Writes an import plan in bounded transactions, adding what is new and leaving alone what is known or was forgotten.

A row whose id exists is unchanged, whatever became of it since: an import never undoes an edit. A row that was
forgotten on any device stays forgotten, and so does everything that hangs on it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from crdt.identifiers import RowId
from node.importers.plan import ImportedRow, ImportPlan
from node.repositories.ports import Database, SqlValue
from node.repositories.rows import insert_rows
from node.repositories.values import read_id
from node.store.schema import Component, Reference, Table

ROWS_PER_TRANSACTION = 1_000
#: A transaction becomes a signed batch, which has at most 8 MiB; what is added to the text is far less than this.
BYTES_PER_TRANSACTION = 2 * 1024 * 1024
_IDS_PER_QUERY = 500

_Key = tuple[str, RowId]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """How many rows were added, were there already, and were skipped because they had been forgotten."""

    added: int
    unchanged: int
    skipped: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportProgress:
    """How far an import is; `report` counts what is done so far."""

    done: int
    total: int
    report: ImportReport


def write_plan(database: Database, components: Sequence[Component], plan: ImportPlan) -> Iterator[ImportProgress]:
    """Write the plan, yielding after each transaction; the last progress is the whole.

    Between two transactions the caller may do other work. What is interrupted is completed by importing again.
    """
    tables = {table.name: table for component in components for table in component.tables}
    known = _known(database, plan.rows)
    forgotten = _forgotten(database, plan.rows)
    fresh, skipped = _fresh(database, tables, plan.rows, known, forgotten)
    unchanged = len(plan.rows) - len(fresh) - skipped
    ordered, late_parents = _parents_first(fresh, tables)
    done = 0
    for part in _parts(ordered):
        with database.transaction() as transaction:
            for table, columns, rows in _statements(part):
                insert_rows(transaction, table, columns, rows)
        done += len(part)
        yield _progress(done, unchanged, skipped, len(plan.rows))
    if late_parents:
        with database.transaction() as transaction:
            for row, column, parent in late_parents:
                transaction.execute(f"UPDATE {row.table} SET {column} = ? WHERE id = ?", (parent, row.id))
    yield _progress(done, unchanged, skipped, len(plan.rows))


def _progress(added: int, unchanged: int, skipped: int, total: int) -> ImportProgress:
    report = ImportReport(added=added, unchanged=unchanged, skipped=skipped)
    return ImportProgress(done=added + unchanged + skipped, total=total, report=report)


def _ids_by_table(rows: Sequence[ImportedRow]) -> dict[str, list[RowId]]:
    ids: dict[str, list[RowId]] = {}
    for row in rows:
        ids.setdefault(row.table, []).append(row.id)
    return ids


def _known(database: Database, rows: Sequence[ImportedRow]) -> set[_Key]:
    return {
        (table, row_id)
        for table, row_ids in _ids_by_table(rows).items()
        for row_id in _existing(database, table, row_ids)
    }


def _existing(database: Database, table: str, row_ids: Sequence[RowId]) -> set[RowId]:
    found: set[RowId] = set()
    for start in range(0, len(row_ids), _IDS_PER_QUERY):
        part = row_ids[start : start + _IDS_PER_QUERY]
        places = ", ".join("?" * len(part))
        found.update(read_id(row[0]) for row in database.query(f"SELECT id FROM {table} WHERE id IN ({places})", part))
    return found


def _forgotten(database: Database, rows: Sequence[ImportedRow]) -> set[_Key]:
    return {
        (table, row_id)
        for table, row_ids in _ids_by_table(rows).items()
        for row_id in database.is_forgotten(table, row_ids)
    }


def _fresh(
    database: Database,
    tables: Mapping[str, Table],
    rows: Sequence[ImportedRow],
    known: set[_Key],
    forgotten: set[_Key],
) -> tuple[list[ImportedRow], int]:
    """Return the rows to add, with their references mended, and how many are skipped."""
    candidates = [row for row in rows if (row.table, row.id) not in known and (row.table, row.id) not in forgotten]
    standing = known | _standing_parents(database, tables, candidates)
    skipped = len(forgotten - known)
    while True:
        present = standing | {(row.table, row.id) for row in candidates}
        kept = [row for row in candidates if not _hangs_on_nothing(row, tables[row.table], present)]
        skipped += len(candidates) - len(kept)
        if len(kept) == len(candidates):
            return [_mended(row, tables[row.table], present) for row in kept], skipped
        candidates = kept


def _standing_parents(database: Database, tables: Mapping[str, Table], rows: Sequence[ImportedRow]) -> set[_Key]:
    wanted: dict[str, set[RowId]] = {}
    for row in rows:
        for reference in tables[row.table].references:
            parent = row.cells.get(reference.column)
            if isinstance(parent, bytes):
                wanted.setdefault(reference.table, set()).add(RowId(parent))
    return {
        (table, row_id) for table, row_ids in wanted.items() for row_id in _existing(database, table, sorted(row_ids))
    }


def _missing(row: ImportedRow, reference: Reference, present: set[_Key]) -> bool:
    parent = row.cells.get(reference.column)
    return isinstance(parent, bytes) and (reference.table, RowId(parent)) not in present


def _hangs_on_nothing(row: ImportedRow, table: Table, present: set[_Key]) -> bool:
    return any(_missing(row, reference, present) for reference in table.references if reference.on_delete == "cascade")


def _mended(row: ImportedRow, table: Table, present: set[_Key]) -> ImportedRow:
    """Clear what the row refers to and is not there, as its deletion would have."""
    missing = [reference.column for reference in table.references if _missing(row, reference, present)]
    return replace(row, cells={**row.cells, **dict.fromkeys(missing)}) if missing else row


def _parents_first(
    rows: Sequence[ImportedRow], tables: Mapping[str, Table]
) -> tuple[list[ImportedRow], list[tuple[ImportedRow, str, RowId]]]:
    """Return the rows so that what a row refers to comes before it.

    Replies can have been made to answer each other in a circle by devices apart; a reference that closes a circle is
    left out and returned separately, to be written when all rows stand.
    """
    row_by_key = {(row.table, row.id): row for row in rows}
    written: set[_Key] = set()
    ordered: list[ImportedRow] = []
    late: list[tuple[ImportedRow, str, RowId]] = []
    for row in rows:
        chain: set[_Key] = set()
        pending = [(row.table, row.id)]
        while pending:
            key = pending[-1]
            current = row_by_key[key]
            if key in written:
                pending.pop()
                continue
            parents = _parents_in(current, tables[current.table], row_by_key, written)
            open_parents = [(column, parent) for column, parent in parents if parent not in chain and parent != key]
            chain.add(key)
            if open_parents:
                pending.append(open_parents[0][1])
                continue
            late.extend((current, column, parent[1]) for column, parent in parents)
            left_out = {column: None for column, _ in parents}
            ordered.append(replace(current, cells={**current.cells, **left_out}) if left_out else current)
            written.add(key)
            chain.discard(key)
            pending.pop()
    return ordered, late


def _parents_in(
    row: ImportedRow, table: Table, row_by_key: Mapping[_Key, ImportedRow], written: set[_Key]
) -> list[tuple[str, _Key]]:
    parents: list[tuple[str, _Key]] = []
    for reference in table.references:
        parent = row.cells.get(reference.column)
        if isinstance(parent, bytes):
            key = (reference.table, RowId(parent))
            if key in row_by_key and key not in written:
                parents.append((reference.column, key))
    return parents


def _parts(rows: Sequence[ImportedRow]) -> Iterator[list[ImportedRow]]:
    part: list[ImportedRow] = []
    size = 0
    for row in rows:
        row_bytes = sum(_size(value) for value in row.cells.values())
        if part and (len(part) == ROWS_PER_TRANSACTION or size + row_bytes > BYTES_PER_TRANSACTION):
            yield part
            part, size = [], 0
        part.append(row)
        size += row_bytes
    if part:
        yield part


def _size(value: SqlValue) -> int:
    match value:
        case str():
            return len(value.encode())
        case bytes():
            return len(value)
        case _:
            return 8


def _statements(
    part: Sequence[ImportedRow],
) -> Iterator[tuple[str, tuple[str, ...], list[tuple[SqlValue, ...]]]]:
    """Return the rows grouped by table and by the columns they name, in an order in which parents come first."""
    groups: dict[tuple[str, tuple[str, ...]], list[tuple[SqlValue, ...]]] = {}
    for row in part:
        cells = {column: value for column, value in row.cells.items() if value is not None}
        groups.setdefault((row.table, ("id", *cells)), []).append((row.id, *cells.values()))
    # References are checked at the end of the transaction, so the order of groups within it does not matter.
    for (table, columns), rows in groups.items():
        yield table, columns, rows

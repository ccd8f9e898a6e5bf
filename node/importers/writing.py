"""Writes an import plan in bounded transactions, adding what is new and leaving alone what is known or was forgotten.

A row whose id exists is unchanged, whatever became of it since: an import never undoes an edit. A row that was
forgotten on any device stays forgotten, and so does everything that hangs on it.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from crdt.identifiers import RowId
from node.errors import InputError
from node.importers.plan import ImportedRow, ImportPlan
from node.repositories.ports import Database, SqlValue
from node.repositories.values import read_id
from node.store.schema import Component, Reference, Table

ROWS_PER_TRANSACTION = 1_000
#: A transaction becomes a signed batch, which has at most 8 MiB; what is added to the text is far less than this.
BYTES_PER_TRANSACTION = 2 * 1024 * 1024
#: A row alone in its transaction still has to fit in one batch.
ROW_BYTES_MAX = 6 * 1024 * 1024
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

    Between two transactions the caller may do other work, and peers may bring or forget rows of the same file: what
    is there is looked up anew for each transaction. What is interrupted is completed by importing again.
    """
    for row in plan.rows:
        if (row_bytes := _row_bytes(row)) > ROW_BYTES_MAX:
            raise InputError(
                f"A row of {row.table} takes {row_bytes / 2**20:.1f} MiB; the most is {ROW_BYTES_MAX // 2**20} MiB. "
                "Nothing was imported."
            )
    tables = {table.name: table for component in components for table in component.tables}
    ordered, late_parents = _parents_first(plan.rows, tables)
    added: set[_Key] = set()
    unchanged = skipped = 0
    for part in _parts(ordered):
        fresh, known_count, skipped_count = _fresh(database, tables, part)
        unchanged, skipped = unchanged + known_count, skipped + skipped_count
        if fresh:
            with database.transaction() as transaction:
                for table, columns, rows in _statements(fresh):
                    transaction.insert_rows(table, columns, rows)
            added.update((row.table, row.id) for row in fresh)
        yield _progress(len(added), unchanged, skipped, len(plan.rows))
    _write_late_parents(database, [late for late in late_parents if (late[0].table, late[0].id) in added])
    yield _progress(len(added), unchanged, skipped, len(plan.rows))


def _progress(added: int, unchanged: int, skipped: int, total: int) -> ImportProgress:
    report = ImportReport(added=added, unchanged=unchanged, skipped=skipped)
    return ImportProgress(done=added + unchanged + skipped, total=total, report=report)


def _fresh(
    database: Database, tables: Mapping[str, Table], part: Sequence[ImportedRow]
) -> tuple[list[ImportedRow], int, int]:
    """Return the rows to add, with their references mended, and how many are known and how many are skipped."""
    ids_by_table: dict[str, set[RowId]] = {}
    for row in part:
        ids_by_table.setdefault(row.table, set()).add(row.id)
    known = _existing(database, ids_by_table)
    forgotten = {
        (table, row_id)
        for table, row_ids in ids_by_table.items()
        for row_id in database.is_forgotten(table, sorted(row_ids))
    } - known
    candidates = [row for row in part if (row.table, row.id) not in known and (row.table, row.id) not in forgotten]
    standing = known | _existing(database, _parent_ids(tables, candidates))
    while True:
        present = standing | {(row.table, row.id) for row in candidates}
        kept = [row for row in candidates if not _hangs_on_nothing(row, tables[row.table], present)]
        if len(kept) == len(candidates):
            mended = [_mended(row, tables[row.table], present) for row in kept]
            return mended, len(known), len(part) - len(known) - len(kept)
        candidates = kept


def _existing(database: Database, ids_by_table: Mapping[str, Collection[RowId]]) -> set[_Key]:
    found: set[_Key] = set()
    for table, row_ids in ids_by_table.items():
        ordered = sorted(row_ids)
        for start in range(0, len(ordered), _IDS_PER_QUERY):
            some = ordered[start : start + _IDS_PER_QUERY]
            places = ", ".join("?" * len(some))
            rows = database.query(f"SELECT id FROM {table} WHERE id IN ({places})", some)
            found.update((table, read_id(row[0])) for row in rows)
    return found


def _parent_ids(tables: Mapping[str, Table], rows: Sequence[ImportedRow]) -> dict[str, set[RowId]]:
    wanted: dict[str, set[RowId]] = {}
    for row in rows:
        for reference in tables[row.table].references:
            parent = row.cells.get(reference.column)
            if isinstance(parent, bytes):
                wanted.setdefault(reference.table, set()).add(RowId(parent))
    return wanted


def _write_late_parents(database: Database, late_parents: Sequence[tuple[ImportedRow, Reference, RowId]]) -> None:
    """Close the circles of references whose rows stand by now."""
    parents: dict[str, set[RowId]] = {}
    for _, reference, parent in late_parents:
        parents.setdefault(reference.table, set()).add(parent)
    standing = _existing(database, parents)
    closing = [late for late in late_parents if (late[1].table, late[2]) in standing]
    if closing:
        with database.transaction() as transaction:
            for row, reference, parent in closing:
                sql = f"UPDATE {row.table} SET {reference.column} = ? WHERE id = ?"
                transaction.execute(sql, (parent, row.id))


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
) -> tuple[list[ImportedRow], list[tuple[ImportedRow, Reference, RowId]]]:
    """Return the rows so that what a row refers to comes before it.

    Replies can have been made to answer each other in a circle by devices apart; a reference that closes a circle is
    left out and returned separately, to be written when all rows stand.
    """
    row_by_key = {(row.table, row.id): row for row in rows}
    written: set[_Key] = set()
    ordered: list[ImportedRow] = []
    late: list[tuple[ImportedRow, Reference, RowId]] = []
    for first in rows:
        chain: set[_Key] = set()
        pending = [(first.table, first.id)]
        while pending:
            key = pending[-1]
            if key in written:
                pending.pop()
                continue
            chain.add(key)
            row = row_by_key[key]
            unwritten = _unwritten_parents(row, tables[row.table], row_by_key, written)
            ahead = next((parent for _, parent in unwritten if parent not in chain), None)
            if ahead is not None:
                pending.append(ahead)
                continue
            late.extend((row, reference, parent[1]) for reference, parent in unwritten)
            left_out = {reference.column: None for reference, _ in unwritten}
            ordered.append(replace(row, cells={**row.cells, **left_out}) if left_out else row)
            written.add(key)
            chain.discard(key)
            pending.pop()
    return ordered, late


def _unwritten_parents(
    row: ImportedRow, table: Table, row_by_key: Mapping[_Key, ImportedRow], written: set[_Key]
) -> list[tuple[Reference, _Key]]:
    parents: list[tuple[Reference, _Key]] = []
    for reference in table.references:
        parent = row.cells.get(reference.column)
        if isinstance(parent, bytes):
            key = (reference.table, RowId(parent))
            if key in row_by_key and key not in written:
                parents.append((reference, key))
    return parents


def _parts(rows: Sequence[ImportedRow]) -> Iterator[list[ImportedRow]]:
    part: list[ImportedRow] = []
    size = 0
    for row in rows:
        row_bytes = _row_bytes(row)
        if part and (len(part) == ROWS_PER_TRANSACTION or size + row_bytes > BYTES_PER_TRANSACTION):
            yield part
            part, size = [], 0
        part.append(row)
        size += row_bytes
    if part:
        yield part


def _row_bytes(row: ImportedRow) -> int:
    return sum(_size(value) for value in row.cells.values())


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

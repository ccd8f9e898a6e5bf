"""Writes an import plan in bounded transactions, adding what is new and leaving alone what is known or was forgotten.

A row whose id exists is unchanged, whatever became of it since: an import never undoes an edit. A row that was
forgotten on any device stays forgotten, and so does everything that hangs on it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from crdt.identifiers import RowId
from node.errors import InputError
from node.importers.fresh_rows import existing_rows
from node.importers.plan import ImportedRow, ImportPlan, RowKey
from node.importers.record_writing import RecordWriter
from node.importers.transactions import ROW_BYTES_MAX, parts_of, row_size_bytes
from node.repositories.ports import Database
from node.store.schema import Component, Reference, Table


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """How many rows were added, were there already, and were skipped because they had been forgotten."""

    added: int
    unchanged: int
    skipped: int
    added_by_table: Mapping[str, int] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportProgress:
    """How far an import is; `report` counts what is done so far."""

    done: int
    total: int
    report: ImportReport


def write_plan(
    database: Database, components: Sequence[Component], plan: ImportPlan, *, rehearsal: bool = False
) -> Iterator[ImportProgress]:
    """Write the plan, yielding after each transaction; the last progress is the whole. A rehearsal only counts.

    Between two transactions the caller may do other work, and peers may bring or forget rows of the same file: what
    is there is looked up anew for each transaction. What is interrupted is completed by importing again.
    """
    for row in plan.rows:
        if (row_bytes := row_size_bytes(row)) > ROW_BYTES_MAX:
            raise InputError(
                f"A row of {row.table} takes {row_bytes / 2**20:.1f} MiB; the most is {ROW_BYTES_MAX // 2**20} MiB. "
                "Nothing was imported."
            )
    tables = {table.name: table for component in components for table in component.tables}
    ordered, late_parents = _parents_first(plan.rows, tables)
    writer = RecordWriter(database, components, rehearsal=rehearsal)
    late_keys = {(row.table, row.id) for row, _, _ in late_parents}
    added_late: set[RowKey] = set()
    for part in parts_of(ordered):
        added = writer.write_part(part)
        added_late.update(key for row in added if (key := (row.table, row.id)) in late_keys)
        yield _progress(writer, len(plan.rows))
    if not rehearsal:
        _write_late_parents(database, [late for late in late_parents if (late[0].table, late[0].id) in added_late])
    yield _progress(writer, len(plan.rows))


def _progress(writer: RecordWriter, total: int) -> ImportProgress:
    report = ImportReport(
        added=writer.added_by_table.total(),
        unchanged=writer.unchanged,
        skipped=writer.skipped,
        added_by_table=dict(writer.added_by_table),
    )
    return ImportProgress(done=writer.rows_done, total=total, report=report)


def _write_late_parents(database: Database, late_parents: Sequence[tuple[ImportedRow, Reference, RowId]]) -> None:
    """Close the circles of references whose rows stand by now."""
    parents: dict[str, set[RowId]] = {}
    for _, reference, parent in late_parents:
        parents.setdefault(reference.table, set()).add(parent)
    standing = existing_rows(database, parents)
    closing = [late for late in late_parents if (late[1].table, late[2]) in standing]
    if closing:
        with database.transaction() as transaction:
            for row, reference, parent in closing:
                sql = f"UPDATE {row.table} SET {reference.column} = ? WHERE id = ?"
                transaction.execute(sql, (parent, row.id))


def _parents_first(
    rows: Sequence[ImportedRow], tables: Mapping[str, Table]
) -> tuple[list[ImportedRow], list[tuple[ImportedRow, Reference, RowId]]]:
    """Return the rows so that what a row refers to comes before it.

    Replies can have been made to answer each other in a circle by devices apart; a reference that closes a circle is
    left out and returned separately, to be written when all rows stand.
    """
    row_by_key = {(row.table, row.id): row for row in rows}
    written: set[RowKey] = set()
    ordered: list[ImportedRow] = []
    late: list[tuple[ImportedRow, Reference, RowId]] = []
    for first in rows:
        chain: set[RowKey] = set()
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
    row: ImportedRow, table: Table, row_by_key: Mapping[RowKey, ImportedRow], written: set[RowKey]
) -> list[tuple[Reference, RowKey]]:
    parents: list[tuple[Reference, RowKey]] = []
    for reference in table.references:
        parent = row.cells.get(reference.column)
        if isinstance(parent, bytes):
            key = (reference.table, RowId(parent))
            if key in row_by_key and key not in written:
                parents.append((reference, key))
    return parents

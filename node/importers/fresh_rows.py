"""Tells which rows of an import are new: not there yet, not forgotten on any device, not hanging on what is gone."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from crdt.identifiers import RowId
from node.importers.plan import ImportedRow, RowKey
from node.repositories.ports import Database, SqlValue
from node.repositories.values import read_id
from node.store.schema import Reference, Table

_IDS_PER_QUERY = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshRows:
    """The rows to add, with their references mended; which of the others are there, and how many stay forgotten."""

    rows: Sequence[ImportedRow]
    known: frozenset[RowKey]
    skipped: int


def fresh_rows(
    database: Database,
    tables: Mapping[str, Table],
    part: Sequence[ImportedRow],
    *,
    as_if_there: Collection[RowKey] = frozenset(),
) -> FreshRows:
    """Return what is new of rows with ids that differ.

    `as_if_there` are rows that the same import would have added by now, were it no rehearsal.
    """
    ids_by_table: dict[str, set[RowId]] = {}
    for row in part:
        ids_by_table.setdefault(row.table, set()).add(row.id)
    known = existing_rows(database, ids_by_table)
    forgotten = {
        (table, row_id)
        for table, row_ids in ids_by_table.items()
        for row_id in database.is_forgotten(table, sorted(row_ids))
    } - known
    candidates = [row for row in part if (row.table, row.id) not in known and (row.table, row.id) not in forgotten]
    standing = known | set(as_if_there) | existing_rows(database, _parent_ids(tables, candidates))
    while True:
        present = standing | {(row.table, row.id) for row in candidates}
        kept = [row for row in candidates if not _hangs_on_nothing(row, tables[row.table], present)]
        if len(kept) == len(candidates):
            row_by_key = {(row.table, row.id): row for row in part}
            mended = [_mended(row, tables[row.table], present, row_by_key) for row in kept]
            skipped = len(part) - len(known) - len(kept)
            return FreshRows(rows=mended, known=frozenset(known), skipped=skipped)
        candidates = kept


def existing_rows(database: Database, ids_by_table: Mapping[str, Collection[RowId]]) -> set[RowKey]:
    """Return those of the rows that are in the store."""
    found: set[RowKey] = set()
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


def _missing(row: ImportedRow, reference: Reference, present: set[RowKey]) -> bool:
    parent = row.cells.get(reference.column)
    return isinstance(parent, bytes) and (reference.table, RowId(parent)) not in present


def _hangs_on_nothing(row: ImportedRow, table: Table, present: set[RowKey]) -> bool:
    return any(_missing(row, reference, present) for reference in table.references if reference.on_delete == "cascade")


def _mended(
    row: ImportedRow, table: Table, present: set[RowKey], row_by_key: Mapping[RowKey, ImportedRow]
) -> ImportedRow:
    """Change what the row refers to and is not there, as its deletion would have."""
    changed: dict[str, SqlValue] = {}
    for reference in table.references:
        if _missing(row, reference, present):
            again = reference.on_delete == "reparent"
            changed[reference.column] = _next_present(row, reference, present, row_by_key) if again else None
    return replace(row, cells={**row.cells, **changed}) if changed else row


def _next_present(
    row: ImportedRow, reference: Reference, present: set[RowKey], row_by_key: Mapping[RowKey, ImportedRow]
) -> RowId | None:
    """Return the nearest of the row's ancestors that is there: a reply to what was forgotten moves up."""
    passed: set[RowKey] = set()
    step: ImportedRow | None = row
    while step is not None:
        parent = step.cells.get(reference.column)
        key = (reference.table, RowId(parent)) if isinstance(parent, bytes) else None
        if key is None or key in passed:
            return None
        if key in present:
            return key[1]
        passed.add(key)
        step = row_by_key.get(key)
    return None

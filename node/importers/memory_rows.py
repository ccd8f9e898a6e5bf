"""Makes rows of memories that other programs kept."""

from collections.abc import Iterable, Mapping

from crdt.identifiers import RowId
from node.importers.plan import ImportedRecord, ImportedRow, LeftOut, row_problem
from node.importers.transactions import ROW_BYTES_MAX, row_size_bytes
from node.repositories.memories import IMPORTANCE_MAX, IMPORTANCE_MIN
from node.repositories.ports import SqlValue
from node.repositories.values import instant_text, strings_to_json, to_json


def memory_row(
    row_id: RowId,
    *,
    content: str,
    source: str | None,
    kind: str = "fact",
    title: str | None = None,
    namespace: str | None = None,
    importance: int | None = None,
    tags: Iterable[str] = (),
    metadata: Mapping[str, object] | None = None,
    project_id: RowId | None = None,
    person_id: RowId | None = None,
    archived: bool = False,
    created_milliseconds: int | None = None,
    updated_milliseconds: int | None = None,
) -> ImportedRow:
    """Return the row of one memory.

    A memory without a time gets none: the time of the import would differ from device to device, and with it the row.
    """
    updated = created_milliseconds if updated_milliseconds is None else updated_milliseconds
    cells: dict[str, SqlValue] = {
        "kind": kind,
        "title": title,
        "content": content,
        "namespace": namespace,
        "importance": importance,
        "tags": strings_to_json(tags),
        "metadata": to_json(metadata) if metadata else None,
        "source": source,
        "project_id": project_id,
        "person_id": person_id,
        "status": "archived" if archived else None,
        "created_at": None if created_milliseconds is None else instant_text(created_milliseconds),
        "updated_at": None if updated is None else instant_text(updated),
    }
    return ImportedRow(table="memories", id=row_id, cells=cells)


def importance_of(value: object) -> int | None:
    """Return an importance from 1 to 10 that another program wrote, None if it is none."""
    try:
        number = int(value) if isinstance(value, int | str) and not isinstance(value, bool) else None
    except ValueError:
        return None
    return number if number is not None and IMPORTANCE_MIN <= number <= IMPORTANCE_MAX else None


def whole_record(rows: Iterable[ImportedRow], place: str, content: bytes) -> ImportedRecord | LeftOut:
    """Return rows that are imported together or, where the database cannot hold one of them, left out together."""
    kept = tuple(rows)
    for row in kept:
        problem = row_problem(row)
        if problem is None and row_size_bytes(row) > ROW_BYTES_MAX:
            problem = f"it takes more than {ROW_BYTES_MAX // 2**20} MiB"
        if problem is not None:
            return LeftOut(place=place, problem=problem, content=content)
    return ImportedRecord(rows=kept)

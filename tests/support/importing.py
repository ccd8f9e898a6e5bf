"""Imports files of other programs into a store of a test, as an operation does."""

import zipfile
from collections.abc import Mapping
from pathlib import Path

from node.importers import record_importer_by_format
from node.importers.batches import batches
from node.importers.documents import documents_at
from node.importers.plan import ImportedRow, LeftOut
from node.importers.recognition import recognised_format
from node.importers.record_writing import RecordWriter
from node.repositories.ports import SqlRow
from node.schemas import CORE_COMPONENTS
from node.store.store import Store

FIXTURES = Path(__file__).parents[1] / "fixtures" / "imports"


def read_records(path: Path) -> tuple[str, list[ImportedRow], list[LeftOut]]:
    """Return format, rows and what was left out of what is at a path, without a store."""
    documents = documents_at(path)
    importers = record_importer_by_format()
    name = recognised_format(documents, sorted(importers))
    rows: list[ImportedRow] = []
    left_out: list[LeftOut] = []
    for batch in batches(importers[name], importers[name].wanted(documents)):
        rows += [row for record in batch.records for row in record.rows]
        left_out += batch.left_out
    return name, rows, left_out


def import_records(store: Store, path: Path, *, rehearsal: bool = False) -> RecordWriter:
    """Import what is at a path and return the writer with its counts; nothing may be left out."""
    documents = documents_at(path)
    importers = record_importer_by_format()
    importer = importers[recognised_format(documents, sorted(importers))]
    writer = RecordWriter(store, CORE_COMPONENTS, rehearsal=rehearsal)
    for batch in batches(importer, importer.wanted(documents)):
        assert not batch.left_out, batch.left_out
        writer.write(batch.records)
    return writer


def everything(store: Store) -> Mapping[str, list[SqlRow]]:
    """Return all rows of all tables that have any."""
    names = [table.name for component in CORE_COMPONENTS for table in component.tables]
    found = {name: list(store.query(f"SELECT * FROM {name} ORDER BY id")) for name in names}
    return {name: rows for name, rows in found.items() if rows}


def zipped(folder: Path, archive: Path) -> Path:
    """Pack a folder as programs send their exports."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                file.write(path, path.relative_to(folder).as_posix())
    return archive

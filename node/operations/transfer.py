"""Importing a file into the store, and exporting everything out of it, without keeping the node from its other work."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

from node.errors import InputError, UsageError
from node.exporters.jsonl import export_lines
from node.importers import importer_by_format
from node.importers.plan import ImportPlan
from node.importers.writing import write_plan
from node.requests import ExportLine, ExportRequest, Imported, ImportEvent, ImportProgress, ImportRequest
from node.schemas import CORE_COMPONENTS
from node.service import Service

# Other work gets its turn after so many lines: some milliseconds.
_LINES_PER_TURN = 200


async def import_file(service: Service, request: ImportRequest) -> AsyncGenerator[ImportEvent, None]:
    """Import a file that was read and checked whole before the first row is written.

    Raises `InputError` that names line and field for a malformed file, `UsageError` for an unknown format.
    """
    # Reading and checking take seconds for a large file and touch no store, so they need not stop the event loop.
    plan = await asyncio.to_thread(_plan, request.format, Path(request.path))
    added = unchanged = skipped = 0
    for progress in write_plan(service.store, CORE_COMPONENTS, plan):
        report = progress.report
        added, unchanged, skipped = report.added, report.unchanged, report.skipped
        yield ImportProgress(done=progress.done, total=progress.total)
        await asyncio.sleep(0)
    yield Imported(added=added, unchanged=unchanged, skipped=skipped)


async def export_records(service: Service, request: ExportRequest) -> AsyncGenerator[ExportLine, None]:
    """Yield the lines of an export that, imported elsewhere, gives the same records with the same ids."""
    if request.format != "jsonl":
        raise UsageError(f"There is no export format {request.format!r}; there is jsonl.")
    # Taken in one go: while others write between two lines, an export would show no single moment.
    lines = list(export_lines(service.store, CORE_COMPONENTS))
    for number, line in enumerate(lines, 1):
        yield ExportLine(line=line.removesuffix("\n"))
        if number % _LINES_PER_TURN == 0:
            await asyncio.sleep(0)


def _plan(format_name: str, path: Path) -> ImportPlan:
    importers = importer_by_format(CORE_COMPONENTS)
    importer = importers.get(format_name)
    if importer is None:
        known = ", ".join(sorted(importers))
        raise UsageError(f"There is no import format {format_name!r}; there are {known}.")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"The file {path} cannot be read: {error.strerror}. Nothing was imported.") from error
    return importer.read(content, path.name)

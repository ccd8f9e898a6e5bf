"""Importing what other programs kept, and exports, without keeping the node from its other work."""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from pathlib import Path

from node.errors import InputError, UsageError
from node.importers import importer_by_format, record_importer_by_format
from node.importers.batches import Batch, batches
from node.importers.documents import Document, documents_at
from node.importers.left_out_file import LeftOutFile
from node.importers.plan import Importer, ImportPlan, LeftOut, RecordImporter
from node.importers.recognition import recognised_format
from node.importers.record_writing import RecordWriter
from node.importers.writing import write_plan
from node.requests import (
    Imported,
    ImportEvent,
    ImportProgress,
    ImportRequest,
    LeftOutRecord,
)
from node.schemas import CORE_COMPONENTS
from node.service import Service

_PROBLEMS_TOLD = 20


async def import_file(service: Service, request: ImportRequest) -> AsyncGenerator[ImportEvent, None]:
    """Import what is at a path.

    Our own formats are read and checked whole before the first row is written; of what other programs wrote each record
    stands for itself. Raises `InputError` for what cannot be read (with line and field), `UsageError` for an unknown
    format.
    """
    whole, by_record = importer_by_format(CORE_COMPONENTS), record_importer_by_format()
    formats = sorted((*whole, *by_record))
    if request.format is not None and request.format not in formats:
        raise UsageError(f"There is no import format {request.format!r}; there are {', '.join(formats)}.")
    # Reading takes long for a large file and touches no store, so it need not stop the event loop.
    documents = await asyncio.to_thread(documents_at, Path(request.path))
    name = request.format
    if name is None:
        name = await asyncio.to_thread(recognised_format, documents, formats)
    if name in by_record:
        events = _import_records(service, request, name, by_record[name], documents)
    else:
        events = _import_whole(service, request, name, whole[name], documents)
    async for event in events:
        yield event


async def _import_whole(
    service: Service, request: ImportRequest, name: str, importer: Importer, documents: Sequence[Document]
) -> AsyncGenerator[ImportEvent, None]:
    plan = await asyncio.to_thread(_plan, importer, documents)
    began = service.clock.monotonic_seconds()
    added_by_table: dict[str, int] = {}
    added = unchanged = skipped = 0
    for progress in write_plan(service.store, CORE_COMPONENTS, plan, rehearsal=request.dry_run):
        report = progress.report
        added, unchanged, skipped = report.added, report.unchanged, report.skipped
        added_by_table = dict(report.added_by_table)
        rate = _rate(service, began, progress.done)
        yield ImportProgress(done=progress.done, total=progress.total, rows=progress.done, rows_per_second=rate)
        await asyncio.sleep(0)
    yield Imported(
        format=name,
        added=added,
        unchanged=unchanged,
        skipped=skipped,
        added_by_table=added_by_table,
        dry_run=request.dry_run,
    )


async def _import_records(
    service: Service, request: ImportRequest, name: str, importer: RecordImporter, documents: Sequence[Document]
) -> AsyncGenerator[ImportEvent, None]:
    wanted = importer.wanted(documents)
    if not wanted:
        raise InputError(f"There is nothing of the format {name} in {Path(request.path).name}. Nothing was imported.")
    total = sum(document.size_bytes for document in wanted)
    writer = RecordWriter(service.store, CORE_COMPONENTS, rehearsal=request.dry_run)
    aside = _Aside(LeftOutFile(Path(request.path), service.home.directory), writes=not request.dry_run)
    reading = batches(importer, wanted)
    began = service.clock.monotonic_seconds()
    try:
        while (batch := await asyncio.to_thread(_next, reading)) is not None:
            writer.write(batch.records)
            for left_out in batch.left_out:
                aside.add(left_out)
            rate = _rate(service, began, writer.rows_done)
            yield ImportProgress(
                done=min(batch.done_bytes, total),
                total=total,
                unit="bytes",
                rows=writer.rows_done,
                rows_per_second=rate,
            )
        kept_at = aside.file.keep()
    finally:
        aside.file.discard()
    yield Imported(
        format=name,
        added=writer.added_by_table.total(),
        unchanged=writer.unchanged,
        skipped=writer.skipped,
        added_by_table=dict(writer.added_by_table),
        left_out=aside.count,
        problems=aside.problems,
        left_out_file=None if kept_at is None else str(kept_at),
        dry_run=request.dry_run,
    )


class _Aside:
    """What an import left out: the first few to tell, all of them in a file, unless nothing is to be written."""

    def __init__(self, file: LeftOutFile, *, writes: bool) -> None:
        self.file = file
        self._writes = writes
        self.count = 0
        self.problems: list[LeftOutRecord] = []

    def add(self, left_out: LeftOut) -> None:
        self.count += 1
        if len(self.problems) < _PROBLEMS_TOLD:
            self.problems.append(LeftOutRecord(place=left_out.place, problem=left_out.problem))
        if self._writes:
            self.file.add(left_out)


def _plan(importer: Importer, documents: Sequence[Document]) -> ImportPlan:
    if len(documents) != 1:
        raise InputError("A folder or archive of several files is not of this format; name one file.")
    return importer.read(documents[0])


def _next(reading: Iterator[Batch]) -> Batch | None:
    return next(reading, None)


def _rate(service: Service, began_seconds: float, rows: int) -> float:
    elapsed_seconds = service.clock.monotonic_seconds() - began_seconds
    return round(rows / elapsed_seconds, 1) if elapsed_seconds > 0 else 0.0

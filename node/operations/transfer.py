"""Import and export by name: what reads and writes the many formats is loaded when it is first asked for.

Nearly every command comes by here on its way to something else, and the formats take a tenth of its time.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from node.requests import ExportEvent, ExportRequest, ImportEvent, ImportRequest
from node.service import Service


async def import_file(service: Service, request: ImportRequest) -> AsyncGenerator[ImportEvent, None]:
    """Import what is at a path, as `node/operations/importing.py` says."""
    from node.operations.importing import import_file

    async with aclosing(import_file(service, request)) as events:
        async for event in events:
            yield event


async def export_records(service: Service, request: ExportRequest) -> AsyncGenerator[ExportEvent, None]:
    """Export everything, as `node/operations/exporting.py` says."""
    from node.operations.exporting import export_records

    async with aclosing(export_records(service, request)) as events:
        async for event in events:
            yield event

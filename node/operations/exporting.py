"""Exporting everything out of the store, without keeping the node from its other work."""

import asyncio
from collections.abc import AsyncGenerator, Iterator

from node.errors import UsageError
from node.exporters.jsonl import export_lines
from node.exporters.markdown import markdown_files
from node.exporters.mcp_memory import graph_lines
from node.requests import ExportEvent, ExportFile, ExportLine, ExportRequest
from node.schemas import CORE_COMPONENTS
from node.service import Service

# Other work gets its turn after so many lines: some milliseconds.
_LINES_PER_TURN = 200


async def export_records(service: Service, request: ExportRequest) -> AsyncGenerator[ExportEvent, None]:
    """Yield the lines or files of an export; what jsonl gives makes, imported elsewhere, the same records and ids."""
    made: Iterator[ExportEvent]
    match request.format:
        case "jsonl":
            made = (ExportLine(line=line.removesuffix("\n")) for line in export_lines(service.store, CORE_COMPONENTS))
        case "mcp-memory":
            made = (ExportLine(line=line.removesuffix("\n")) for line in graph_lines(service.store))
        case "markdown":
            made = (ExportFile(path=file.path, text=file.text) for file in markdown_files(service.store))
        case other:
            raise UsageError(f"There is no export format {other!r}; there are jsonl, markdown, mcp-memory.")
    # Taken in one go: while others write between two lines, an export would show no single moment.
    for number, event in enumerate(list(made), 1):
        yield event
        if number % _LINES_PER_TURN == 0:
            await asyncio.sleep(0)

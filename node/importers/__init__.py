"""Taking in what other programs wrote; importing the same file twice changes nothing."""

from collections.abc import Mapping, Sequence

from node.importers.chatgpt import ChatGptImporter
from node.importers.claude import ClaudeImporter
from node.importers.jsonl import JsonlImporter
from node.importers.locomo import LocomoImporter
from node.importers.markdown import MarkdownImporter
from node.importers.mcp_memory import McpMemoryImporter
from node.importers.mem0 import Mem0Importer
from node.importers.plan import Importer, RecordImporter
from node.importers.portable_memory import PortableMemoryImporter
from node.importers.table_rows import TableImporter
from node.store.schema import Component


def importer_by_format(components: Sequence[Component]) -> Mapping[str, Importer]:
    """Return the importers that take a file whole or not at all, for a store with the tables of `components`."""
    return {"jsonl": JsonlImporter(components), "locomo": LocomoImporter()}


def record_importer_by_format() -> Mapping[str, RecordImporter]:
    """Return the importers that take record by record what other programs wrote."""
    return {
        "chatgpt": ChatGptImporter(),
        "claude": ClaudeImporter(),
        "csv": TableImporter(),
        "markdown": MarkdownImporter(),
        "mcp-memory": McpMemoryImporter(),
        "mem0": Mem0Importer(),
        "pam": PortableMemoryImporter(),
    }


__all__ = ["importer_by_format", "record_importer_by_format"]

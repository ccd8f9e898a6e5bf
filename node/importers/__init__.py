"""Taking in what other programs wrote; importing the same file twice changes nothing."""

from collections.abc import Mapping, Sequence

from node.importers.jsonl import JsonlImporter
from node.importers.locomo import LocomoImporter
from node.importers.plan import Importer
from node.store.schema import Component


def importer_by_format(components: Sequence[Component]) -> Mapping[str, Importer]:
    """Return the importers by the name of their format, for a store with the tables of `components`."""
    return {"jsonl": JsonlImporter(components), "locomo": LocomoImporter()}


__all__ = ["importer_by_format"]

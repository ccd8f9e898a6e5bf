"""Reads a document of JSON records: what is malformed is left out, with its place, and the rest is taken."""

from collections.abc import Callable, Iterator

from node.importers.documents import Document
from node.importers.json_records import Unreadable, json_records
from node.importers.plan import ImportedRecord, LeftOut


def each_record(
    document: Document, read: Callable[[bytes, str], Iterator[ImportedRecord | LeftOut]]
) -> Iterator[ImportedRecord | LeftOut]:
    """Yield what `read` makes of the content and the place of each record; it may raise Unreadable for one."""
    for record in json_records(document.blocks()):
        place = f"{document.name}, line {record.line}"
        try:
            if record.problem is not None:
                raise Unreadable(record.problem)
            yield from read(record.content, place)
        except Unreadable as error:
            yield LeftOut(place=place, problem=str(error), content=record.content)

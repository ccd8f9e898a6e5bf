"""Reads documents into batches that each make about one transaction."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from node.errors import InputError
from node.importers.documents import Document
from node.importers.plan import ImportedRecord, LeftOut, RecordImporter
from node.importers.transactions import BYTES_PER_TRANSACTION, ROWS_PER_TRANSACTION, row_size_bytes


@dataclass(slots=True, kw_only=True)
class Batch:
    """Some records, what was left out between them, and how much of all documents has been read after them."""

    records: list[ImportedRecord] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    done_bytes: int = 0


def batches(importer: RecordImporter, documents: Sequence[Document]) -> Iterator[Batch]:
    """Read everything, one batch at a time; a document of which nothing can be read is left out as a whole."""
    batch = Batch()
    rows = size_bytes = before = 0
    for document in documents:
        for item in _items(importer, document):
            match item:
                case ImportedRecord():
                    batch.records.append(item)
                    rows += len(item.rows)
                    size_bytes += sum(map(row_size_bytes, item.rows))
                case LeftOut():
                    batch.left_out.append(item)
                    size_bytes += len(item.content)
            if rows >= ROWS_PER_TRANSACTION or size_bytes >= BYTES_PER_TRANSACTION:
                batch.done_bytes = before + document.done_bytes
                yield batch
                batch, rows, size_bytes = Batch(), 0, 0
        before += document.size_bytes
    batch.done_bytes = before
    yield batch


def _items(importer: RecordImporter, document: Document) -> Iterator[ImportedRecord | LeftOut]:
    try:
        yield from importer.records(document)
    except InputError as error:
        yield LeftOut(place=document.name, problem=str(error), content=b"")

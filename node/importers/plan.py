"""What an importer makes of a file before anything is written: rows with their ids, checked against the schema."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Protocol

from crdt.identifiers import RowId, uuid7
from node.errors import InputError
from node.importers.documents import Document
from node.repositories.ports import SqlValue

#: The adapter to the database takes no integer beyond this.
INTEGER_MAX = 2**53
#: A row travels in one signed batch of at most 8 MiB, so a longer text could not be kept.
TEXT_BYTES_MAX = 2 * 1024 * 1024


_ORDER_MAX = 2**12 - 1
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")

RowKey = tuple[str, RowId]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedRow:
    """One row to be added unless its id is known or was forgotten; columns that are not named keep their default."""

    table: str
    id: RowId
    cells: Mapping[str, SqlValue]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportPlan:
    """All rows of one file."""

    rows: tuple[ImportedRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Continuation:
    """What becomes of a conversation that is here already, if turns were added to it elsewhere since."""

    conversation_id: RowId
    updated_at: str | None
    current_message: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedRecord:
    """What one record of a file becomes: rows in an order in which a row comes after those that it refers to."""

    rows: tuple[ImportedRow, ...]
    continuation: Continuation | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A record, or part of one, that could not be read: where it stands, what is wrong, and what it says."""

    place: str
    problem: str
    content: bytes


class RecordImporter(Protocol):
    """Reads one format of other programs, record by record: what is malformed is left out, the rest is taken.

    Reading writes nothing; the same bytes always give the same rows, ids included.
    """

    def wanted(self, documents: Sequence[Document]) -> Sequence[Document]:
        """Return the documents that hold what this importer reads, in the order in which to read them."""

    def records(self, document: Document) -> Iterator[ImportedRecord | LeftOut]:
        """Read one document; raises InputError where nothing of it can be read."""


class Importer(Protocol):
    """Reads one of our own formats whole, because a part of an export is no export.

    Reading writes nothing; the same bytes always give the same plan, ids included.
    """

    def read(self, document: Document) -> ImportPlan:
        """Return the plan; raises InputError that names the line and the field which is malformed."""


def content_row_id(unix_milliseconds: int, *parts: str, order: int | None = None) -> RowId:
    """Return the id of what was imported: a UUIDv7 of its time whose random bits are the hash of `parts`.

    The same content always gets the same id, so a second import finds it; and ids are in the order of time, which
    the database's indexes need to be fast. `order`, up to 4095, tells apart what has one time: it takes the first 12 of
    the random bits (RFC 9562 section 6.2, method 1).
    """
    digest = blake2b(digest_size=10, person=b"nuthatch-import")
    for part in parts:
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(4, "big") + encoded)
    random_bits = digest.digest()
    if order is not None:
        random_bits = min(order, _ORDER_MAX).to_bytes(2, "big") + random_bits[2:]
    return uuid7(unix_milliseconds, random_bits)


def row_problem(row: ImportedRow) -> str | None:
    """Return why the database cannot hold a row, or None if it can."""
    for column, value in row.cells.items():
        if (problem := cell_problem(value)) is not None:
            return f"{column} {problem}"
    return None


def text_problem(text: str) -> str | None:
    """Return why the database cannot hold `text`, or None if it can."""
    if "\0" in text:
        return "holds a NUL character"
    if len(text) > TEXT_BYTES_MAX:
        return f"has {len(text):,} characters; the most is {TEXT_BYTES_MAX:,}"
    if _HALF_CHARACTER.search(text):
        return "holds half of a character (a lone surrogate)"
    return None


def cell_problem(value: SqlValue) -> str | None:
    """Return why the database cannot hold `value`, or None if it can."""
    match value:
        case str():
            return text_problem(value)
        case int() if abs(value) > INTEGER_MAX:
            return "is an integer beyond ±2^53"
        case float() if math.isnan(value):
            return "is not a number"
        case _:
            return None


def malformed(file_name: str, line: int | None, field: str | None, problem: str) -> InputError:
    """Return the error that names file, line and field, and promises that nothing was taken."""
    place = file_name if line is None else f"{file_name}, line {line}"
    named = "" if field is None else f", field {field}"
    return InputError(f"{place}{named}: {problem}. Nothing was imported.")

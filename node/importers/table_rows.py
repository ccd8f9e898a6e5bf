"""Reads memories from a table: CSV or TSV with a heading line, one memory a row.

The delimiter (comma, semicolon, tab) is found out. Columns are known by their headings, in any case:

- `content` (or text, memory, note, body, description): what is remembered; every row needs it;
- `title` (name, subject), `tags` (labels, categories; separated by comma, semicolon or bar), `kind` (type, category),
  `namespace`, `importance` (1 to 10), `created_at` (created, date, time, timestamp), `updated_at` (updated, modified);
- every other column is kept in `metadata` under its own heading.

Quotes, newlines within quotes and a byte order mark are as RFC 4180 and spreadsheet programs have them.
"""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence

from node.importers.documents import Document
from node.importers.instants import instant_milliseconds
from node.importers.json_records import Unreadable, keepable
from node.importers.memory_rows import importance_of, memory_row, whole_record
from node.importers.plan import ImportedRecord, ImportedRow, LeftOut, content_row_id
from node.repositories.values import to_json

SOURCE = "csv"
SUFFIXES = (".csv", ".tsv")
DELIMITERS = ",;\t"
_FIELD_BY_HEADING: Mapping[str, str] = {
    **dict.fromkeys(("content", "text", "memory", "note", "body", "description"), "content"),
    **dict.fromkeys(("title", "name", "subject"), "title"),
    **dict.fromkeys(("tags", "tag", "labels", "categories"), "tags"),
    **dict.fromkeys(("kind", "type", "category"), "kind"),
    **dict.fromkeys(("created_at", "created", "date", "time", "timestamp"), "created_at"),
    **dict.fromkeys(("updated_at", "updated", "modified"), "updated_at"),
    "namespace": "namespace",
    "importance": "importance",
}
_BETWEEN_TAGS = re.compile(r"[,;|]")


class TableImporter:
    """The importer of tables."""

    def wanted(self, documents: Sequence[Document]) -> Sequence[Document]:
        """Return the tables."""
        return [one for one in documents if len(documents) == 1 or one.name.lower().endswith(SUFFIXES)]

    def records(self, document: Document) -> Iterator[ImportedRecord | LeftOut]:
        """Read one table."""
        lines = _Lines(document)
        rows = csv.reader(iter(lines), delimiter=delimiter_of(document), strict=True)
        headings: list[str] | None = None
        while True:
            first = rows.line_num + 1
            try:
                values = next(rows, None)
                if values is None:
                    return
                if not any(value.strip() for value in values):
                    continue
                if headings is None:
                    headings = _headings(values)
                    continue
                content = lines.since(first)
                content.decode()
                row = _memory(headings, values)
            except UnicodeDecodeError:
                problem = "this is not UTF-8 text; save the table as UTF-8"
                yield LeftOut(place=f"{document.name}, line {first}", problem=problem, content=lines.since(first))
            except (csv.Error, Unreadable) as error:
                place = f"{document.name}, line {first}"
                yield LeftOut(place=place, problem=_sentence(error), content=lines.since(first))
                if headings is None:
                    return
            else:
                yield whole_record([row], f"{document.name}, line {first}", content)


class _Lines:
    """The lines of a document as text; the last ones as bytes, for the row that turns out to be bad."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._kept: list[tuple[int, bytes]] = []

    def __iter__(self) -> Iterator[str]:
        for number, line in enumerate(self._document.lines(), start=1):
            self._kept.append((number, line))
            # What is no UTF-8 becomes a character that marks the row, so that the lines after it can be read.
            yield keepable(line.removeprefix(b"\xef\xbb\xbf" if number == 1 else b"").decode("utf-8", "replace"))

    def since(self, first: int) -> bytes:
        """Return the lines from a number on, and forget those before."""
        self._kept = [(number, line) for number, line in self._kept if number >= first]
        return b"".join(line for _, line in self._kept)


def delimiter_of(document: Document) -> str:
    """Return the delimiter that cuts the heading line into most parts."""
    first = next(iter(document.beginning(1 << 16).decode("utf-8", "replace").splitlines()), "")
    return max(DELIMITERS, key=lambda delimiter: width(first, delimiter))


def width(line: str, delimiter: str) -> int:
    """Return into how many parts a line is cut, 0 if it is no line of a table."""
    try:
        return len(next(csv.reader([line], delimiter=delimiter), []))
    except csv.Error:
        return 0


def _headings(values: Sequence[str]) -> list[str]:
    headings = [value.strip() for value in values]
    if not any(_FIELD_BY_HEADING.get(heading.lower()) == "content" for heading in headings):
        raise Unreadable("no column is named content, text, memory, note, body or description")
    return headings


def _memory(headings: Sequence[str], values: Sequence[str]) -> ImportedRow:
    if len(values) > len(headings):
        raise Unreadable(f"the row has {len(values)} columns; the heading line has {len(headings)}")
    fields: dict[str, str] = {}
    metadata: dict[str, object] = {}
    for heading, value in zip(headings, values, strict=False):
        field = _FIELD_BY_HEADING.get(heading.lower())
        # Of two columns for one field the first that says something is taken; the other stays what it was called.
        if field is not None and field not in fields:
            if value.strip():
                fields[field] = value
        elif value:
            metadata[_free(heading or "column", metadata)] = value
    if "content" not in fields:
        raise Unreadable("the row has no content")
    created, updated = _instant(fields, "created_at", metadata), _instant(fields, "updated_at", metadata)
    importance = importance_of(fields.get("importance"))
    if importance is None and "importance" in fields:
        metadata["importance"] = fields["importance"]
    return memory_row(
        content_row_id(created or 0, "memory", SOURCE, *_parts(fields, metadata)),
        content=fields["content"],
        title=fields.get("title"),
        kind=fields.get("kind", "fact"),
        namespace=fields.get("namespace"),
        importance=importance,
        tags=(tag.strip() for tag in _BETWEEN_TAGS.split(fields.get("tags", "")) if tag.strip()),
        metadata=metadata,
        source=SOURCE,
        created_milliseconds=created,
        updated_milliseconds=updated,
    )


def _parts(fields: Mapping[str, str], metadata: Mapping[str, object]) -> list[str]:
    """Return what makes a row the row it is: all of it."""
    return [*(f"{name}={fields[name]}" for name in sorted(fields)), to_json(metadata)]


def _free(heading: str, taken: Mapping[str, object]) -> str:
    """Return a heading that no other column of the row has."""
    free, number = heading, 1
    while free in taken:
        number += 1
        free = f"{heading} {number}"
    return free


def _instant(fields: Mapping[str, str], name: str, metadata: dict[str, object]) -> int | None:
    """Return an instant; one that is written in a way of its own is kept as it is written."""
    written = fields.get(name)
    at = instant_milliseconds(written)
    if at is None and written is not None:
        metadata[name] = written
    return at


def _sentence(error: Exception) -> str:
    return str(error) if isinstance(error, Unreadable) else f"this is no row of a table ({error})"

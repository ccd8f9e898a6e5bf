"""Reads lines of JSON: a whole export of Nuthatch, or one memory a line from another program.

An export (see `node/exporters/jsonl.py`) begins with a header, names table and id in every line and ends with a
count, so that a file which was cut off is noticed. A line without a table is a memory: an object with at least
`content`, and `id`, `title`, `namespace`, `kind`, `importance`, `tags`, `metadata`, `source`, `created_at` if they are
known. Without an id its content makes one.
"""

import base64
import binascii
import json
from collections import Counter
from collections.abc import Mapping, Sequence

from crdt.errors import MergeError
from crdt.identifiers import RowId, row_id_from_text
from node.exporters.jsonl import EXPORT_FORMAT
from node.importers.documents import Document
from node.importers.plan import ImportedRow, ImportPlan, cell_problem, content_row_id, malformed
from node.repositories.ports import SqlValue
from node.repositories.values import strings_to_json, to_json
from node.store.schema import Column, Component, Table

_MEMORY_FIELDS = ("content", "title", "namespace", "kind", "importance", "tags", "metadata", "source", "created_at")


class _MalformedFieldError(Exception):
    """A field of one line is not what the format says; becomes an InputError with the line."""

    def __init__(self, field: str | None, problem: str) -> None:
        super().__init__(problem)
        self.field = field
        self.problem = problem


class JsonlImporter:
    """The importer of JSON lines, for the tables of `components`."""

    def __init__(self, components: Sequence[Component]) -> None:
        self._tables = {table.name: table for component in components for table in component.tables}

    def read(self, document: Document) -> ImportPlan:
        """Return the plan; raises InputError that names the line and the field which is malformed."""
        reading = _Reading(self._tables)
        number = 0
        for number, line in enumerate(document.lines(), start=1):
            content = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
            if not content.strip():
                continue
            try:
                reading.take(_decoded(content))
            except _MalformedFieldError as error:
                raise malformed(document.name, number, error.field, error.problem) from error
        if reading.is_export and not reading.ended:
            raise malformed(document.name, number, None, "the export ends before its last line; the file was cut off")
        return ImportPlan(rows=tuple(reading.rows))


class _Reading:
    """What has been read of one file."""

    def __init__(self, tables: Mapping[str, Table]) -> None:
        self._tables = tables
        self._seen: set[tuple[str, RowId]] = set()
        self.rows: list[ImportedRow] = []
        self.is_export = False
        self.ended = False

    def take(self, line: Mapping[str, object]) -> None:
        if self.ended:
            raise _MalformedFieldError(None, "there is a line after the end of the export")
        if "nuthatch" in line:
            self._take_frame(line)
            return
        row = self._exported(line) if "table" in line else _memory(line, self._tables["memories"])
        key = (row.table, row.id)
        if key in self._seen:
            # Two equal lines of another program are one memory; an export never repeats an id.
            if self.is_export:
                raise _MalformedFieldError("id", "this id occurs a second time")
            return
        self._seen.add(key)
        self.rows.append(row)

    def _take_frame(self, line: Mapping[str, object]) -> None:
        match line.get("nuthatch"):
            case "export" if not self.is_export and not self.rows:
                if line.get("format") != EXPORT_FORMAT:
                    raise _MalformedFieldError("format", "the export was written by a newer version; update Nuthatch")
                self.is_export = True
            case "end" if self.is_export:
                counted = dict(Counter(row.table for row in self.rows))
                if line.get("rows") != counted:
                    raise _MalformedFieldError("rows", "the file does not hold as many rows as were exported")
                self.ended = True
            case _:
                raise _MalformedFieldError("nuthatch", "'export' in the first line or 'end' in the last is expected")

    def _exported(self, line: Mapping[str, object]) -> ImportedRow:
        name = line["table"]
        table = self._tables.get(name) if isinstance(name, str) else None
        if table is None:
            raise _MalformedFieldError("table", f"there is no table {name!r} in this version")
        cells = line.get("cells")
        if not isinstance(cells, dict):
            raise _MalformedFieldError("cells", "an object is expected here")
        columns = {column.name: column for column in table.columns}
        values: dict[str, SqlValue] = {}
        for column, value in cells.items():
            if column not in columns:
                raise _MalformedFieldError(f"cells.{column}", f"the table {table.name} has no such column")
            values[column] = _cell(columns[column], value)
        return ImportedRow(table=table.name, id=_row_id(line.get("id")), cells=values)


def _decoded(line: bytes) -> Mapping[str, object]:
    try:
        decoded: object = json.loads(line.decode(), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise _MalformedFieldError(None, "this is not UTF-8 text") from error
    except (ValueError, RecursionError) as error:
        # ValueError: malformed, NaN or an infinity, or a number of thousands of digits.
        raise _MalformedFieldError(None, "this is not JSON; every line is one JSON object") from error
    if not isinstance(decoded, dict):
        raise _MalformedFieldError(None, "every line is one JSON object")
    return decoded


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def _row_id(value: object) -> RowId:
    if not isinstance(value, str):
        raise _MalformedFieldError("id", "an id is expected here")
    try:
        return row_id_from_text(value)
    except MergeError as error:
        raise _MalformedFieldError("id", str(error)) from error


def _cell(column: Column, value: object) -> SqlValue:
    """Return what the column holds for a JSON value."""
    field = f"cells.{column.name}"
    cell = _converted(column, value, field)
    if cell is None and column.default is not None:
        raise _MalformedFieldError(field, "a value is expected here")
    problem = cell_problem(cell)
    if problem is not None:
        raise _MalformedFieldError(field, f"the value {problem}")
    return cell


def _converted(column: Column, value: object, field: str) -> SqlValue:
    match column.type, value:
        case _, None:
            return None
        case "TEXT", list() if column.strategy == "set":
            return strings_to_json(_strings(value, field))
        case "TEXT", str() if column.strategy != "set":
            return value
        case ("INTEGER", int(number)) | ("REAL", int(number) | float(number)) if not isinstance(value, bool):
            return number
        case "REAL", {"$real": str(text)} if text in ("inf", "-inf"):
            return float(text)
        case "BLOB", dict():
            return _blob(value, field)
        case _:
            pass
    expected = "list of texts" if column.strategy == "set" else column.type
    raise _MalformedFieldError(field, f"this is no {expected}")


def _strings(value: list[object], field: str) -> list[str]:
    strings = [item for item in value if isinstance(item, str)]
    if len(strings) != len(value) or any(cell_problem(item) for item in strings):
        raise _MalformedFieldError(field, "a list of texts is expected here")
    return strings


def _blob(value: Mapping[str, object], field: str) -> bytes:
    try:
        match dict(value):
            case {"$id": str(text), **rest} if not rest:
                return row_id_from_text(text)
            case {"$base64": str(text), **rest} if not rest:
                return base64.b64decode(text, validate=True)
    except (MergeError, binascii.Error, ValueError) as error:
        raise _MalformedFieldError(field, "this is neither an id nor base64") from error
    raise _MalformedFieldError(field, "bytes are written as {'$id': …} or {'$base64': …}")


def _memory(line: Mapping[str, object], table: Table) -> ImportedRow:
    """Return the memory of a line that names no table."""
    unknown = sorted(set(line) - {*_MEMORY_FIELDS, "id"})
    if unknown:
        raise _MalformedFieldError(unknown[0], "a memory has no such field; a line of an export names its table")
    if not isinstance(line.get("content"), str) or not str(line["content"]).strip():
        raise _MalformedFieldError("content", "a memory needs a content")
    columns = {column.name: column for column in table.columns}
    cells: dict[str, SqlValue] = {}
    for name in _MEMORY_FIELDS:
        value = line.get(name)
        if value is not None:
            if name == "metadata":
                value = to_json(value) if isinstance(value, dict) else value
            try:
                cells[name] = _cell(columns[name], value)
            except _MalformedFieldError as error:
                raise _MalformedFieldError(name, error.problem) from error
    if line.get("id") is not None:
        return ImportedRow(table=table.name, id=_row_id(line["id"]), cells=cells)
    row_id = content_row_id(0, "memory", *(f"{name}={cells[name]!r}" for name in sorted(cells)))
    return ImportedRow(table=table.name, id=row_id, cells=cells)

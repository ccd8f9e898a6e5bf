"""A person's own SQL, import and export."""

import msgspec

from node.requests.operation import Event, Operation, Request, Response, StreamOperation


class SqlRequest(Request, frozen=True, kw_only=True):
    """Run one statement on the person's tables; a parameter is a JSON scalar or `{"$base64": …}`."""

    statement: str
    parameters: list[object] = msgspec.field(default_factory=list)


class SqlResult(Response, frozen=True, kw_only=True):
    """The rows that a statement gave; bytes appear as `{"$base64": …}`."""

    columns: list[str]
    rows: list[list[object]]
    changes: int


class ImportRequest(Request, frozen=True, kw_only=True):
    """Import a file; `path` is absolute, the process that owns the store reads it."""

    format: str
    path: str


class ImportProgress(Event, frozen=True, kw_only=True, tag="progress"):
    """How far an import is, in records."""

    done: int
    total: int


class Imported(Event, frozen=True, kw_only=True, tag="imported"):
    """An import is complete: rows added, already present, and skipped because they were forgotten."""

    added: int
    unchanged: int
    skipped: int


ImportEvent = ImportProgress | Imported


class ExportRequest(Request, frozen=True, kw_only=True):
    """Export everything that a person keeps here."""

    format: str = "jsonl"


class ExportLine(Event, frozen=True, kw_only=True, tag="line"):
    """One line of the exported file, without its newline."""

    line: str


SQL = Operation("sql", SqlRequest, SqlResult)
IMPORT: StreamOperation[ImportRequest, ImportEvent] = StreamOperation(
    "import", ImportRequest, msgspec.json.Decoder(ImportEvent)
)
EXPORT: StreamOperation[ExportRequest, ExportLine] = StreamOperation(
    "export", ExportRequest, msgspec.json.Decoder(ExportLine)
)

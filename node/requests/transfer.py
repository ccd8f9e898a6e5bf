"""A person's own SQL, import and export."""

from typing import Literal

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
    """Import a file, folder or archive; `path` is absolute, the process that owns the store reads it.

    Without a `format` the content tells it. A dry run reads, looks up and counts everything and writes nothing.
    """

    path: str
    format: str | None = None
    dry_run: bool = False


class ImportProgress(Event, frozen=True, kw_only=True, tag="progress"):
    """How far an import is: `done` of `total`, counted in `unit`; and how many rows it has looked at, and how fast."""

    done: int
    total: int
    unit: Literal["rows", "bytes"] = "rows"
    rows: int = 0
    rows_per_second: float = 0.0


class LeftOutRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A record that could not be read: where it stands, and what is wrong with it."""

    place: str
    problem: str


class Imported(Event, frozen=True, kw_only=True, tag="imported"):
    """An import is complete: rows added, already present, and skipped because they were forgotten.

    `left_out` counts the records that could not be read, of which `problems` tells the first; all of them are kept in
    `left_out_file`. After a dry run the same numbers say what an import would do.
    """

    format: str
    added: int
    unchanged: int
    skipped: int
    added_by_table: dict[str, int]
    left_out: int = 0
    problems: list[LeftOutRecord] = msgspec.field(default_factory=list)
    left_out_file: str | None = None
    dry_run: bool = False


ImportEvent = ImportProgress | Imported


class ExportRequest(Request, frozen=True, kw_only=True):
    """Export everything that a person keeps here."""

    format: str = "jsonl"


class ExportLine(Event, frozen=True, kw_only=True, tag="line"):
    """One line of the exported file, without its newline."""

    line: str


class ExportFile(Event, frozen=True, kw_only=True, tag="file"):
    """One file of an export that is a folder: its path within it, with `/`, and what it holds."""

    path: str
    text: str


ExportEvent = ExportLine | ExportFile

SQL = Operation("sql", SqlRequest, SqlResult)
IMPORT: StreamOperation[ImportRequest, ImportEvent] = StreamOperation(
    "import", ImportRequest, msgspec.json.Decoder(ImportEvent)
)
EXPORT: StreamOperation[ExportRequest, ExportEvent] = StreamOperation(
    "export", ExportRequest, msgspec.json.Decoder(ExportEvent)
)

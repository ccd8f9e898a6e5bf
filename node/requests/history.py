"""What was done to records, by whom and when, and taking it back."""

import msgspec

from node.requests.operation import Operation, Request, Response


class LogRequest(Request, frozen=True, kw_only=True):
    """Show what was done, newest first: to one record, or to any."""

    id: str | None = None
    limit: int = 20


class FieldChange(Response, frozen=True, kw_only=True):
    """One column's old and new value; bytes appear as `{"$base64": …}`."""

    column: str
    before: object
    after: object


class LogEntry(Response, frozen=True, kw_only=True):
    """Something that was done to a record: `what` is created, changed or forgotten.

    `version` names the record as it was afterwards, on every device alike. `label` is a text by which
    the record is recognised as it is now.
    """

    version: str
    id: str
    table: str
    what: str
    label: str | None
    device: str
    device_id: str
    at: str
    fields: list[FieldChange] = msgspec.field(default_factory=list)


class LogReport(Response, frozen=True, kw_only=True):
    """What was done, newest first."""

    entries: list[LogEntry]


class UndoRequest(Request, frozen=True, kw_only=True):
    """Set a record back to before its latest change, or to how it was at a version."""

    id: str
    to: str | None = None


class Undone(Response, frozen=True, kw_only=True):
    """Which columns of which record were set back."""

    id: str
    table: str
    columns: list[str]


LOG = Operation("log", LogRequest, LogReport)
UNDO = Operation("undo", UndoRequest, Undone)

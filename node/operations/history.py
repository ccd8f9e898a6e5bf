"""Showing what was done to records, and taking it back."""

from crdt.identifiers import origin_device, row_id_to_text, stamp_origin
from node.errors import UsageError
from node.operations.json_values import to_json_value
from node.operations.record_ids import find_record_id
from node.operations.upkeep import finish_forgetting
from node.operations.versions import written_at, written_by
from node.repositories.record_history import Happening
from node.requests import FieldChange, LogEntry, LogReport, LogRequest, Undone, UndoRequest
from node.service import Service

LOG_LIMIT_MAX = 10_000


async def log(service: Service, request: LogRequest) -> LogReport:
    """Return what was done to one record or to any, newest first."""
    if not 1 <= request.limit <= LOG_LIMIT_MAX:
        raise UsageError(f"A log has between 1 and {LOG_LIMIT_MAX:,} entries; {request.limit} was asked for.")
    if request.id is None:
        found = service.history.recent(request.limit)
    else:
        found = service.history.of_record(find_record_id(service, request.id), request.limit)
    return LogReport(entries=[_entry(service, happening) for happening in found])


async def undo(service: Service, request: UndoRequest) -> Undone:
    """Set a record back; what is written so reaches all devices."""
    row_id = find_record_id(service, request.id)
    undone = service.history.undo(row_id, to=request.to)
    await finish_forgetting(service)
    return Undone(id=row_id_to_text(row_id), table=undone.table, columns=list(undone.columns))


def _entry(service: Service, happening: Happening) -> LogEntry:
    return LogEntry(
        version=happening.version,
        id=row_id_to_text(happening.row_id),
        table=happening.table,
        what=happening.what,
        label=service.history.label(happening.table, happening.row_id),
        device=written_by(service, happening.stamp),
        device_id=origin_device(stamp_origin(happening.stamp)).hex(),
        at=written_at(happening.stamp),
        fields=[
            FieldChange(column=column, before=json_cell(before), after=json_cell(after))
            for column, (before, after) in happening.fields.items()
        ],
    )


def json_cell(value: object) -> object:
    """Return a remembered value of a cell as JSON shows it."""
    assert isinstance(value, None | int | float | str | bytes)
    return to_json_value(value)

"""Showing conflicts with both versions, choosing between them, and taking a choice back."""

from crdt.identifiers import Stamp, origin_device, row_id_to_text, stamp_origin
from crdt.strategies.register import Register
from node.errors import UsageError
from node.operations.history import json_cell
from node.operations.versions import written_at, written_by
from node.repositories.conflicts import ConflictState
from node.requests import (
    ConflictList,
    ConflictReport,
    ConflictRequest,
    ConflictsRequest,
    ConflictVersion,
    NameClashReport,
    Reopened,
    ReopenRequest,
    Resolved,
    ResolveRequest,
)
from node.service import Service

LIST_LIMIT_MAX = 10_000


async def conflicts(service: Service, request: ConflictsRequest) -> ConflictList:
    """Return the open conflicts, or all that are kept."""
    if not 1 <= request.limit <= LIST_LIMIT_MAX:
        raise UsageError(f"A list has between 1 and {LIST_LIMIT_MAX:,} entries; {request.limit} was asked for.")
    found = service.conflicts.listed(everything=request.everything, limit=request.limit)
    return ConflictList(
        open=service.conflicts.count(),
        conflicts=[_report(service, state) for state in found],
        name_clashes=[
            NameClashReport(
                table=clash.table,
                name=" / ".join(map(str, clash.name)),
                ids=[row_id_to_text(row_id) for row_id in clash.row_ids],
            )
            for clash in service.store.name_clashes()
        ],
    )


async def conflict(service: Service, request: ConflictRequest) -> ConflictReport:
    """Return one conflict with both versions whole."""
    return _report(service, service.conflicts.find(request.key))


async def resolve(service: Service, request: ResolveRequest) -> Resolved:
    """Write a person's choice; it reaches all devices."""
    if (request.keep is None) == (request.text is None) or request.keep not in (None, "shown", "other"):
        raise UsageError("Say what is to stand: the version shown, the other one, or a text of your own.")
    state = service.conflicts.find(request.key)
    value = service.conflicts.resolve(state, choice=request.keep or "text", text=request.text)
    kept = state.kept
    return Resolved(
        key=kept.key.hex(),
        id=row_id_to_text(kept.row_id),
        table=kept.table,
        column=kept.column,
        value=json_cell(value),
    )


async def reopen(service: Service, request: ReopenRequest) -> Reopened:
    """Take a person's choice back."""
    state = service.conflicts.find(request.key)
    restored = service.conflicts.reopen(state)
    return Reopened(key=state.kept.key.hex(), id=row_id_to_text(state.kept.row_id), restored=restored)


def _report(service: Service, state: ConflictState) -> ConflictReport:
    kept = state.kept
    done_by = state.resolved_by or kept.settled_by
    return ConflictReport(
        key=kept.key.hex(),
        id=row_id_to_text(kept.row_id),
        table=kept.table,
        column=kept.column,
        label=service.history.label(kept.table, kept.row_id),
        state=state.state,
        choice=state.choice,
        shown=_version(service, state.shown),
        other=_version(service, kept.loser),
        done_by=None if done_by is None else written_by(service, done_by),
        done_at=None if done_by is None else written_at(done_by),
    )


def _version(service: Service, cell: Register) -> ConflictVersion:
    stamp: Stamp = cell.stamp
    return ConflictVersion(
        value=json_cell(cell.value),
        device=written_by(service, stamp),
        device_id=origin_device(stamp_origin(stamp)).hex(),
        at=written_at(stamp),
    )

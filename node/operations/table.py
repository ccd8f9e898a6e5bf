"""The one table of operations by name, used by the local API and by commands that run without a node."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import cast

import msgspec

from node.operations import conflicts, devices, doctor, history, metrics, records, sql, transfer
from node.requests import (
    CONFLICT,
    CONFLICTS,
    DEVICES,
    DOCTOR,
    EDIT,
    EVENTS,
    EXPORT,
    FORGET,
    IMPORT,
    LIST,
    LOG,
    METRICS,
    PAIR,
    PAIR_ANSWER,
    RECALL,
    REMEMBER,
    REOPEN,
    RESOLVE,
    SHOW,
    SQL,
    STATUS,
    UNDO,
    E,
    Operation,
    Q,
    R,
    StreamOperation,
)
from node.service import Service


@dataclass(frozen=True, slots=True)
class _Answer:
    operation: Operation[msgspec.Struct, msgspec.Struct]
    function: Callable[[Service, msgspec.Struct], Awaitable[msgspec.Struct]]


@dataclass(frozen=True, slots=True)
class _Stream:
    operation: StreamOperation[msgspec.Struct, object]
    function: Callable[[Service, msgspec.Struct], AsyncGenerator[object, None]]


def _answer(operation: Operation[Q, R], function: Callable[[Service, Q], Awaitable[R]]) -> _Answer:
    # The signature above ties request, response and function together; the table forgets the types.
    return _Answer(
        cast("Operation[msgspec.Struct, msgspec.Struct]", operation),
        cast("Callable[[Service, msgspec.Struct], Awaitable[msgspec.Struct]]", function),
    )


def _stream(operation: StreamOperation[Q, E], function: Callable[[Service, Q], AsyncGenerator[E, None]]) -> _Stream:
    return _Stream(
        cast("StreamOperation[msgspec.Struct, object]", operation),
        cast("Callable[[Service, msgspec.Struct], AsyncGenerator[object, None]]", function),
    )


_ANSWERS = (
    _answer(STATUS, devices.status),
    _answer(DEVICES, devices.devices),
    _answer(METRICS, metrics.metrics),
    _answer(PAIR_ANSWER, devices.pair_answer),
    _answer(REMEMBER, records.remember),
    _answer(RECALL, records.recall),
    _answer(LIST, records.list_memories),
    _answer(SHOW, records.show),
    _answer(EDIT, records.edit),
    _answer(FORGET, records.forget),
    _answer(SQL, sql.sql),
    _answer(LOG, history.log),
    _answer(UNDO, history.undo),
    _answer(CONFLICTS, conflicts.conflicts),
    _answer(CONFLICT, conflicts.conflict),
    _answer(RESOLVE, conflicts.resolve),
    _answer(REOPEN, conflicts.reopen),
)
_STREAMS = (
    _stream(IMPORT, transfer.import_file),
    _stream(EXPORT, transfer.export_records),
    _stream(DOCTOR, doctor.doctor),
    _stream(PAIR, devices.pair),
    _stream(EVENTS, devices.events),
)
_ANSWER_BY_NAME = {answer.operation.name: answer for answer in _ANSWERS}
_STREAM_BY_NAME = {stream.operation.name: stream for stream in _STREAMS}

OPERATION_BY_NAME: Mapping[str, Operation[msgspec.Struct, msgspec.Struct]] = {
    name: answer.operation for name, answer in _ANSWER_BY_NAME.items()
}
STREAM_BY_NAME: Mapping[str, StreamOperation[msgspec.Struct, object]] = {
    name: stream.operation for name, stream in _STREAM_BY_NAME.items()
}


class LocalCaller:
    """Performs operations in this process; a `Caller`."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def call(self, operation: Operation[Q, R], request: Q) -> R:
        """Perform an operation that has one answer."""
        response = await _ANSWER_BY_NAME[operation.name].function(self._service, request)
        return cast("R", response)

    def stream(self, operation: StreamOperation[Q, E], request: Q) -> AsyncGenerator[E, None]:
        """Perform an operation that answers with events."""
        events = _STREAM_BY_NAME[operation.name].function(self._service, request)
        return cast("AsyncGenerator[E, None]", events)

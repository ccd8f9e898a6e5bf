"""Remembering, searching, listing, showing, editing and forgetting."""

from crdt.errors import MergeError
from crdt.identifiers import RowId, row_id_from_text, row_id_to_text
from node.errors import UsageError
from node.operations.json_values import to_json_value
from node.repositories.conversation_records import MessageEdit
from node.repositories.memories import Memory, MemoryEdit, MemoryFilter, NewMemory
from node.repositories.rows import delete_row
from node.repositories.values import strings_from_json
from node.requests import (
    Edited,
    EditRequest,
    ForgetRequest,
    Forgotten,
    ListRequest,
    MemoryList,
    MemoryReport,
    Recalled,
    RecallRequest,
    RecallResult,
    Remembered,
    RememberRequest,
    Shown,
    ShowRequest,
)
from node.schemas import CORE_COMPONENTS
from node.service import Service
from node.store.schema import Table

LIST_LIMIT_MAX = 10_000

_TABLES = tuple(table for component in CORE_COMPONENTS for table in component.tables)


async def remember(service: Service, request: RememberRequest) -> Remembered:
    """Keep a text durably and return its id."""
    new = NewMemory(content=request.text, namespace=request.namespace, tags=tuple(request.tags), source="person")
    return Remembered(id=row_id_to_text(service.memories.remember(new)))


async def recall(service: Service, request: RecallRequest) -> Recalled:
    """Search memories and messages."""
    return Recalled(
        results=[
            RecallResult(
                id=row_id_to_text(hit.id),
                table=hit.table,
                text=hit.text,
                score=hit.score,
                title=hit.title,
                namespace=hit.namespace,
                tags=list(hit.tags),
                speaker=hit.speaker,
                created_at=hit.created_at,
            )
            for hit in service.recall.search(request.query, limit=request.limit)
        ]
    )


async def list_memories(service: Service, request: ListRequest) -> MemoryList:
    """Return memories, newest first."""
    if not 1 <= request.limit <= LIST_LIMIT_MAX:
        raise UsageError(f"A list has between 1 and {LIST_LIMIT_MAX} entries; {request.limit} was asked for.")
    only = MemoryFilter(namespace=request.namespace)
    return MemoryList(memories=[_memory(memory) for memory in service.memories.recent(only, limit=request.limit)])


async def show(service: Service, request: ShowRequest) -> Shown:
    """Return one record with all its columns."""
    row_id = _row_id(request.id)
    for table in _TABLES:
        names = [column.name for column in table.columns]
        rows = service.store.query(f"SELECT {', '.join(names)} FROM {table.name} WHERE id = ?", (row_id,))
        if rows:
            fields = {
                column.name: list(strings_from_json(value)) if column.strategy == "set" else to_json_value(value)
                for column, value in zip(table.columns, rows[0], strict=True)
            }
            return Shown(id=row_id_to_text(row_id), table=table.name, fields=fields)
    raise _unknown(request.id)


async def edit(service: Service, request: EditRequest) -> Edited:
    """Give a memory or a message a new text."""
    row_id = _row_id(request.id)
    found = service.memories.edit(row_id, MemoryEdit(content=request.text)) or service.conversations.edit_message(
        row_id, MessageEdit(content=request.text)
    )
    if not found:
        table = _table_of(service, row_id)
        if table is None:
            raise _unknown(request.id)
        raise UsageError(f"A row of {table.name} has no text to edit; change its columns with `nuthatch sql`.")
    return Edited(id=row_id_to_text(row_id))


async def forget(service: Service, request: ForgetRequest) -> Forgotten:
    """Delete a record and what hangs on it, here and on every device."""
    row_id = _row_id(request.id)
    table = _table_of(service, row_id)
    if table is None:
        raise _unknown(request.id)
    with service.store.transaction() as transaction:
        delete_row(transaction, table.name, row_id)
    return Forgotten(id=row_id_to_text(row_id), table=table.name)


def _table_of(service: Service, row_id: RowId) -> Table | None:
    for table in _TABLES:
        if service.store.query(f"SELECT 1 FROM {table.name} WHERE id = ?", (row_id,)):
            return table
    return None


def _row_id(text: str) -> RowId:
    try:
        return row_id_from_text(text)
    except MergeError as error:
        raise UsageError(f"{text!r}: {error}.") from error


def _unknown(text: str) -> UsageError:
    return UsageError(f"There is no record {text} on this device; it was forgotten or has not arrived yet.")


def _memory(memory: Memory) -> MemoryReport:
    return MemoryReport(
        id=row_id_to_text(memory.id),
        text=memory.content,
        namespace=memory.namespace,
        tags=list(memory.tags),
        created_at=memory.created_at,
        updated_at=memory.updated_at,
    )

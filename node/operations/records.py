"""Remembering, searching, listing, showing, editing and forgetting."""

from crdt.identifiers import RowId, row_id_to_text
from node.errors import UsageError
from node.operations.json_values import to_json_value
from node.operations.record_ids import find_record_id
from node.operations.upkeep import finish_forgetting
from node.repositories.conflicts import delete_resolutions
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
    row_id = find_record_id(service, request.id)
    for table in _TABLES:
        names = [column.name for column in table.columns]
        rows = service.store.query(f"SELECT {', '.join(names)} FROM {table.name} WHERE id = ?", (row_id,))
        if rows:
            service.store.require_whole(table.name, [row_id])
            fields = {
                column.name: list(strings_from_json(value)) if column.strategy == "set" else to_json_value(value)
                for column, value in zip(table.columns, rows[0], strict=True)
            }
            version = service.store.inspection.version(table.name, row_id)
            if version is not None:
                return Shown(id=row_id_to_text(row_id), table=table.name, fields=fields, version=version)
    raise _unknown(request.id)


async def edit(service: Service, request: EditRequest) -> Edited:
    """Give a memory or a message a new text."""
    row_id = find_record_id(service, request.id)
    text = request.text if request.base is None else _rebased(service, row_id, request.text, request.base)
    found = service.memories.edit(row_id, MemoryEdit(content=text)) or service.conversations.edit_message(
        row_id, MessageEdit(content=text)
    )
    if not found:
        table = _table_of(service, row_id)
        if table is None:
            raise _unknown(request.id)
        raise UsageError(f"A row of {table.name} has no text to edit; change its columns with `nuthatch sql`.")
    return Edited(id=row_id_to_text(row_id))


def _rebased(service: Service, row_id: RowId, text: str, base: str) -> str:
    """Return the text that is left when an edit taken at version `base` is merged; nothing is awaited in between."""
    for table in ("memories", "messages"):
        merged = service.store.inspection.rebased(table, row_id, "content", base, text)
        if merged is not None:
            return merged
    return text


async def forget(service: Service, request: ForgetRequest) -> Forgotten:
    """Delete a record and what hangs on it, here and on every device, with all traces; or say what that would be."""
    row_id = find_record_id(service, request.id)
    table = _table_of(service, row_id)
    if table is None:
        raise _unknown(request.id)
    rows_by_table = service.store.inspection.rehearse_delete(table.name, row_id)
    gone = [gone_id for row_ids in rows_by_table.values() for gone_id in row_ids]
    changes, conflicts = service.store.inspection.traces(gone)
    if not request.dry_run:
        with service.store.transaction() as transaction:
            delete_row(transaction, table.name, row_id)
            delete_resolutions(transaction, gone)
        await finish_forgetting(service)
    return Forgotten(
        id=row_id_to_text(row_id),
        table=table.name,
        dry_run=request.dry_run,
        rows_by_table={name: len(row_ids) for name, row_ids in rows_by_table.items()},
        changes=changes,
        conflicts=conflicts,
    )


def _table_of(service: Service, row_id: RowId) -> Table | None:
    for table in _TABLES:
        if service.store.query(f"SELECT 1 FROM {table.name} WHERE id = ?", (row_id,)):
            return table
    return None


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

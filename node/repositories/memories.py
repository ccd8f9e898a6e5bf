"""Memories: remembering, reading, editing and forgetting what the person or an assistant chose to keep."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from msgspec import UNSET, UnsetType

from crdt.identifiers import RowId
from node.clock import Clock
from node.errors import UsageError
from node.repositories.ports import Database, SqlRow, SqlValue
from node.repositories.rows import delete_row, given_cells, insert_row, update_changed
from node.repositories.values import (
    JsonObject,
    now_text,
    object_from_json,
    read_id,
    read_id_or_none,
    read_integer,
    read_text,
    read_text_or_none,
    strings_from_json,
    strings_to_json,
    to_json,
)

IMPORTANCE_MIN, IMPORTANCE_MAX = 1, 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """One memory as the store holds it."""

    id: RowId
    namespace: str
    kind: str
    title: str | None
    content: str
    importance: int
    tags: tuple[str, ...]
    metadata: JsonObject
    source: str | None
    source_message_id: RowId | None
    project_id: RowId | None
    person_id: RowId | None
    status: str
    use_count: int
    last_used_at: str | None
    created_at: str | None
    updated_at: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMemory:
    """What is to be remembered."""

    content: str
    namespace: str = "default"
    kind: str = "fact"
    title: str | None = None
    importance: int = 5
    tags: tuple[str, ...] = ()
    metadata: JsonObject = field(default_factory=dict)
    source: str | None = None
    source_message_id: RowId | None = None
    project_id: RowId | None = None
    person_id: RowId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryEdit:
    """The fields to change; what is not given is left alone, also where another device changes it meanwhile."""

    namespace: str | UnsetType = UNSET
    kind: str | UnsetType = UNSET
    title: str | UnsetType | None = UNSET
    content: str | UnsetType = UNSET
    importance: int | UnsetType = UNSET
    tags: tuple[str, ...] | UnsetType = UNSET
    metadata: JsonObject | UnsetType = UNSET
    project_id: RowId | UnsetType | None = UNSET
    person_id: RowId | UnsetType | None = UNSET
    status: str | UnsetType = UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryFilter:
    """Which memories to list: all conditions that are given hold."""

    namespace: str | None = None
    kind: str | None = None
    tags: tuple[str, ...] = ()
    project_id: RowId | None = None
    person_id: RowId | None = None
    include_archived: bool = False


ALL_MEMORIES = MemoryFilter()

_COLUMNS = (
    "id, namespace, kind, title, content, importance, tags, metadata, source, source_message_id, project_id,"
    " person_id, status, use_count, last_used_at, created_at, updated_at"
)


class Memories:
    """The memories of one store."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def remember(self, new: NewMemory) -> RowId:
        """Keep a memory and return its id; raises UsageError for what is no memory."""
        _require_text("content", new.content)
        _require_text("namespace", new.namespace)
        _require_importance(new.importance)
        row_id = self._database.new_row_id()
        now = now_text(self._clock)
        cells: dict[str, SqlValue] = {
            "id": row_id,
            "namespace": new.namespace,
            "kind": new.kind,
            "title": new.title,
            "content": new.content,
            "importance": new.importance,
            "tags": strings_to_json(new.tags),
            "metadata": to_json(new.metadata),
            "source": new.source,
            "source_message_id": new.source_message_id,
            "project_id": new.project_id,
            "person_id": new.person_id,
            "created_at": now,
            "updated_at": now,
        }
        with self._database.transaction() as transaction:
            insert_row(transaction, "memories", cells)
        return row_id

    def get(self, row_id: RowId) -> Memory | None:
        """Return a memory, or None if there is none of this id."""
        rows = self._database.query(f"SELECT {_COLUMNS} FROM memories WHERE id = ?", (row_id,))
        self._database.require_whole("memories", [row_id] if rows else [])
        return _memory(rows[0]) if rows else None

    def recent(self, only: MemoryFilter = ALL_MEMORIES, *, limit: int = 50, offset: int = 0) -> list[Memory]:
        """Return memories, newest first."""
        condition, parameters = _condition(only)
        rows = self._database.query(
            f"SELECT {_COLUMNS} FROM memories WHERE {condition} ORDER BY created_at DESC, id DESC LIMIT ? OFFSET ?",
            (*parameters, limit, offset),
        )
        memories = [_memory(row) for row in rows]
        self._database.note_listed("memories", [memory.id for memory in memories])
        return memories

    def edit(self, row_id: RowId, edit: MemoryEdit) -> bool:
        """Change the given fields; return whether the memory exists."""
        if not isinstance(edit.content, UnsetType):
            _require_text("content", edit.content)
        if not isinstance(edit.namespace, UnsetType):
            _require_text("namespace", edit.namespace)
        if not isinstance(edit.importance, UnsetType):
            _require_importance(edit.importance)
        cells = given_cells(
            (
                ("namespace", edit.namespace),
                ("kind", edit.kind),
                ("title", edit.title),
                ("content", edit.content),
                ("importance", edit.importance),
                ("tags", UNSET if isinstance(edit.tags, UnsetType) else strings_to_json(edit.tags)),
                ("metadata", UNSET if isinstance(edit.metadata, UnsetType) else to_json(edit.metadata)),
                ("project_id", edit.project_id),
                ("person_id", edit.person_id),
                ("status", edit.status),
            )
        )
        with self._database.transaction() as transaction:
            return update_changed(transaction, "memories", row_id, cells, updated_at=now_text(self._clock))

    def forget(self, row_id: RowId) -> bool:
        """Delete a memory on every device; return whether it existed."""
        with self._database.transaction() as transaction:
            return delete_row(transaction, "memories", row_id)

    def record_use(self, row_ids: Sequence[RowId]) -> None:
        """Count that an assistant used these memories; devices apart add up."""
        now = now_text(self._clock)
        with self._database.transaction() as transaction:
            for row_id in dict.fromkeys(row_ids):
                transaction.execute(
                    "UPDATE memories SET use_count = use_count + 1, last_used_at = max(coalesce(last_used_at, ''), ?)"
                    " WHERE id = ?",
                    (now, row_id),
                )

    def count_by_namespace(self) -> dict[str, int]:
        """Return how many memories each namespace has."""
        rows = self._database.query("SELECT namespace, count(*) FROM memories GROUP BY namespace ORDER BY namespace")
        return {read_text(namespace): read_integer(count) for namespace, count in rows}

    def clear(self, namespace: str) -> int:
        """Forget every memory of a namespace and return how many there were."""
        with self._database.transaction() as transaction:
            count = transaction.execute("SELECT count(*) FROM memories WHERE namespace = ?", (namespace,)).rows[0][0]
            transaction.execute("DELETE FROM memories WHERE namespace = ?", (namespace,))
        return read_integer(count)


def _require_text(name: str, value: str) -> None:
    if not value.strip():
        raise UsageError(f"A memory needs a {name}: the one given is empty.")


def _require_importance(importance: int) -> None:
    if not IMPORTANCE_MIN <= importance <= IMPORTANCE_MAX:
        raise UsageError(f"Importance is between {IMPORTANCE_MIN} and {IMPORTANCE_MAX}; {importance} was given.")


def _condition(only: MemoryFilter) -> tuple[str, tuple[SqlValue, ...]]:
    conditions = ["1" if only.include_archived else "status <> 'archived'"]
    parameters: list[SqlValue] = []
    for column, value in (
        ("namespace", only.namespace),
        ("kind", only.kind),
        ("project_id", only.project_id),
        ("person_id", only.person_id),
    ):
        if value is not None:
            conditions.append(f"{column} = ?")
            parameters.append(value)
    for tag in only.tags:
        conditions.append("EXISTS (SELECT 1 FROM json_each(memories.tags) AS tag WHERE tag.value = ?)")
        parameters.append(tag)
    return " AND ".join(conditions), tuple(parameters)


def _memory(row: SqlRow) -> Memory:
    return Memory(
        id=read_id(row[0]),
        namespace=read_text(row[1]),
        kind=read_text(row[2]),
        title=read_text_or_none(row[3]),
        content=read_text(row[4]),
        importance=read_integer(row[5]),
        tags=strings_from_json(row[6]),
        metadata=object_from_json(row[7]),
        source=read_text_or_none(row[8]),
        source_message_id=read_id_or_none(row[9]),
        project_id=read_id_or_none(row[10]),
        person_id=read_id_or_none(row[11]),
        status=read_text(row[12]),
        use_count=read_integer(row[13]),
        last_used_at=read_text_or_none(row[14]),
        created_at=read_text_or_none(row[15]),
        updated_at=read_text_or_none(row[16]),
    )

"""Projects: what a person works on, with what is known about its files."""

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
    read_integer_or_none,
    read_text,
    read_text_or_none,
    to_json,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """One project and how much belongs to it on this device."""

    id: RowId
    name: str
    description: str
    status: str
    settings: JsonObject
    created_at: str | None
    updated_at: str | None
    conversation_count: int
    message_count: int
    file_count: int
    file_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectEdit:
    """The fields of a project to change; what is not given is left alone."""

    name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    status: str | UnsetType = UNSET
    settings: JsonObject | UnsetType = UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectFile:
    """What is known about one file of a project."""

    id: RowId
    project_id: RowId | None
    filename: str
    original_path: str | None
    content_hash: bytes | None
    size_bytes: int | None
    mime_type: str | None
    status: str
    error: str | None
    chunk_count: int
    metadata: JsonObject
    created_at: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewProjectFile:
    """A file to be added to a project; `content_hash` is the SHA-256 of its content (32 bytes)."""

    filename: str
    original_path: str | None = None
    content_hash: bytes | None = None
    size_bytes: int | None = None
    mime_type: str | None = None
    metadata: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectFileEdit:
    """What processing a file changed; what is not given is left alone."""

    filename: str | UnsetType = UNSET
    content_hash: bytes | UnsetType = UNSET
    size_bytes: int | UnsetType = UNSET
    status: str | UnsetType = UNSET
    error: str | UnsetType | None = UNSET
    chunk_count: int | UnsetType = UNSET


_PROJECTS = (
    "SELECT p.id, p.name, p.description, p.status, p.settings, p.created_at, p.updated_at,"
    " (SELECT count(*) FROM conversations c WHERE c.project_id = p.id),"
    " (SELECT count(*) FROM conversations c JOIN messages m ON m.conversation_id = c.id WHERE c.project_id = p.id),"
    " (SELECT count(*) FROM project_files f WHERE f.project_id = p.id),"
    " (SELECT coalesce(sum(f.size_bytes), 0) FROM project_files f WHERE f.project_id = p.id)"
    " FROM projects p"
)
_FILE_COLUMNS = (
    "id, project_id, filename, original_path, content_hash, size_bytes, mime_type, status, error, chunk_count,"
    " metadata, created_at"
)


class Projects:
    """The projects of one store."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def create(self, name: str, *, description: str = "", settings: JsonObject | None = None) -> RowId:
        """Create a project; raises UsageError if this device knows another of the same name."""
        _require_name(name)
        now = now_text(self._clock)
        row_id = self._database.new_row_id()
        cells: dict[str, SqlValue] = {"id": row_id, "name": name, "description": description}
        with self._database.transaction() as transaction:
            if transaction.execute("SELECT 1 FROM projects WHERE name = ?", (name,)).rows:
                raise UsageError(f"There is a project named {name!r} already; choose another name.")
            insert_row(
                transaction,
                "projects",
                {**cells, "settings": to_json(settings or {}), "created_at": now, "updated_at": now},
            )
        return row_id

    def get(self, row_id: RowId) -> Project | None:
        """Return a project, or None if there is none of this id."""
        rows = self._database.query(f"{_PROJECTS} WHERE p.id = ?", (row_id,))
        self._database.require_whole("projects", [row_id] if rows else [])
        return _project(rows[0]) if rows else None

    def find(self, name: str) -> Project | None:
        """Return the project of this name; of several made apart, the one made first."""
        row_id = self._database.earliest_named("projects", name)
        return None if row_id is None else self.get(row_id)

    def recent(self, *, limit: int = 50, offset: int = 0) -> list[Project]:
        """Return projects, the most recently changed first."""
        rows = self._database.query(
            f"{_PROJECTS} ORDER BY p.updated_at DESC, p.id DESC LIMIT ? OFFSET ?", (limit, offset)
        )
        return [_project(row) for row in rows]

    def edit(self, row_id: RowId, edit: ProjectEdit) -> bool:
        """Change the given fields; return whether the project exists."""
        if not isinstance(edit.name, UnsetType):
            _require_name(edit.name)
        settings = UNSET if isinstance(edit.settings, UnsetType) else to_json(edit.settings)
        cells = given_cells(
            (
                ("name", edit.name),
                ("description", edit.description),
                ("status", edit.status),
                ("settings", settings),
            )
        )
        with self._database.transaction() as transaction:
            return update_changed(transaction, "projects", row_id, cells, updated_at=now_text(self._clock))

    def forget(self, row_id: RowId) -> bool:
        """Delete a project and its file rows; its conversations and memories stay, without a project."""
        with self._database.transaction() as transaction:
            for table in ("conversations", "memories"):
                transaction.execute(f"UPDATE {table} SET project_id = NULL WHERE project_id = ?", (row_id,))
            return delete_row(transaction, "projects", row_id)

    def add_file(self, project_id: RowId, new: NewProjectFile) -> RowId:
        """Add what is known about a file; its processing is pending. Raises UsageError without such a project."""
        row_id = self._database.new_row_id()
        now = now_text(self._clock)
        cells: dict[str, SqlValue] = {
            "id": row_id,
            "project_id": project_id,
            "filename": new.filename,
            "original_path": new.original_path,
            "content_hash": new.content_hash,
            "size_bytes": new.size_bytes,
            "mime_type": new.mime_type,
            "metadata": to_json(new.metadata),
            "created_at": now,
            "updated_at": now,
        }
        with self._database.transaction() as transaction:
            if not transaction.execute("SELECT 1 FROM projects WHERE id = ?", (project_id,)).rows:
                raise UsageError("There is no project of this id on this device.")
            insert_row(transaction, "project_files", cells)
        return row_id

    def files(self, project_id: RowId) -> list[ProjectFile]:
        """Return the files of a project in the order in which they were added."""
        rows = self._database.query(
            f"SELECT {_FILE_COLUMNS} FROM project_files WHERE project_id = ? ORDER BY created_at, id", (project_id,)
        )
        return [_project_file(row) for row in rows]

    def edit_file(self, row_id: RowId, edit: ProjectFileEdit) -> bool:
        """Record what processing a file changed; return whether the file exists."""
        cells = given_cells(
            (
                ("filename", edit.filename),
                ("content_hash", edit.content_hash),
                ("size_bytes", edit.size_bytes),
                ("status", edit.status),
                ("error", edit.error),
                ("chunk_count", edit.chunk_count),
            )
        )
        with self._database.transaction() as transaction:
            return update_changed(transaction, "project_files", row_id, cells, updated_at=now_text(self._clock))

    def forget_file(self, row_id: RowId) -> bool:
        """Delete a file's row on every device; return whether it existed."""
        with self._database.transaction() as transaction:
            return delete_row(transaction, "project_files", row_id)


def _require_name(name: str) -> None:
    if not name.strip():
        raise UsageError("A project needs a name.")


def _project(row: SqlRow) -> Project:
    return Project(
        id=read_id(row[0]),
        name=read_text(row[1]),
        description=read_text(row[2]),
        status=read_text(row[3]),
        settings=object_from_json(row[4]),
        created_at=read_text_or_none(row[5]),
        updated_at=read_text_or_none(row[6]),
        conversation_count=read_integer(row[7]),
        message_count=read_integer(row[8]),
        file_count=read_integer(row[9]),
        file_bytes=read_integer(row[10]),
    )


def _project_file(row: SqlRow) -> ProjectFile:
    return ProjectFile(
        id=read_id(row[0]),
        project_id=read_id_or_none(row[1]),
        filename=read_text(row[2]),
        original_path=read_text_or_none(row[3]),
        content_hash=None if row[4] is None else bytes(read_id(row[4])),
        size_bytes=read_integer_or_none(row[5]),
        mime_type=read_text_or_none(row[6]),
        status=read_text(row[7]),
        error=read_text_or_none(row[8]),
        chunk_count=read_integer(row[9]),
        metadata=object_from_json(row[10]),
        created_at=read_text_or_none(row[11]),
    )

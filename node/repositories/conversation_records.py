"""The values in which the repository of conversations speaks, and how each is read from a row."""

from dataclasses import dataclass, field

from msgspec import UNSET, UnsetType

from crdt.identifiers import RowId
from node.repositories.ports import SqlRow
from node.repositories.values import (
    JsonObject,
    object_from_json,
    read_id,
    read_id_or_none,
    read_integer,
    read_integer_or_none,
    read_real_or_none,
    read_text,
    read_text_or_none,
    strings_from_json,
    value_from_json,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """One conversation as the store holds it; money in millionths of a unit."""

    id: RowId
    namespace: str
    title: str
    project_id: RowId | None
    provider: str | None
    model: str | None
    status: str
    summary: str | None
    tags: tuple[str, ...]
    total_tokens: int
    total_cost_millionths: int
    settings: JsonObject
    metadata: JsonObject
    created_at: str | None
    updated_at: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationSummary:
    """A conversation as a list shows it."""

    conversation: Conversation
    message_count: int
    last_message_at: str | None
    preview: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewConversation:
    """What a conversation begins with."""

    title: str = ""
    namespace: str = "default"
    project_id: RowId | None = None
    provider: str | None = None
    model: str | None = None
    tags: tuple[str, ...] = ()
    settings: JsonObject = field(default_factory=dict)
    metadata: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationEdit:
    """The fields of a conversation to change; what is not given is left alone."""

    namespace: str | UnsetType = UNSET
    title: str | UnsetType = UNSET
    project_id: RowId | UnsetType | None = UNSET
    provider: str | UnsetType | None = UNSET
    model: str | UnsetType | None = UNSET
    status: str | UnsetType = UNSET
    summary: str | UnsetType | None = UNSET
    tags: tuple[str, ...] | UnsetType = UNSET
    settings: JsonObject | UnsetType = UNSET
    metadata: JsonObject | UnsetType = UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn of a conversation; `sentiment` from -1 to 1, `created_at` ISO-8601 in UTC."""

    id: RowId
    conversation_id: RowId | None
    parent_id: RowId | None
    role: str
    speaker: str | None
    content: str
    tokens: int | None
    cost_millionths: int | None
    sentiment: float | None
    response_milliseconds: int | None
    tool_calls: object
    tool_results: object
    metadata: JsonObject
    created_at: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMessage:
    """A turn to be added; without `created_at` it happens now."""

    content: str
    role: str = "user"
    speaker: str | None = None
    parent_id: RowId | None = None
    tokens: int | None = None
    cost_millionths: int | None = None
    sentiment: float | None = None
    response_milliseconds: int | None = None
    tool_calls: object = None
    tool_results: object = None
    metadata: JsonObject = field(default_factory=dict)
    created_at: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageEdit:
    """The fields of a turn to change; who said it and when never change."""

    content: str | UnsetType = UNSET
    parent_id: RowId | UnsetType | None = UNSET
    tokens: int | UnsetType | None = UNSET
    cost_millionths: int | UnsetType | None = UNSET
    sentiment: float | UnsetType | None = UNSET
    metadata: JsonObject | UnsetType = UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """What is known about something attached to a turn."""

    id: RowId
    message_id: RowId | None
    kind: str
    name: str | None
    path: str | None
    mime_type: str | None
    content_hash: bytes | None
    size_bytes: int | None
    caption: str | None
    metadata: JsonObject
    created_at: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAttachment:
    """Something to be attached; `kind` is file, image, code or diff, `content_hash` a SHA-256 (32 bytes)."""

    kind: str = "file"
    name: str | None = None
    path: str | None = None
    mime_type: str | None = None
    content_hash: bytes | None = None
    size_bytes: int | None = None
    caption: str | None = None
    metadata: JsonObject = field(default_factory=dict)


CONVERSATION_COLUMNS = (
    "id, namespace, title, project_id, provider, model, status, summary, tags, total_tokens, total_cost_millionths,"
    " settings, metadata, created_at, updated_at"
)
MESSAGE_COLUMNS = (
    "m.id, m.conversation_id, m.parent_id, m.role, m.speaker, m.content, m.tokens, m.cost_millionths, m.sentiment,"
    " m.response_milliseconds, m.tool_calls, m.tool_results, m.metadata, m.created_at"
)
ATTACHMENT_COLUMNS = (
    "id, message_id, kind, name, path, mime_type, content_hash, size_bytes, caption, metadata, created_at"
)


def read_conversation(row: SqlRow) -> Conversation:
    """Return the conversation of a row of CONVERSATION_COLUMNS."""
    return Conversation(
        id=read_id(row[0]),
        namespace=read_text(row[1]),
        title=read_text(row[2]),
        project_id=read_id_or_none(row[3]),
        provider=read_text_or_none(row[4]),
        model=read_text_or_none(row[5]),
        status=read_text(row[6]),
        summary=read_text_or_none(row[7]),
        tags=strings_from_json(row[8]),
        total_tokens=read_integer(row[9]),
        total_cost_millionths=read_integer(row[10]),
        settings=object_from_json(row[11]),
        metadata=object_from_json(row[12]),
        created_at=read_text_or_none(row[13]),
        updated_at=read_text_or_none(row[14]),
    )


def read_message(row: SqlRow) -> Message:
    """Return the turn of a row of MESSAGE_COLUMNS."""
    return Message(
        id=read_id(row[0]),
        conversation_id=read_id_or_none(row[1]),
        parent_id=read_id_or_none(row[2]),
        role=read_text(row[3]),
        speaker=read_text_or_none(row[4]),
        content=read_text(row[5]),
        tokens=read_integer_or_none(row[6]),
        cost_millionths=read_integer_or_none(row[7]),
        sentiment=read_real_or_none(row[8]),
        response_milliseconds=read_integer_or_none(row[9]),
        tool_calls=value_from_json(row[10]),
        tool_results=value_from_json(row[11]),
        metadata=object_from_json(row[12]),
        created_at=read_text_or_none(row[13]),
    )


def read_attachment(row: SqlRow) -> Attachment:
    """Return the attachment of a row of ATTACHMENT_COLUMNS."""
    content_hash = read_id_or_none(row[6])
    return Attachment(
        id=read_id(row[0]),
        message_id=read_id_or_none(row[1]),
        kind=read_text(row[2]),
        name=read_text_or_none(row[3]),
        path=read_text_or_none(row[4]),
        mime_type=read_text_or_none(row[5]),
        content_hash=None if content_hash is None else bytes(content_hash),
        size_bytes=read_integer_or_none(row[7]),
        caption=read_text_or_none(row[8]),
        metadata=object_from_json(row[9]),
        created_at=read_text_or_none(row[10]),
    )

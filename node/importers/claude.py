"""Reads a Claude data export: `conversations.json`, `projects.json` and `memories.json`, or the zip that holds them.

Anthropic publishes no specification; this follows what exports of 2024 to 2026 hold. A conversation has `chat_messages`
with a sender (`human` or `assistant`), a `text`, and in newer exports `content`: blocks of text, thinking, tool calls
and their results. Where `parent_message_uuid` is given the messages are a tree, else each answers the one before. What
was typed into an attachment is kept as its `metadata.content`; uploaded files are names only, as in the export.

A project becomes a project, each of its documents a note in it; what Claude wrote down about the person, a memory.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from crdt.identifiers import RowId
from node.importers.documents import Document
from node.importers.instants import instant_milliseconds
from node.importers.json_records import Unreadable, decoded
from node.importers.memory_rows import memory_row, whole_record
from node.importers.plan import ImportedRecord, ImportedRow, LeftOut, content_row_id
from node.importers.record_reading import each_record
from node.importers.talks import Enclosure, Talk, Turn, record_of
from node.repositories.ports import SqlValue
from node.repositories.values import instant_text, to_json

SOURCE = "claude"
FILE_NAME = re.compile(r"(?:.*/)?(?:conversations|projects|memories)\.json")
_ROLE_BY_SENDER = {"human": "user", "user": "user", "assistant": "assistant", "system": "system"}
_ROOT = "00000000-0000-4000-8000-000000000000"


class _Attachment(msgspec.Struct, frozen=True):
    file_name: str | None = None
    file_type: str | None = None
    file_size: object = None
    extracted_content: str | None = None
    file_uuid: str | None = None


class _Message(msgspec.Struct, frozen=True):
    uuid: str
    sender: str
    text: str | None = None
    content: list[dict[str, object]] | None = None
    created_at: object = None
    parent_message_uuid: str | None = None
    attachments: list[_Attachment] | None = None
    files: list[_Attachment] | None = None


class _Named(msgspec.Struct, frozen=True):
    uuid: str | None = None


class _Conversation(msgspec.Struct, frozen=True):
    uuid: str
    chat_messages: list[msgspec.Raw]
    name: str | None = None
    summary: str | None = None
    model: str | None = None
    created_at: object = None
    updated_at: object = None
    is_starred: bool | None = None
    current_leaf_message_uuid: str | None = None
    project: _Named | None = None


class _Text(msgspec.Struct, frozen=True):
    uuid: str
    content: str
    filename: str | None = None
    created_at: object = None


class _Project(msgspec.Struct, frozen=True):
    uuid: str
    name: str
    description: str | None = None
    prompt_template: str | None = None
    docs: list[_Text] | None = None
    created_at: object = None
    updated_at: object = None


class _Memories(msgspec.Struct, frozen=True):
    conversations_memory: str | None = None
    project_memories: dict[str, str] | None = None


class ClaudeImporter:
    """The importer of Claude's exports."""

    def wanted(self, documents: Sequence[Document]) -> Sequence[Document]:
        """Return the files that hold something of the person's; a file alone is one, whatever its name."""
        return list(documents) if len(documents) == 1 else [one for one in documents if FILE_NAME.fullmatch(one.name)]

    def records(self, document: Document) -> Iterator[ImportedRecord | LeftOut]:
        """Read one file: each record says by what it holds whether it is a conversation, a project or memories."""
        return each_record(document, _read)


def _read(content: bytes, place: str) -> Iterator[ImportedRecord | LeftOut]:
    fields = decoded(content, dict[str, msgspec.Raw])
    if "chat_messages" in fields:
        yield from _conversation(decoded(content, _Conversation), place)
    elif "conversations_memory" in fields or "project_memories" in fields:
        yield whole_record(_memories(decoded(content, _Memories)), place, content)
    elif "docs" in fields or "prompt_template" in fields:
        yield whole_record(_project(decoded(content, _Project)), place, content)
    else:
        raise Unreadable("this is no conversation, no project and no memory of Claude's")


def _conversation(found: _Conversation, place: str) -> Iterator[ImportedRecord | LeftOut]:
    turns: list[Turn] = []
    before: str | None = None
    for number, raw in enumerate(found.chat_messages, start=1):
        try:
            message = decoded(bytes(raw), _Message)
        except Unreadable as error:
            yield LeftOut(place=f"{place}, message {number}", problem=str(error), content=bytes(raw))
            continue
        parent = message.parent_message_uuid
        turns.append(_turn(message, before if parent is None else None if parent == _ROOT else parent))
        before = message.uuid
    project = found.project.uuid if found.project is not None else None
    talk = Talk(
        source=SOURCE,
        source_id=found.uuid,
        title=found.name or "",
        provider="anthropic",
        turns=turns,
        current=found.current_leaf_message_uuid or before,
        created_milliseconds=instant_milliseconds(found.created_at),
        updated_milliseconds=instant_milliseconds(found.updated_at),
        model=found.model,
        summary=found.summary or None,
        project_id=None if project is None else _project_id(project),
        metadata={"starred": True} if found.is_starred else {},
    )
    rows, left_out = record_of(talk, place)
    yield from left_out
    if rows is not None:
        yield rows


def _turn(message: _Message, parent: str | None) -> Turn:
    blocks = message.content or []
    texts = [block.get("text") for block in blocks if block.get("type") in ("text", "voice_note")]
    said = "\n\n".join(text for text in texts if isinstance(text, str) and text)
    thoughts = [block["thinking"] for block in blocks if isinstance(block.get("thinking"), str)]
    citations = [block["citations"] for block in blocks if block.get("citations")]
    metadata: dict[str, object] = {}
    if thoughts:
        metadata["thinking"] = thoughts
    if citations:
        metadata["citations"] = citations
    return Turn(
        source_id=message.uuid,
        parent=parent,
        role=_ROLE_BY_SENDER.get(message.sender, "tool"),
        content=said if blocks else message.text or "",
        at_milliseconds=instant_milliseconds(message.created_at),
        tool_calls=[_without_clock(block) for block in blocks if block.get("type") == "tool_use"],
        tool_results=[_without_clock(block) for block in blocks if block.get("type") == "tool_result"],
        metadata=metadata,
        enclosures=tuple(_enclosure(one) for one in (*(message.attachments or ()), *(message.files or ()))),
    )


def _without_clock(block: Mapping[str, object]) -> dict[str, object]:
    """Return a block of a tool without what is empty and when it was drawn on the screen."""
    dropped = ("type", "start_timestamp", "stop_timestamp", "display_content")
    return {name: value for name, value in block.items() if value is not None and name not in dropped}


def _enclosure(attachment: _Attachment) -> Enclosure:
    size = attachment.file_size
    mime_type = attachment.file_type if attachment.file_type and "/" in attachment.file_type else None
    return Enclosure(
        kind="image" if mime_type is not None and mime_type.startswith("image/") else "file",
        name=attachment.file_name,
        path=attachment.file_uuid,
        mime_type=mime_type,
        size_bytes=size if isinstance(size, int) else None,
        metadata={"content": attachment.extracted_content} if attachment.extracted_content else {},
    )


def _project_id(uuid: str) -> RowId:
    # Conversations name a project without its time, so its id is made of its name alone.
    return content_row_id(0, "project", SOURCE, uuid)


def _project(found: _Project) -> list[ImportedRow]:
    created = instant_milliseconds(found.created_at)
    updated = instant_milliseconds(found.updated_at)
    project: dict[str, SqlValue] = {
        "name": found.name,
        "description": found.description or "",
        "settings": to_json({"instructions": found.prompt_template} if found.prompt_template else {}),
        "created_at": None if created is None else instant_text(created),
        "updated_at": None if updated is None else instant_text(updated),
    }
    project_id = _project_id(found.uuid)
    rows = [ImportedRow(table="projects", id=project_id, cells=project)]
    for document in found.docs or ():
        if document.content.strip():
            at = instant_milliseconds(document.created_at)
            row_id = content_row_id(at or 0, "document", SOURCE, document.uuid)
            rows.append(_memory(row_id, "note", document.filename, document.content, project_id, at))
    return rows


def _memories(found: _Memories) -> list[ImportedRow]:
    rows = []
    if found.conversations_memory and found.conversations_memory.strip():
        text = found.conversations_memory
        rows.append(_memory(content_row_id(0, "memory", SOURCE, text), "context", None, text, None, None))
    for uuid, text in (found.project_memories or {}).items():
        if text.strip():
            row_id = content_row_id(0, "memory", SOURCE, uuid, text)
            rows.append(_memory(row_id, "context", None, text, _project_id(uuid), None))
    return rows


def _memory(
    row_id: RowId, kind: str, title: str | None, content: str, project_id: RowId | None, at: int | None
) -> ImportedRow:
    return memory_row(
        row_id,
        kind=kind,
        title=title,
        content=content,
        tags=(SOURCE,),
        source=SOURCE,
        project_id=project_id,
        created_milliseconds=at,
    )

"""Reads the conversations of a ChatGPT export: `conversations.json`, or the zip that holds it.

OpenAI publishes no specification; this follows what exports of 2023 to 2026 hold. The file is an array of
conversations (newer exports cut it into `conversations-000.json` and so on). Each has a `mapping` from node id to
`{id, message, parent, children}`, a tree whose root says nothing, and `current_node`, the leaf at which the person was.
A message has an author, a time in seconds since 1970 and a content of one of many types; of a type that is not known
here the text is kept where there is one, and else the content itself as `metadata.content`.

Pictures and files stay in the archive: an attachment keeps their name, size and pointer.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import msgspec

from node.importers.documents import Document
from node.importers.instants import instant_milliseconds
from node.importers.json_records import Unreadable, decoded
from node.importers.plan import ImportedRecord, LeftOut
from node.importers.record_reading import each_record
from node.importers.talks import Enclosure, Talk, Turn, record_of

SOURCE = "chatgpt"
FILE_NAME = re.compile(r"(?:.*/)?conversations(?:[-_]\d+)?\.json")
_ROLES = ("user", "assistant", "system", "tool")
_POINTER_KINDS = {"image_asset_pointer": "image"}


class _Author(msgspec.Struct, frozen=True):
    role: str = "user"
    name: str | None = None


class _Message(msgspec.Struct, frozen=True):
    content: dict[str, object]
    author: _Author = _Author()
    create_time: object = None
    status: str | None = None
    weight: float | None = None
    recipient: str | None = None
    channel: str | None = None
    metadata: dict[str, object] | None = None


class _Node(msgspec.Struct, frozen=True):
    message: msgspec.Raw = msgspec.Raw(b"null")
    parent: str | None = None


class _Conversation(msgspec.Struct, frozen=True):
    mapping: dict[str, _Node]
    title: str | None = None
    create_time: object = None
    update_time: object = None
    current_node: str | None = None
    conversation_id: str | None = None
    id: str | None = None
    default_model_slug: str | None = None
    gizmo_id: str | None = None
    is_archived: bool | None = None
    is_starred: bool | None = None


class ChatGptImporter:
    """The importer of ChatGPT exports."""

    def wanted(self, documents: Sequence[Document]) -> Sequence[Document]:
        """Return the files of conversations; a file alone is one, whatever its name."""
        return list(documents) if len(documents) == 1 else [one for one in documents if FILE_NAME.fullmatch(one.name)]

    def records(self, document: Document) -> Iterator[ImportedRecord | LeftOut]:
        """Read one file of conversations."""
        return each_record(document, _conversation)


def _conversation(content: bytes, place: str) -> Iterator[ImportedRecord | LeftOut]:
    found = decoded(content, _Conversation)
    turns = []
    for node_id, node in found.mapping.items():
        try:
            turns.append(_turn(node_id, node))
        except Unreadable as error:
            yield LeftOut(place=f"{place}, message {node_id}", problem=str(error), content=bytes(node.message))
            # What answers it still hangs together.
            turns.append(Turn(source_id=node_id, parent=node.parent, role="system", content=""))
    models = [str(turn.metadata["model"]) for turn in turns if "model" in turn.metadata]
    metadata: dict[str, object] = {}
    if found.gizmo_id:
        metadata["gizmo"] = found.gizmo_id
    if found.is_starred:
        metadata["starred"] = True
    talk = Talk(
        source=SOURCE,
        source_id=found.conversation_id or found.id or min(found.mapping, default=""),
        title=found.title or "",
        provider="openai",
        turns=turns,
        current=found.current_node,
        created_milliseconds=instant_milliseconds(found.create_time),
        updated_milliseconds=instant_milliseconds(found.update_time),
        model=found.default_model_slug or (models[-1] if models else None),
        archived=bool(found.is_archived),
        metadata=metadata,
    )
    rows, left_out = record_of(talk, place)
    yield from left_out
    if rows is not None:
        yield rows


def _turn(node_id: str, node: _Node) -> Turn:
    if bytes(node.message) == b"null":
        return Turn(source_id=node_id, parent=node.parent, role="system", content="")
    message = decoded(bytes(node.message), _Message)
    more = message.metadata or {}
    content_type = message.content.get("content_type", "text")
    text, enclosures, unread = _content(message.content)
    metadata: dict[str, object] = {}
    if content_type not in ("text", "multimodal_text"):
        metadata["content_type"] = content_type
    if unread:
        metadata["content"] = unread
    if isinstance(model := more.get("model_slug"), str):
        metadata["model"] = model
    if message.weight == 0 or more.get("is_visually_hidden_from_conversation") is True:
        metadata["hidden"] = True
    if message.channel:
        metadata["channel"] = message.channel
    if message.status and message.status != "finished_successfully":
        metadata["status"] = message.status
    called = message.recipient if message.recipient not in (None, "", "all") else None
    role = message.author.role if message.author.role in _ROLES else "tool"
    return Turn(
        source_id=node_id,
        parent=node.parent,
        role=role,
        content=text,
        at_milliseconds=instant_milliseconds(message.create_time),
        speaker=message.author.name,
        tool_calls=[{"name": called, "arguments": text}] if called and role == "assistant" else (),
        metadata=metadata,
        enclosures=_joined(enclosures, list(_files(more.get("attachments")))),
    )


def _content(content: Mapping[str, object]) -> tuple[str, list[Enclosure], object]:
    """Return the text of a content, what it encloses, and what of it is in neither."""
    match content.get("content_type", "text"):
        case "text" | "multimodal_text":
            return _parts(content.get("parts"))
        case "user_editable_context":
            return _lines(content.get("user_profile"), content.get("user_instructions")), [], None
        case "tether_quote":
            return _lines(content.get("title"), content.get("url"), content.get("text")), [], None
        case "tether_browsing_display":
            return _lines(content.get("result"), content.get("summary")), [], None
        case "system_error":
            return _lines(content.get("name"), content.get("text")), [], None
        case "reasoning_recap":
            return _lines(content.get("content")), [], None
        case "thoughts":
            thoughts = content.get("thoughts")
            steps = [step for step in thoughts if isinstance(step, dict)] if isinstance(thoughts, list) else []
            return _lines(*(_lines(step.get("summary"), step.get("content")) for step in steps)), [], None
        case _:
            text = _lines(content.get("text"))
            if text:
                return text, [], None
            said, enclosures, _ = _parts(content.get("parts"))
            holds_more = any(value for name, value in content.items() if name != "content_type")
            return said, enclosures, content if holds_more and not said else None


def _parts(parts: object) -> tuple[str, list[Enclosure], object]:
    texts: list[str] = []
    enclosures: list[Enclosure] = []
    unread: list[object] = []
    for part in parts if isinstance(parts, list) else []:
        match part:
            case str():
                texts.append(part)
            case {"asset_pointer": str(pointer)}:
                enclosures.append(_asset(part, pointer))
            case {"text": str(text)}:
                texts.append(text)
            case {"audio_asset_pointer": {"asset_pointer": str(pointer)}}:
                enclosures.append(_asset({**part, "content_type": "audio"}, pointer))
            case _:
                unread.append(part)
    return "\n".join(text for text in texts if text), enclosures, unread


def _asset(part: Mapping[str, object], pointer: str) -> Enclosure:
    size = part.get("size_bytes")
    metadata = part.get("metadata")
    made = metadata.get("dalle") if isinstance(metadata, dict) else None
    prompt = made.get("prompt") if isinstance(made, dict) else None
    return Enclosure(
        kind=_POINTER_KINDS.get(str(part.get("content_type")), "file"),
        path=pointer,
        size_bytes=size if isinstance(size, int) else None,
        caption=prompt if isinstance(prompt, str) and prompt else None,
        metadata={name: part[name] for name in ("width", "height") if isinstance(part.get(name), int)},
    )


def _files(attachments: object) -> Iterator[Enclosure]:
    for attachment in attachments if isinstance(attachments, list) else []:
        if not isinstance(attachment, dict):
            continue
        mime_type = attachment.get("mimeType") or attachment.get("mime_type")
        size, name, file_id = attachment.get("size"), attachment.get("name"), attachment.get("id")
        kind = "image" if isinstance(mime_type, str) and mime_type.startswith("image/") else "file"
        yield Enclosure(
            kind=kind,
            name=name if isinstance(name, str) else None,
            path=file_id if isinstance(file_id, str) else None,
            mime_type=mime_type if isinstance(mime_type, str) else None,
            size_bytes=size if isinstance(size, int) else None,
        )


def _joined(shown: Sequence[Enclosure], uploaded: Sequence[Enclosure]) -> tuple[Enclosure, ...]:
    """Return every file once: a picture that was uploaded is also a part of what was said, by another name."""
    named: dict[str, Enclosure] = {one.path: one for one in uploaded if one.path}
    found = []
    for enclosure in shown:
        name = (enclosure.path or "").rpartition("/")[2]
        same = named.pop(name, None)
        found.append(enclosure if same is None else replace(enclosure, name=same.name, mime_type=same.mime_type))
    return (*found, *(one for one in uploaded if not one.path or one.path in named))


def _lines(*texts: object) -> str:
    return "\n\n".join(text for text in texts if isinstance(text, str) and text)

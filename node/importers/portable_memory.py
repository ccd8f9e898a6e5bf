"""Reads a Portable AI Memory store (PAM 1.0, portable-ai-memory.org/spec/v1.0): its root document of memories.

A memory keeps its type as `kind`, its summary as title, its tags, times and metadata; confidence, provenance, access
and the relations that begin at it are kept under `metadata.pam`. One whose text is not what its `content_hash` says is
left out. Conversations and embeddings, which PAM keeps in files of their own, are not read.
"""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256

import msgspec

from node.importers.documents import Document
from node.importers.instants import instant_milliseconds
from node.importers.json_records import Unreadable, decoded
from node.importers.memory_rows import memory_row, whole_record
from node.importers.plan import ImportedRecord, ImportedRow, LeftOut, content_row_id
from node.importers.record_reading import each_record

SOURCE = "pam"
_UNDERSTOOD = frozenset(
    {"type", "custom_type", "content", "content_hash", "summary", "tags", "metadata", "embedding_ref"}
)
_TIMES = frozenset({"created_at", "updated_at"})


class _Memory(msgspec.Struct, frozen=True):
    id: str
    type: str
    content: str
    content_hash: str | None = None
    custom_type: str | None = None
    status: str | None = None
    summary: str | None = None
    tags: list[str] | None = None
    temporal: dict[str, object] | None = None
    metadata: dict[str, object] | None = None


class _Store(msgspec.Struct, frozen=True):
    memories: list[msgspec.Raw]
    relations: list[dict[str, object]] | None = None


class PortableMemoryImporter:
    """The importer of PAM's memory stores."""

    def wanted(self, documents: Sequence[Document]) -> Sequence[Document]:
        """Return the root documents; in a folder or archive they are called memory-store.json."""
        return [one for one in documents if len(documents) == 1 or one.name.endswith("memory-store.json")]

    def records(self, document: Document) -> Iterator[ImportedRecord | LeftOut]:
        """Read one store."""
        return each_record(document, _read)


def content_hash(content: str) -> str:
    """Return the hash that PAM gives a text (section 6): of its words in small letters, in one normal form."""
    words = " ".join(unicodedata.normalize("NFC", content.strip().lower()).split())
    return f"sha256:{sha256(words.encode()).hexdigest()}"


def _read(root: bytes, place: str) -> Iterator[ImportedRecord | LeftOut]:
    store = decoded(root, _Store)
    relations_by_memory: dict[object, list[Mapping[str, object]]] = {}
    for relation in store.relations or ():
        source = relation.get("from")
        relations_by_memory.setdefault(source if isinstance(source, str) else None, []).append(relation)
    for number, raw in enumerate(store.memories, start=1):
        content, at = bytes(raw), f"{place}, memory {number}"
        try:
            row = _row(content, relations_by_memory)
        except Unreadable as error:
            yield LeftOut(place=at, problem=str(error), content=content)
        else:
            yield whole_record([row], at, content)


def _row(content: bytes, relations_by_memory: Mapping[object, Sequence[Mapping[str, object]]]) -> ImportedRow:
    memory, fields = decoded(content, _Memory), decoded(content, dict[str, object])
    if memory.content_hash is not None and memory.content_hash != content_hash(memory.content):
        raise Unreadable("its text is not what its content_hash says")
    details = {name: value for name, value in fields.items() if name not in _UNDERSTOOD and value is not None}
    temporal = memory.temporal or {}
    spans = {name: value for name, value in temporal.items() if name not in _TIMES and value is not None}
    details["temporal"] = spans
    details["relations"] = [dict(relation) for relation in relations_by_memory.get(memory.id, ())]
    kept = {name: value for name, value in details.items() if value not in ([], {})}
    created = instant_milliseconds(temporal.get("created_at"))
    return memory_row(
        content_row_id(created or 0, "memory", SOURCE, memory.id, memory.content),
        content=memory.content,
        source=SOURCE,
        kind=memory.custom_type if memory.type == "custom" and memory.custom_type else memory.type,
        title=memory.summary or None,
        tags=(SOURCE, *(memory.tags or ())),
        metadata={
            **(memory.metadata or {}),
            SOURCE: kept,
        },
        archived=memory.status not in (None, "active"),
        created_milliseconds=created,
        updated_milliseconds=instant_milliseconds(temporal.get("updated_at")),
    )

"""Reads memories that mem0 gave out as JSON.

What `get_all` of its library and platform answers (`{"results": […]}`, with pages or without, and with `relations` if
it keeps a graph), a bare array of memories, one memory a line, and the `{"memories": […]}` of OpenMemory. A memory has
a text (`memory`, in OpenMemory `content` or `text`), an id, times in any zone, `metadata` and `categories`. Categories
become tags; the person's metadata stays what it is, and whom the memory belongs to is kept under `metadata.mem0`.
"""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from node.importers.documents import Document
from node.importers.instants import instant_milliseconds
from node.importers.json_records import Unreadable, decoded
from node.importers.memory_rows import memory_row, whole_record
from node.importers.plan import ImportedRecord, ImportedRow, LeftOut, content_row_id
from node.importers.record_reading import each_record
from node.repositories.values import to_json

SOURCE = "mem0"
_LISTS = ("results", "memories")
_TEXTS = ("memory", "content", "text", "data")
_OWN = frozenset({*_TEXTS, "id", "created_at", "updated_at", "categories", "metadata", "metadata_", "state"})
# What a search adds to a memory, or can be computed again.
_DROPPED = frozenset({"score", "hash", "embedding", "vector"})


class _Relation(msgspec.Struct, frozen=True):
    source: str
    relationship: str
    target: str | None = None
    destination: str | None = None


class Mem0Importer:
    """The importer of mem0's answers and exports."""

    def wanted(self, documents: Sequence[Document]) -> Sequence[Document]:
        """Return the files that can hold memories."""
        return [one for one in documents if len(documents) == 1 or one.name.endswith((".json", ".jsonl"))]

    def records(self, document: Document) -> Iterator[ImportedRecord | LeftOut]:
        """Read one file."""
        return each_record(document, _read)


def _read(answer: bytes, place: str) -> Iterator[ImportedRecord | LeftOut]:
    fields = decoded(answer, dict[str, msgspec.Raw])
    if not any(name in fields for name in (*_LISTS, "relations")):
        yield whole_record([_memory(answer)], place, answer)
        return
    for name in (*_LISTS, "relations"):
        items = bytes(fields.get(name, b"null"))
        for number, item in enumerate(decoded(items, list[msgspec.Raw]) if items != b"null" else (), start=1):
            content, at = bytes(item), f"{place}, {name} {number}"
            try:
                row = _relation(decoded(content, _Relation)) if name == "relations" else _memory(content)
            except Unreadable as error:
                yield LeftOut(place=at, problem=str(error), content=content)
            else:
                yield whole_record([row], at, content)


def _memory(content: bytes) -> ImportedRow:
    fields = decoded(content, dict[str, object])
    text = next((value for name in _TEXTS if isinstance(value := fields.get(name), str)), "")
    if not text.strip():
        raise Unreadable("a memory needs a text under `memory`")
    created = instant_milliseconds(fields.get("created_at"))
    owner = {name: value for name, value in fields.items() if name not in _OWN | _DROPPED and value not in (None, [])}
    source_id = fields.get("id")
    if isinstance(source_id, str | int):
        owner["id"] = source_id
    parts = (str(source_id),) if "id" in owner else (text, to_json(owner))
    metadata = fields.get("metadata") or fields.get("metadata_")
    return memory_row(
        content_row_id(created or 0, "memory", SOURCE, *parts),
        content=text,
        source=SOURCE,
        tags=(SOURCE, *_categories(fields.get("categories"))),
        metadata={**(metadata if isinstance(metadata, dict) else {}), **({SOURCE: owner} if owner else {})},
        archived=fields.get("state") in ("archived", "paused"),
        created_milliseconds=created,
        updated_milliseconds=instant_milliseconds(fields.get("updated_at")),
    )


def _categories(value: object) -> Iterator[str]:
    for category in value if isinstance(value, list) else []:
        name = category.get("name") if isinstance(category, Mapping) else category
        if isinstance(name, str) and name.strip():
            yield name


def _relation(relation: _Relation) -> ImportedRow:
    target = relation.target or relation.destination
    if target is None:
        raise Unreadable("the relation has no target")
    parts = (relation.source, relation.relationship, target)
    return memory_row(
        content_row_id(0, "relation", SOURCE, *parts),
        kind="relation",
        content=" ".join(parts),
        source=SOURCE,
        tags=(SOURCE,),
        metadata={SOURCE: dict(zip(("source", "relationship", "target"), parts, strict=True))},
    )

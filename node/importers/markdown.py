"""Reads notes in Markdown: one file, a folder (an Obsidian vault), or an archive of one.

Each file becomes a memory of kind `note`; its title is the `title` of its front matter or its file's name, its content
the text after the front matter, unchanged. Of the front matter `tags`, `kind` (or `type`), `namespace`, `importance`,
`created` (or `created_at`, `date`) and `updated` (or `updated_at`, `modified`, `lastmod`) are understood; everything
else is kept in `metadata`, and `metadata.path` says where the file lay. A note that our own Markdown export wrote
(`nuthatch: memory`) comes back as the memory that it was, id included.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from crdt.errors import MergeError
from crdt.identifiers import RowId, row_id_from_text
from node.errors import InputError
from node.importers.documents import Document
from node.importers.front_matter import split_front_matter
from node.importers.instants import instant_milliseconds
from node.importers.json_records import Unreadable, keepable
from node.importers.memory_rows import importance_of, memory_row, whole_record
from node.importers.plan import TEXT_BYTES_MAX, ImportedRecord, ImportedRow, LeftOut, content_row_id

SOURCE = "markdown"
SUFFIXES = (".md", ".markdown")
#: The columns of a memory by which it belongs to something else.
LINKS = ("project_id", "person_id", "source_message_id")
_CREATED = ("created", "created_at", "date")
_UPDATED = ("updated", "updated_at", "modified", "lastmod")
_UNDERSTOOD = frozenset(
    {"title", "tags", "tag", "kind", "type", "namespace", "importance", "status", "source", "metadata"}
)
_BETWEEN_TAGS = re.compile(r"[,\s]+")
_FILE_BYTES_MAX = 4 * TEXT_BYTES_MAX


class MarkdownImporter:
    """The importer of notes."""

    def wanted(self, documents: Sequence[Document]) -> Sequence[Document]:
        """Return the notes."""
        return [one for one in documents if len(documents) == 1 or one.name.lower().endswith(SUFFIXES)]

    def records(self, document: Document) -> Iterator[ImportedRecord | LeftOut]:
        """Read one note."""
        content = b""
        try:
            content = document.content(_FILE_BYTES_MAX)
            text = keepable(content.decode("utf-8-sig"))
            yield whole_record([_note(text, document.name)], document.name, content)
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            yield LeftOut(place=f"{document.name}, line {line}", problem="this is not UTF-8 text", content=content)
        except (Unreadable, InputError) as error:
            yield LeftOut(place=document.name, problem=str(error), content=content)


def _note(text: str, name: str) -> ImportedRow:
    fields, body = split_front_matter(text)
    if "nuthatch" in fields:
        return _exported(fields, body)
    metadata: dict[str, object] = {}
    created = _instant(fields, _CREATED, metadata)
    updated = _instant(fields, _UPDATED, metadata)
    understood = _UNDERSTOOD - {"metadata", "status", "source"} | {*_CREATED, *_UPDATED}
    metadata |= {key: value for key, value in fields.items() if key not in understood}
    importance = importance_of(fields.get("importance"))
    if importance is None and fields.get("importance") is not None:
        metadata["importance"] = fields["importance"]
    path = PurePosixPath(name)
    title, kind = fields.get("title"), fields.get("kind", fields.get("type"))
    return memory_row(
        content_row_id(created or 0, "note", SOURCE, path.name, text),
        kind=kind if isinstance(kind, str) and kind else "note",
        title=keepable(str(title)) if title is not None else path.stem,
        content=body,
        namespace=_text(fields.get("namespace")),
        importance=importance,
        tags=(*_tags(fields.get("tags")), *_tags(fields.get("tag"))),
        metadata={**metadata, "path": keepable(name)},
        source=SOURCE,
        created_milliseconds=created,
        updated_milliseconds=updated,
    )


def _exported(fields: Mapping[str, object], body: str) -> ImportedRow:
    """Return the memory that our own export wrote."""
    if fields["nuthatch"] != "memory":
        raise Unreadable("only memories come back from Markdown; an export as jsonl brings everything")
    row_id = _id(fields.get("id"))
    metadata, tags = fields.get("metadata"), fields.get("tags")
    row = memory_row(
        row_id,
        kind=_text(fields.get("kind")) or "note",
        title=title if isinstance(title := fields.get("title"), str) else None,
        content=body,
        namespace=_text(fields.get("namespace")),
        importance=importance_of(fields.get("importance")),
        tags=[tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else [],
        metadata=metadata if isinstance(metadata, dict) else {},
        source=_text(fields.get("source")),
        archived=fields.get("status") == "archived",
        created_milliseconds=instant_milliseconds(fields.get("created_at")),
        updated_milliseconds=instant_milliseconds(fields.get("updated_at")),
    )
    links = {name: _id(fields[name]) for name in LINKS if fields.get(name) is not None}
    return replace(row, cells={**row.cells, **links})


def _id(value: object) -> RowId:
    try:
        return row_id_from_text(str(value))
    except MergeError as error:
        raise Unreadable(str(error)) from error


def _instant(fields: Mapping[str, object], names: Sequence[str], metadata: dict[str, object]) -> int | None:
    """Return the first instant under these names; what cannot be understood is kept as it is written."""
    found: int | None = None
    for name in names:
        at = instant_milliseconds(fields.get(name))
        if found is None and at is not None:
            found = at
        elif fields.get(name) is not None:
            metadata[name] = fields[name]
    return found


def _tags(value: object) -> Iterator[str]:
    """Return tags: a list, or one text in which commas or spaces divide them; the # of a tag is not part of it."""
    written = value if isinstance(value, list) else _BETWEEN_TAGS.split(value) if isinstance(value, str) else []
    for tag in written:
        named = keepable(str(tag)).strip().removeprefix("#")
        if named and tag is not None:
            yield named


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None

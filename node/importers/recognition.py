"""Tells by their content in which format documents are written."""

import re
from collections.abc import Sequence
from itertools import islice
from pathlib import PurePosixPath

import msgspec

from node.errors import InputError
from node.importers.documents import Document
from node.importers.json_records import JsonRecord, Unreadable, decoded, json_records
from node.importers.markdown import SUFFIXES as MARKDOWN_SUFFIXES
from node.importers.table_rows import DELIMITERS, width
from node.importers.table_rows import SUFFIXES as TABLE_SUFFIXES

_LOOKED_AT_BYTES = 1 << 16
_LOOKED_AT_RECORDS = 20
# Of each format, fields that together no other has; the first that fits is taken.
_FORMAT_BY_FIELDS: tuple[tuple[frozenset[str], str], ...] = (
    (frozenset({"nuthatch"}), "jsonl"),
    (frozenset({"table", "cells"}), "jsonl"),
    (frozenset({"mapping"}), "chatgpt"),
    (frozenset({"chat_messages"}), "claude"),
    (frozenset({"uuid", "docs"}), "claude"),
    (frozenset({"conversations_memory"}), "claude"),
    (frozenset({"type", "name", "entityType"}), "mcp-memory"),
    (frozenset({"type", "from", "to", "relationType"}), "mcp-memory"),
    (frozenset({"entities", "relations"}), "mcp-memory"),
    (frozenset({"speaker_a", "speaker_b"}), "locomo"),
    (frozenset({"conversation", "qa"}), "locomo"),
    (frozenset({"sample_id", "conversation"}), "locomo"),
    (frozenset({"schema", "owner", "memories"}), "pam"),
    (frozenset({"memory"}), "mem0"),
    (frozenset({"results"}), "mem0"),
    (frozenset({"memories"}), "mem0"),
    (frozenset({"content"}), "jsonl"),
)


def recognised_format(documents: Sequence[Document], formats: Sequence[str]) -> str:
    """Return the name of the format; raises InputError with what to do where none fits."""
    if not documents:
        raise InputError("There is nothing to import: the folder or archive is empty.")
    found = _by_content(documents[0]) if len(documents) == 1 else _of_several(documents)
    if found is None:
        raise InputError(
            f"What {documents[0].name} holds was not recognised. If you know it, name it with --format:"
            f" {', '.join(formats)}. Nothing was imported."
        )
    return found


def _of_several(documents: Sequence[Document]) -> str | None:
    """Return the format of a folder or archive: an export of conversations, else notes."""
    for document in documents:
        if re.fullmatch(r"conversations(?:[-_]\d+)?\.json", PurePosixPath(document.name).name):
            return _by_content(document)
    suffixes = {PurePosixPath(document.name).suffix.lower() for document in documents}
    if suffixes & set(MARKDOWN_SUFFIXES):
        return "markdown"
    return None


def _by_content(document: Document) -> str | None:
    suffix = PurePosixPath(document.name).suffix.lower()
    if suffix in MARKDOWN_SUFFIXES:
        return "markdown"
    if suffix in TABLE_SUFFIXES:
        return "csv"
    beginning = document.beginning(_LOOKED_AT_BYTES).removeprefix(b"\xef\xbb\xbf").lstrip()
    if beginning[:1] in (b"{", b"["):
        return _of_json(document)
    return "csv" if _is_table(beginning) else None


def _of_json(document: Document) -> str | None:
    # The first record may be a broken one.
    for record in islice(json_records(document.blocks()), _LOOKED_AT_RECORDS):
        names = _names(record)
        found = next((name for fields, name in _FORMAT_BY_FIELDS if fields <= names), None)
        if found is not None:
            return found
    return None


def _names(record: JsonRecord) -> set[str]:
    if record.problem is not None:
        return set()
    try:
        return set(decoded(record.content, dict[str, msgspec.Raw]))
    except Unreadable:
        return set()


def _is_table(beginning: bytes) -> bool:
    """Tell whether the first lines have several columns of equal number."""
    lines = beginning.decode("utf-8", "replace").splitlines()[:5]
    if len(lines) < 2:
        return False
    return any(
        len(widths := {width(line, delimiter) for line in lines if line.strip()}) == 1 and widths.pop() > 1
        for delimiter in DELIMITERS
    )

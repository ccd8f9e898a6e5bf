"""Planted bugs in how cells merge from within: texts, documents, least values."""

from crdt.strategies import json_document, lww, text
from crdt.strategies.json_document import JsonDocument
from crdt.strategies.text import Text
from crdt.text_edits import Edit
from simulations.mutants.registry import STATE_CHECKS, Mutant, focused, other_join, replaced

_NOTES = focused(tables=("drill_notes",), devices=3, steps=60, statements_max=3)


def _concurrent_edit_dropped(a: Text, b: Text) -> Text:
    joined = text.join(a, b)
    return joined if len(joined.heads) < 2 else a


def _second_insert_dropped(a: Text, b: Text) -> Text:
    return a if a.plain and b.plain else text.join(a, b)


def _rewritten_whole(old: str, new: str) -> list[Edit]:
    return [Edit(0, len(old), new)] if old != new else []


def _newest_document_whole(a: JsonDocument, b: JsonDocument) -> JsonDocument:
    return max(a, b, key=lambda document: max((leaf.stamp for leaf in document.leaf_by_path.values()), default=b""))


def _removed_key_returns(a: JsonDocument, b: JsonDocument) -> JsonDocument:
    merged = dict(json_document.join(a, b).leaf_by_path)
    for document in (a, b):
        for path, leaf in document.leaf_by_path.items():
            if leaf.text is not None and merged[path].text is None:
                merged[path] = leaf
    return JsonDocument(merged)


WITHIN_CELLS = (
    Mutant(
        name="concurrent-text-edit-dropped",
        says="of two edits of one text made apart, the one that arrives is lost",
        checks=STATE_CHECKS,
        plant=lambda: other_join("text", _concurrent_edit_dropped),
        focus=_NOTES,
    ),
    Mutant(
        name="second-inserted-text-dropped",
        says="where one row was inserted apart with two texts, the one that arrives is lost",
        checks=STATE_CHECKS,
        plant=lambda: other_join("text", _second_insert_dropped),
        focus=_NOTES,
    ),
    Mutant(
        name="edited-text-rewritten-whole",
        says="an edit writes the whole text anew, and with it what others took away meanwhile",
        checks=STATE_CHECKS,
        plant=lambda: replaced(text, "edits", _rewritten_whole),
        focus=_NOTES,
    ),
    Mutant(
        name="document-taken-whole",
        says="a document is the last one written, whatever keys others set meanwhile",
        checks=STATE_CHECKS,
        plant=lambda: other_join("document", _newest_document_whole),
        focus=_NOTES,
    ),
    Mutant(
        name="removed-key-returns",
        says="a key that was taken away comes back with the next merge",
        checks=STATE_CHECKS,
        plant=lambda: other_join("document", _removed_key_returns),
        focus=_NOTES,
    ),
    Mutant(
        name="min-is-last-write",
        says="a min cell takes the newest value",
        checks=STATE_CHECKS,
        plant=lambda: other_join("min", lww.join),
        focus=_NOTES,
    ),
)

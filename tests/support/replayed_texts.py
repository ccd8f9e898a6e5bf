"""Replays every change that a replica knows of through Automerge alone: what a text must show, with no state kept."""

from collections.abc import Iterable, Sequence

from automerge.core import Document

from crdt import document
from crdt.strategies.text import Text, inserter
from crdt.text_chunk import read_chunk
from crdt.text_edits import Edit

TEXT_OBJECT = b"\x10\x10nuthatch-text-v1\x00\x01"


def insert_by_automerge(text: str, actor: bytes) -> bytes:
    """Return the change that writes `text` into the empty document, or b"" for an empty text."""
    made = Document.load(document.BASE.raw)
    made.set_actor(actor)
    with made.transaction() as transaction:
        transaction.splice_text(TEXT_OBJECT, 0, 0, text)  # type: ignore[attr-defined]
    change = made.get_last_local_change()
    return change.raw_bytes if change else b""


def edit_by_automerge(parts: Sequence[bytes], heads: Sequence[bytes], actor: bytes, edits: Sequence[Edit]) -> bytes:
    """Return the change by which `actor` makes `edits` in the text of `parts`, whose heads must be `heads`."""
    made = Document.load(b"".join(parts))
    assert sorted(made.get_heads()) == sorted(heads)
    made.set_actor(actor)
    with made.transaction() as transaction:
        for position, removed, inserted in reversed(edits):
            transaction.splice_text(TEXT_OBJECT, position, removed, inserted)  # type: ignore[attr-defined]
    change = made.get_last_local_change()
    assert change is not None
    return bytes(change.raw_bytes)


def replay(states: Iterable[Text]) -> Document:
    """Return the document of all changes in `states`, each once, applied by Automerge in one go."""
    raws: set[bytes] = set()
    for state in states:
        if state.plain is None:
            raws.update(state.chunks.values())
        elif state.plain:
            raws.add(insert_by_automerge(state.plain, inserter(state.place, state.plain)))
    waiting = {chunk.hash: chunk for chunk in map(read_chunk, sorted(raws))}
    applied = {document.BASE.hash}
    parts = [document.BASE.raw]
    while waiting:
        for name in [name for name, chunk in waiting.items() if applied.issuperset(chunk.deps)]:
            applied.add(name)
            parts.append(waiting.pop(name).raw)
    return Document.load(b"".join(parts))


def replayed_text(states: Iterable[Text]) -> str:
    """Return the text of `replay(states)`."""
    return replay(states).text(TEXT_OBJECT)

"""The adapter to Automerge: texts as documents, changes as bytes, one kind of error.

Automerge drops changes without a word where their base is another document's, raises a bare Exception where a
dependency is missing, and panics (a BaseException) on damaged bytes. So what was expected is asserted after every load,
and all of it becomes MergeError. The library is loaded when the first text is edited, not before.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from crdt.errors import MergeError
from crdt.text_chunk import ChangeHash, read_chunk
from crdt.text_edits import Edit

if TYPE_CHECKING:
    from automerge.core import Document

#: The one change that every text begins with: actor "nuthatch-text-v1" makes the text object `text`. Frozen for ever.
BASE = read_chunk(
    bytes.fromhex(
        "856f4a8317091255012f00106e757468617463682d746578742d763101010000000515063401420256027002"
        "7f0474657874017f047f007f00"
    )
)
_TEXT_OBJECT = b"\x10\x10nuthatch-text-v1\x00\x01"


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except MergeError:
        raise
    except Exception as error:
        raise MergeError("a change of a text does not fit the changes that it names") from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise MergeError("a change of a text cannot be understood") from error


def _load(parts: Sequence[bytes], heads: Sequence[ChangeHash]) -> "Document":
    from automerge.core import Document

    document = Document.load(b"".join(parts))
    if sorted(document.get_heads()) != sorted(heads):
        raise MergeError("a change of a text builds on another document than it names")
    return document


def edit(parts: Sequence[bytes], heads: Sequence[ChangeHash], actor: bytes, edits: Sequence[Edit]) -> bytes:
    """Return the change by which `actor` makes `edits` in the text that `parts` (saved documents, changes) amount to.

    `heads` are the heads that the parts must have. Equal arguments give equal bytes. Raises MergeError.
    """
    with _translated():
        document = _load(parts, heads)
        document.set_actor(actor)
        with document.transaction() as transaction:
            for position, removed, inserted in reversed(edits):
                # The library's type stub leaves this method out.
                transaction.splice_text(  # type: ignore[attr-defined]
                    _TEXT_OBJECT, position, removed, inserted
                )
        change = document.get_last_local_change()
    if change is None:
        raise MergeError("an edit of a text changed nothing")
    return bytes(change.raw_bytes)


def save(parts: Sequence[bytes], heads: Sequence[ChangeHash]) -> bytes:
    """Return one compact document of everything in `parts`, from which each change comes back in its own bytes."""
    with _translated():
        return _load(parts, heads).save()


def changes(document: bytes) -> list[bytes]:
    """Return the changes inside a saved document, in an order in which they can be applied. Raises MergeError."""
    from automerge.core import Document

    with _translated():
        return [bytes(change.raw_bytes) for change in Document.load(document).get_changes([])]

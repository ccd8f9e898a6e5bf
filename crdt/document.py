"""The adapter to Automerge: what it makes of the changes of a text, in one kind of error.

Automerge drops changes without a word where their base is another document's, raises a bare Exception where a
dependency is missing, and panics (a BaseException) on damaged bytes. So what was expected is asserted after every load,
and all of it becomes MergeError. The library is loaded when the first text is replayed, not before.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from crdt.errors import MergeError
from crdt.text_change import ChangeHash
from crdt.text_chunk import read_chunk

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


def replay(chunks: Sequence[bytes], heads: Sequence[ChangeHash]) -> str:
    """Return the text that the library makes of the base and `chunks`, each behind those that it builds on.

    `heads` are the names of those that no other one builds on. Raises MergeError where the library finds others.
    """
    from automerge.core import Document

    with _translated():
        document = Document.load(b"".join([BASE.raw, *chunks]))
        if sorted(document.get_heads()) != sorted(heads):
            raise MergeError("a change of a text builds on another document than it names")
        return document.text(_TEXT_OBJECT)

"""What a change of a text is: its name, what it builds on, and the characters that it inserts and deletes."""

from typing import NamedTuple, NewType

ChangeHash = NewType("ChangeHash", bytes)

HASH_BYTES = 32
ACTOR_BYTES = 16
#: The actor of the one change that every text begins with; its first operation makes the text.
BASE_ACTOR = b"nuthatch-text-v1"


class Chunk(NamedTuple):
    """A change's bytes, its name, and the names of the changes that it builds on."""

    hash: ChangeHash
    deps: tuple[ChangeHash, ...]
    raw: bytes


class Insertion(NamedTuple):
    """`text` behind the character (actor, counter), at the beginning where `actor` is None."""

    actor: bytes | None
    counter: int
    text: str


class Deletion(NamedTuple):
    """`length` characters of `actor`: counter, counter + step, …"""

    actor: bytes
    counter: int
    length: int
    step: int = 1


class TextChange(NamedTuple):
    """What a change does: its operations are numbered `start`, `start` + 1, … one for each character."""

    actor: bytes
    deps: tuple[ChangeHash, ...]
    start: int
    operations: tuple[Insertion | Deletion, ...]


def last_number(change: TextChange) -> int:
    """Return the number of a change's last operation."""
    return change.start - 1 + sum([len(o.text) if isinstance(o, Insertion) else o.length for o in change.operations])

"""The changes of a text in Automerge's binary format: their names, and what each one builds on.

Source: the Automerge binary format specification (automerge.org/automerge-binary-format-spec), "Change chunk". A
chunk is magic 4 ‖ checksum 4 ‖ type 1 ‖ length (LEB128) ‖ contents; its hash is SHA-256 over type ‖ length ‖ contents,
and the checksum is its first four bytes. Only the uncompressed form (type 1) is used, so that a change has one
spelling.
"""

from hashlib import sha256
from typing import NamedTuple, NewType

from crdt.errors import MergeError

ChangeHash = NewType("ChangeHash", bytes)

HASH_BYTES = 32
MAGIC = b"\x85\x6f\x4a\x83"
_TYPE_CHANGE = 1
_CONTENTS_AT_LEAST = 9


class Chunk(NamedTuple):
    """A change's bytes, its name, and the names of the changes that it builds on."""

    hash: ChangeHash
    deps: tuple[ChangeHash, ...]
    raw: bytes


def read_unsigned(raw: bytes, offset: int) -> tuple[int, int]:
    """Return the shortest-form LEB128 number of at most 63 bits at `offset`, and the offset behind it."""
    number = shift = 0
    while True:
        if offset >= len(raw) or shift > 56:
            raise MergeError("a change of a text ends within a number")
        byte = raw[offset]
        offset += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            if byte == 0 and shift:
                raise MergeError("a change of a text spells a number too long")
            return number, offset
        shift += 7


def read_chunk(raw: object) -> Chunk:
    """Return the change in `raw`, its hash and its length checked; raise MergeError for anything else."""
    if not isinstance(raw, bytes) or len(raw) < _CONTENTS_AT_LEAST or raw[:4] != MAGIC or raw[8] != _TYPE_CHANGE:
        raise MergeError("a change of a text is an uncompressed Automerge change")
    length, start = read_unsigned(raw, _CONTENTS_AT_LEAST)
    if start + length != len(raw):
        raise MergeError("a change of a text is longer or shorter than it says")
    name = sha256(memoryview(raw)[8:]).digest()
    if name[:4] != raw[4:8]:
        raise MergeError("a change of a text is damaged")
    count, offset = read_unsigned(raw, start)
    end = offset + count * HASH_BYTES
    if end > len(raw):
        raise MergeError("a change of a text ends within its dependencies")
    deps = tuple(ChangeHash(raw[at : at + HASH_BYTES]) for at in range(offset, end, HASH_BYTES))
    return Chunk(ChangeHash(name), deps, raw)

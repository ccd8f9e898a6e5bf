"""The changes of a text in Automerge's binary format: read strictly, written byte for byte as Automerge writes them.

Source: the Automerge binary format specification (automerge.org/automerge-binary-format-spec), "Change chunk". A
chunk is magic 4 ‖ checksum 4 ‖ type 1 ‖ length (LEB128) ‖ contents; its hash is SHA-256 over type ‖ length ‖ contents,
and the checksum is its first four bytes. Only the uncompressed form (type 1) is used, so that a change has one
spelling and nothing is ever inflated. Of all operations only two are allowed: inserting one character behind another
(or at the beginning), and deleting one. A chunk is accepted exactly if writing what was read gives its bytes again.
"""

from collections.abc import Sequence
from hashlib import sha256

from crdt.errors import MergeError
from crdt.text_change import ACTOR_BYTES, HASH_BYTES, ChangeHash, Chunk, TextChange
from crdt.text_columns import read_unsigned, unsigned
from crdt.text_operations import read_columns, read_operations, read_usual_operations
from crdt.text_writing import write_contents

MAGIC = b"\x85\x6f\x4a\x83"
_TYPE_CHANGE = 1
_TYPE = bytes([_TYPE_CHANGE])
_CONTENTS_AT_LEAST = 9


def read_chunk(raw: object) -> Chunk:
    """Return the change in `raw`, its hash and its length checked; raise MergeError for anything else."""
    if not isinstance(raw, bytes) or len(raw) <= _CONTENTS_AT_LEAST or raw[:4] != MAGIC or raw[8] != _TYPE_CHANGE:
        raise MergeError("a change of a text is an uncompressed Automerge change")
    length, start = read_unsigned(raw, _CONTENTS_AT_LEAST)
    if start + length != len(raw):
        raise MergeError("a change of a text is longer or shorter than it says")
    name = sha256(memoryview(raw)[8:]).digest()
    if name[:4] != raw[4:8]:
        raise MergeError("a change of a text is damaged")
    deps, _ = _read_deps(raw, start)
    return Chunk(ChangeHash(name), deps, raw)


def _read_deps(raw: bytes, start: int) -> tuple[tuple[ChangeHash, ...], int]:
    count, offset = read_unsigned(raw, start)
    end = offset + count * HASH_BYTES
    if end > len(raw):
        raise MergeError("a change of a text ends within its dependencies")
    return tuple([ChangeHash(raw[at : at + HASH_BYTES]) for at in range(offset, end, HASH_BYTES)]), end


def write_chunk(change: TextChange) -> Chunk:
    """Return the bytes of a change, the same that Automerge gives it."""
    contents = write_contents(change)
    hashed = b"".join((_TYPE, unsigned(len(contents)), contents))
    name = sha256(hashed).digest()
    return Chunk(ChangeHash(name), change.deps, b"".join((MAGIC, name[:4], hashed)))


def parse_chunk(raw: bytes) -> TextChange:
    """Return what a change does; raise MergeError where it is anything but canonical insertions and deletions."""
    _, begin = read_unsigned(raw, _CONTENTS_AT_LEAST)
    deps, offset = _read_deps(raw, begin)
    actor = raw[offset + 1 : offset + 1 + ACTOR_BYTES]
    # The number of the change (1), the time (0) and the message (empty) need not be read: writing shows what they are.
    start, offset = read_unsigned(raw, offset + 1 + ACTOR_BYTES + 1)
    count, offset = read_unsigned(raw, offset + 2)
    actors = [actor]
    for _ in range(min(count, len(raw) // ACTOR_BYTES)):
        actors.append(raw[offset + 1 : offset + 1 + ACTOR_BYTES])
        offset += 1 + ACTOR_BYTES
    column_by_number = read_columns(raw, offset)
    contents = raw[begin:]
    usual = read_usual_operations(start, actors, column_by_number)
    if usual is not None:
        change = TextChange(actor, deps, start, usual)
        if write_contents(change) == contents and _in_order(deps):
            return change
    change = TextChange(actor, deps, start, read_operations(start, actors, column_by_number))
    if not change.operations or not _in_order(deps) or write_contents(change) != contents:
        raise MergeError("a change of a text does something else than inserting and deleting characters")
    return change


def _in_order(deps: Sequence[ChangeHash]) -> bool:
    return len(deps) < 2 or list(deps) == sorted(set(deps))

"""The changes of a text in Automerge's binary format: read strictly, written byte for byte as Automerge writes them.

Source: the Automerge binary format specification (automerge.org/automerge-binary-format-spec), "Change chunk". A
chunk is magic 4 ‖ checksum 4 ‖ type 1 ‖ length (LEB128) ‖ contents; its hash is SHA-256 over type ‖ length ‖ contents,
and the checksum is its first four bytes. Only the uncompressed form (type 1) is used, so that a change has one
spelling and nothing is ever inflated. Of all operations only two are allowed: inserting one character behind another
(or at the beginning), and deleting one. A chunk is accepted exactly if writing what was read gives its bytes again, and
if it holds no more stretches of operations than bytes: single characters at equal distances, which a few bytes can name
by the million, are deleted in another order by whoever means them (`written_out`).
"""

from collections.abc import Sequence
from hashlib import sha256

from crdt.errors import MergeError
from crdt.text_change import ACTOR_BYTES, HASH_BYTES, ChangeHash, Chunk, Deletion, Insertion, TextChange
from crdt.text_columns import read_unsigned, unsigned
from crdt.text_operations import read_columns, read_operations, read_usual_operations
from crdt.text_writing import write_contents

MAGIC = b"\x85\x6f\x4a\x83"
_TYPE_CHANGE = 1
_TYPE = bytes([_TYPE_CHANGE])
_CONTENTS_AT_LEAST = 9
_BYTES_AT_LEAST = 64


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
    change = TextChange(actor, deps, start, read_operations(start, actors, column_by_number, len(raw)))
    if not change.operations or not _in_order(deps) or write_contents(change) != contents:
        raise MergeError("a change of a text does something else than inserting and deleting characters")
    return change


def written_out(change: TextChange) -> TextChange:
    """Return the change, such that it has no more operations than bytes.

    Each insertion takes a byte or more, and so does each deletion, but for single characters at equal distances: of
    these every two change their places, and no two distances in a row are alike.
    """
    operations = list(change.operations)
    if len(operations) <= _BYTES_AT_LEAST or len(operations) <= len(write_chunk(change).raw):
        return change
    begun = 0
    for index in range(1, len(operations) + 1):
        if index < len(operations) and _as_far(operations, begun, index):
            continue
        for at in range(begun, index - 1, 2):
            operations[at], operations[at + 1] = operations[at + 1], operations[at]
        begun = index
    return TextChange(change.actor, change.deps, change.start, tuple(operations))


def _as_far(operations: Sequence[Insertion | Deletion], begun: int, index: int) -> bool:
    """Tell whether the operation at `index` goes on with the single deletions that began at `begun`."""
    one, other, first = operations[index - 1], operations[index], operations[begun]
    if not isinstance(one, Deletion) or not isinstance(other, Deletion) or not isinstance(first, Deletion):
        return False
    distance = other.counter - one.counter
    return (
        one.length == other.length == first.length == 1
        and one.actor == other.actor
        and distance * (index - begun) == other.counter - first.counter
    )


def _in_order(deps: Sequence[ChangeHash]) -> bool:
    return len(deps) < 2 or list(deps) == sorted(set(deps))

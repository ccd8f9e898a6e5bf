"""The mark beside a store: how far this device had written, kept outside the file that a restore puts back.

Format (fixed length, so that rewriting it in place never leaves half of an older one behind)
    mark = "NUM1" ‖ incarnation 8 ‖ machine 32 ‖ file 32 ‖ (seq 8 ‖ batch hash 32) × 8 streams ‖ MAC 32
`machine` and `file` are keyed hashes of the whereabouts: the mark tells a thief nothing of either. All of it is under a
key that is derived from the store's, so a mark of another store, or an altered one, is none.

It is written after each commit of one's own and not flushed: a mark that lags behind the store claims less than is
true, and a power cut can only make it lag. A mark that is ahead proves that the store went back.
"""

import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from crdt.identifiers import INCARNATION_BYTES, Incarnation
from node.errors import StorageError
from node.home import FILE_MODE, write_private_file
from node.store.change_log import Head
from node.store.whereabouts import Whereabouts
from sync.crypto import derive_key, hash256
from sync.identifiers import HASH_BYTES, BatchHash
from sync.streams import Stream

_MAGIC = b"NUM1"
_SEQ_BYTES = 8
_ENTRY_BYTES = _SEQ_BYTES + HASH_BYTES
_ENTRIES_AT = len(_MAGIC) + INCARNATION_BYTES + 2 * HASH_BYTES
MARK_BYTES = _ENTRIES_AT + len(Stream) * _ENTRY_BYTES + HASH_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What a mark says; `machine` and `file` are keyed hashes, `heads` leaves out streams nothing was written in."""

    incarnation: Incarnation
    machine: bytes
    file: bytes
    heads: Mapping[Stream, Head]


class MarkFile:
    """The mark of one store."""

    __slots__ = ("_descriptor", "_key", "path")

    def __init__(self, store_path: Path, store_key: bytes) -> None:
        """Keep the mark of the store at `store_path`, under a key derived from `store_key`."""
        self.path = mark_path(store_path)
        self._key = derive_key(store_key, "store-mark")
        self._descriptor: int | None = None

    def read(self) -> Mark | None:
        """Return the mark, None where there is no file; raises StorageError where it cannot be read at all.

        Raises ValueError for one that is damaged, altered or another store's.
        """
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(f"The file {self.path} cannot be read: {error.strerror}.") from error
        return self._decode(raw)

    def create(self, mark: Mark) -> None:
        """Write the mark to a new file, durably; raises StorageError."""
        self.close()
        write_private_file(self.path, self._encode(mark))
        try:
            self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CLOEXEC, FILE_MODE)
        except OSError as error:
            raise StorageError(f"The file {self.path} cannot be written: {error.strerror}.") from error

    def rewrite(self, mark: Mark) -> None:
        """Write the mark over the one that was created, without waiting for the disk; raises OSError."""
        if self._descriptor is None:
            raise OSError("the mark is not open")
        os.pwrite(self._descriptor, self._encode(mark), 0)

    def close(self) -> None:
        """Close the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def hide(self, whereabouts: Whereabouts) -> tuple[bytes, bytes]:
        """Return the keyed hashes of machine and file as a mark states them."""
        return (
            hash256(whereabouts.machine, person=b"nuthatch-machine", key=self._key),
            hash256(whereabouts.file, person=b"nuthatch-file", key=self._key),
        )

    def _encode(self, mark: Mark) -> bytes:
        parts = [_MAGIC, mark.incarnation, mark.machine, mark.file]
        for stream in Stream:
            head = mark.heads.get(stream)
            parts.append(head.seq.to_bytes(_SEQ_BYTES, "big") + head.hash if head else bytes(_ENTRY_BYTES))
        body = b"".join(parts)
        return body + self._seal(body)

    def _decode(self, raw: bytes) -> Mark:
        body, seal = raw[:-HASH_BYTES], raw[-HASH_BYTES:]
        if len(raw) != MARK_BYTES or raw[: len(_MAGIC)] != _MAGIC or not hmac.compare_digest(self._seal(body), seal):
            raise ValueError("the mark is damaged or of another store")
        machine_at = len(_MAGIC) + INCARNATION_BYTES
        heads: dict[Stream, Head] = {}
        for position, stream in enumerate(Stream):
            entry = body[_ENTRIES_AT + position * _ENTRY_BYTES :][:_ENTRY_BYTES]
            if seq := int.from_bytes(entry[:_SEQ_BYTES], "big"):
                heads[stream] = Head(seq, BatchHash(entry[_SEQ_BYTES:]))
        return Mark(
            incarnation=Incarnation(body[len(_MAGIC) : machine_at]),
            machine=body[machine_at : machine_at + HASH_BYTES],
            file=body[machine_at + HASH_BYTES : _ENTRIES_AT],
            heads=heads,
        )

    def _seal(self, body: bytes) -> bytes:
        return hash256(body, person=b"nuthatch-mark", key=self._key)


def mark_path(store_path: Path) -> Path:
    """Return where the mark of the store at `store_path` lies."""
    return store_path.with_name(store_path.name + ".mark")

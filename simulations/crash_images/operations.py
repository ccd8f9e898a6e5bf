"""What a trace says was done to a directory: the operations in order, on files told apart by number and not by name."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_RECORD = struct.Struct("=B3xiQQ")
_OPENED, _WRITTEN, _TRUNCATED, _SYNCED, _SYNCED_DIRECTORY, _RENAMED, _UNLINKED, _MARKED = range(1, 9)
_CREATED_FLAG, _EMPTIED_FLAG = 1, 2


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes at an offset of a file."""

    file: int
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Resize:
    """A new length of a file."""

    file: int
    length: int


@dataclass(frozen=True, slots=True)
class Rename:
    """One step of the directory: names and the files they stand for from now on, None for a name that goes."""

    file_by_name: tuple[tuple[str, int | None], ...]


@dataclass(frozen=True, slots=True)
class Flush:
    """The system was told to keep a file's content."""

    file: int


@dataclass(frozen=True, slots=True)
class FlushDirectory:
    """The system was told to keep the names."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that the recording process noted."""

    number: int


Operation = Write | Resize | Rename | Flush | FlushDirectory | Mark


def read_trace(raw: bytes, initial_names: list[str]) -> Iterator[Operation]:
    """Yield the operations of a trace, on a directory that held files of these names (numbered in this order)."""
    file_by_name = {name: number for number, name in enumerate(initial_names)}
    file_by_descriptor: dict[int, int] = {}
    files = len(initial_names)
    for kind, descriptor, number, payload in _records(raw):
        match kind:
            case _ if kind == _OPENED:
                name = payload.decode()
                if number & _CREATED_FLAG:
                    file_by_name[name] = files
                    yield Rename(((name, files),))
                    files += 1
                file_by_descriptor[descriptor] = file_by_name[name]
                if number & _EMPTIED_FLAG and not number & _CREATED_FLAG:
                    yield Resize(file_by_name[name], 0)
            case _ if kind == _WRITTEN:
                yield Write(file_by_descriptor[descriptor], number, payload)
            case _ if kind == _TRUNCATED:
                yield Resize(file_by_descriptor[descriptor], number)
            case _ if kind == _SYNCED:
                yield Flush(file_by_descriptor[descriptor])
            case _ if kind == _SYNCED_DIRECTORY:
                yield FlushDirectory()
            case _ if kind == _RENAMED:
                old, new = payload.decode().split("/")
                file_by_name[new] = file_by_name.pop(old)
                yield Rename(((old, None), (new, file_by_name[new])))
            case _ if kind == _UNLINKED:
                del file_by_name[payload.decode()]
                yield Rename(((payload.decode(), None),))
            case _ if kind == _MARKED:
                yield Mark(number)
            case _:
                raise ValueError(f"the trace holds a record of kind {kind}")


def _records(raw: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    at = 0
    while at < len(raw):
        kind, descriptor, number, length = _RECORD.unpack_from(raw, at)
        at += _RECORD.size
        yield kind, descriptor, number, raw[at : at + length]
        at += length

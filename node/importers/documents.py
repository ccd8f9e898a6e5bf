"""What a person points at: one file, a folder or a zip archive, as documents that are read in blocks.

Nothing is ever unpacked onto the disk, and no document is held whole unless its importer asks for it.
"""

import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import IO

from node.errors import InputError

BLOCK_BYTES = 1 << 20
#: Folders of programs (.git, .obsidian, .trash), and what macOS puts into archives.
_IGNORED_FOLDERS = ("__MACOSX",)


@dataclass(slots=True, kw_only=True)
class Document:
    """One file on the disk or in an archive; `name` is its path below what the person pointed at, with `/`."""

    name: str
    size_bytes: int
    open: Callable[[], IO[bytes]] = field(repr=False)
    #: How much of it has been read so far, for the progress.
    done_bytes: int = 0

    def blocks(self) -> Iterator[bytes]:
        """Read it from the start; raises InputError where that fails half-way."""
        self.done_bytes = 0
        try:
            with self.open() as file:
                while block := file.read(BLOCK_BYTES):
                    self.done_bytes += len(block)
                    yield block
        except (OSError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            # RuntimeError: the archive is encrypted.
            raise InputError(f"{self.name} cannot be read: {_reason(error)}.") from error

    def lines(self) -> Iterator[bytes]:
        """Read it line by line, each with its end, the last perhaps without."""
        begun: list[bytes] = []
        for block in self.blocks():
            begun.append(block)
            if b"\n" in block:
                *lines, rest = b"".join(begun).splitlines(keepends=True)
                yield from lines
                begun = [rest]
        yield from b"".join(begun).splitlines(keepends=True)

    def beginning(self, bytes_max: int) -> bytes:
        """Return its first bytes."""
        found = b""
        for block in self.blocks():
            found += block
            if len(found) >= bytes_max:
                break
        return found[:bytes_max]

    def content(self, bytes_max: int) -> bytes:
        """Return all of it; raises InputError if it is larger than `bytes_max`."""
        found = bytearray()
        for block in self.blocks():
            found += block
            if len(found) > bytes_max:
                raise InputError(f"{self.name} is larger than {bytes_max // 2**20} MiB.")
        return bytes(found)


def document_of(content: bytes, name: str) -> Document:
    """Return what is in memory already as a document."""
    return Document(name=name, size_bytes=len(content), open=partial(BytesIO, content))


def documents_at(path: Path) -> tuple[Document, ...]:
    """Return the documents at a path in the order of their names; raises InputError."""
    try:
        if path.is_dir():
            return _of_folder(path)
        if zipfile.is_zipfile(path):
            return _of_archive(path)
        return (Document(name=path.name, size_bytes=path.stat().st_size, open=partial(_open_file, path)),)
    except (OSError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} cannot be read: {_reason(error)}. Nothing was imported.") from error


def _of_folder(folder: Path) -> tuple[Document, ...]:
    found = []
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if _is_visible(parts) and path.is_file():
            name = "/".join(parts)
            found.append(Document(name=name, size_bytes=path.stat().st_size, open=partial(_open_file, path)))
    return tuple(found)


def _of_archive(path: Path) -> tuple[Document, ...]:
    with zipfile.ZipFile(path) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
    return tuple(
        Document(name=member.filename, size_bytes=member.file_size, open=partial(_open_member, path, member.filename))
        for member in sorted(members, key=lambda member: member.filename)
        if _is_visible(member.filename.split("/"))
    )


def _open_file(path: Path) -> IO[bytes]:
    return path.open("rb")


def _open_member(path: Path, name: str) -> IO[bytes]:
    # The archive's own file stays open until the member is closed, which zipfile counts.
    with zipfile.ZipFile(path) as archive:
        return archive.open(name)


def _is_visible(parts: Sequence[str]) -> bool:
    return not any(part.startswith(".") or part in _IGNORED_FOLDERS for part in parts)


def _reason(error: Exception) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__

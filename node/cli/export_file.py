"""An exported file or folder: readable by its person alone, and there whole or not at all."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import msgspec


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """Where an export was written and how many lines, or files, it has."""

    path: str
    lines: int


@contextmanager
def replaced_whole(path: Path) -> Iterator[BinaryIO]:
    """Open a file that takes the given name when the block ends well; raises `OSError`.

    An export is plaintext, so its mode is 0600 from the start; a failed one leaves nothing behind.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


class NewFolder:
    """A folder that is being filled."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def write(self, name: str, text: str) -> None:
        """Write one file at a path within the folder, with `/`; raises `OSError`."""
        parts = name.split("/")
        # The node named it; nothing that it says may lead out of the folder.
        if any(part in ("", ".", "..") or "\\" in part for part in parts):
            raise PermissionError(None, f"{name} leads out of the folder")
        path = self._directory.joinpath(*parts)
        for folder in reversed(path.parents[: len(parts) - 1]):
            folder.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode())


@contextmanager
def new_folder(path: Path) -> Iterator[NewFolder]:
    """Fill a folder that takes the given name when the block ends well; raises `OSError`, also if it is not empty."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    temporary.mkdir(mode=0o700)
    try:
        yield NewFolder(temporary)
        # Replaces an empty folder, and fails where there is anything.
        temporary.rename(path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise

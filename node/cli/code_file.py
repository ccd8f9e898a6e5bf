"""A picture of a pairing code in a file that only the person can read, there for as long as the code can be used."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from node.errors import StorageError, UsageError
from node.home import FILE_MODE


class CodeFile:
    """Where the picture goes; nothing is there before `write`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._written = False

    def write(self, picture: bytes) -> None:
        """Write the picture. Raises `UsageError` if there is a file of that name already, `StorageError`."""
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
        except FileExistsError as error:
            raise UsageError(f"{self.path} exists already; name a new file for the picture of the code.") from error
        except OSError as error:
            raise self._cannot_be_written(error) from error
        self._written = True
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(picture)
        except OSError as error:
            self.remove()
            raise self._cannot_be_written(error) from error

    def remove(self) -> None:
        """Remove what was written, if anything was."""
        if self._written:
            self._written = False
            self.path.unlink(missing_ok=True)

    def _cannot_be_written(self, error: OSError) -> StorageError:
        return StorageError(f"The picture of the code cannot be written to {self.path}: {error.strerror}.")


@contextmanager
def code_file(path: Path | None) -> Iterator[CodeFile | None]:
    """Remove the file at the end of the block, however that ends; None where no picture is wanted.

    Raises `UsageError` for a place where a file is already.
    """
    if path is None:
        yield None
        return
    if os.path.lexists(path):
        raise UsageError(f"{path} exists already; name a new file for the picture of the code.")
    file = CodeFile(path)
    try:
        yield file
    finally:
        file.remove()

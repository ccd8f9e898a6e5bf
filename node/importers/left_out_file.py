"""The file in which records that could not be imported are kept aside, to be mended and imported again."""

import json
import os
import secrets
from pathlib import Path
from typing import BinaryIO

from node.errors import StorageError
from node.importers.plan import LeftOut


class LeftOutFile:
    """Lines of JSON `{"place":…,"problem":…,"content":…}`, readable by the person alone; no file where there are none.

    It takes its name when it is complete, over what an earlier import of the same file left there.
    """

    def __init__(self, imported: Path, fallback: Path) -> None:
        """Prepare to write beside what is imported, or into `fallback` where nothing can be written there."""
        name = f"{imported.name}.left-out.jsonl"
        self._paths = (imported.with_name(name), fallback / name)
        self._open: tuple[Path, Path, BinaryIO] | None = None
        self.count = 0

    def add(self, left_out: LeftOut) -> None:
        """Keep one record aside; raises StorageError."""
        self.count += 1
        try:
            if self._open is None:
                self._open = self._begin()
            content = left_out.content.decode("utf-8", "backslashreplace")
            line = {"place": left_out.place, "problem": left_out.problem, "content": content}
            self._open[2].write(json.dumps(line, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n")
        except OSError as error:
            raise StorageError(f"The file {self._paths[0]} cannot be written: {error.strerror}.") from error

    def keep(self) -> Path | None:
        """Give the file its name and return it, None if nothing was left out; raises StorageError."""
        if self._open is None:
            return None
        path, temporary, file = self._open
        self._open = None
        try:
            with file:
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError as error:
            raise StorageError(f"The file {path} cannot be written: {error.strerror}.") from error
        return path

    def discard(self) -> None:
        """Remove what is unfinished."""
        if self._open is not None:
            _, temporary, file = self._open
            self._open = None
            file.close()
            temporary.unlink(missing_ok=True)

    def _begin(self) -> tuple[Path, Path, BinaryIO]:
        first, second = self._paths
        try:
            return _opened(first)
        except OSError:
            # A read-only folder or medium.
            return _opened(second)


def _opened(path: Path) -> tuple[Path, Path, BinaryIO]:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    return path, temporary, os.fdopen(descriptor, "wb")

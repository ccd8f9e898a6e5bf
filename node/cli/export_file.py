"""An exported file: readable by its person alone, and there whole or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import msgspec


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """Where an export was written and how many lines it has."""

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

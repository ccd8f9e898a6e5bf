"""Standard output as bytes: whole lines, told apart by whether its reader has gone or it cannot be written."""

import os
import sys

from node.errors import StorageError


class ReaderGoneError(Exception):
    """Whoever read standard output has closed it; nothing more has to be said to anyone."""


def write_out(content: bytes, *, flush: bool = True) -> None:
    """Write to standard output; raises `ReaderGoneError`, and `StorageError` where it is a file on a full disk.

    After either, all that is still written goes nowhere, so that the end of the process has nothing to fail with.
    """
    try:
        # Text that went out through Python's own stream before, a command's help, comes first.
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        if flush:
            sys.stdout.buffer.flush()
    except BrokenPipeError as error:
        _abandon()
        raise ReaderGoneError from error
    except OSError as error:
        _abandon()
        raise StorageError(f"The output cannot be written: {error.strerror}.") from error


def flush_out() -> None:
    """Write what is still held back; raises as `write_out` does."""
    write_out(b"")


def _abandon() -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, sys.stdout.fileno())
    finally:
        os.close(null)

"""The log of a running node: one line a record, on standard error and in a file of the home that turns over.

A log says device ids, addresses and reasons, never names, texts or secrets. What this program logs is written so; what
a library logs, or an exception says, may quote anything, so of these only what was fixed when the code was written is
kept: a message's template and where it is, the class of an exception and the places it passed through.
"""

import io
import logging
import os
import sys
import traceback
from datetime import datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType
from typing import TextIO

from node.config import LogConfig
from node.errors import HostError, StorageError
from node.home import FILE_MODE
from node.log_names import NOT_ON_SCREEN

_STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_OWN_LOGGERS = ("node", "nuthatch")

_ExceptionInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class KeyValueFormatter(logging.Formatter):
    """Writes a record's own fields after its message, in the order of their names."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and after it the places that an exception passed through."""
        lines = [self._line(record)]
        if record.exc_info:
            lines.append(self.formatException(record.exc_info))
        return "\n".join(lines)

    def _line(self, record: logging.LogRecord) -> str:
        own = record.name.partition(".")[0] in _OWN_LOGGERS
        record.message = _one_line(record.getMessage()) if own else _without_content(record)
        record.asctime = datetime.fromtimestamp(record.created).astimezone().isoformat(timespec="milliseconds")
        fields = sorted(set(vars(record)) - _STANDARD_FIELDS) if own else []
        said = "".join(f" {field}={_one_line(str(vars(record)[field]))}" for field in fields)
        return self.formatMessage(record) + said

    def formatException(self, ei: _ExceptionInfo) -> str:  # noqa: N802  the name is the library's
        """Return the classes of an exception and of its causes, and where they were raised; not what they say."""
        error, lines = ei[1], []
        while error is not None:
            lines.append(_told(error))
            lines += [
                f"  {frame.filename}:{frame.lineno} in {frame.name}"
                for frame in traceback.extract_tb(error.__traceback__)
            ]
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        return "\n".join(lines)


def _told(error: BaseException) -> str:
    """Return the class, and the sentence of an error of our own: those are written for logs, too."""
    name = type(error).__name__
    return f"  {name}: {_one_line(str(error))}" if isinstance(error, HostError) else f"  {name}"


def _without_content(record: logging.LogRecord) -> str:
    """Return what a library's record says apart from its arguments; without any, its text may be made of them."""
    template = f"{_one_line(str(record.msg))}, " if record.args else ""
    return f"{template}told at {record.module}:{record.lineno}"


def _one_line(text: str) -> str:
    """Return all lines as one: a line break would forge a record."""
    return " ".join(text.splitlines())


class TurningFile(RotatingFileHandler):
    """A log file that only its person can read; when it cannot be written that is said once, and the node goes on."""

    def __init__(self, path: Path, *, bytes_max: int, files_max: int) -> None:
        self._failed = False
        super().__init__(path, maxBytes=bytes_max, backupCount=files_max - 1, encoding="utf-8")

    def _open(self) -> io.TextIOWrapper:
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        return os.fdopen(descriptor, "a", encoding="utf-8")

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  the name is the library's
        """Say that the file cannot be written."""
        if not self._failed:
            self._failed = True
            reason = type(sys.exc_info()[1]).__name__
            sys.stderr.write(f"The log {self.baseFilename} cannot be written ({reason}); the node goes on.\n")


def configure_logging(config: LogConfig, *, file: Path | None = None, stream: TextIO | None = None) -> None:
    """Log to standard error and, if the settings want it, to `file`; raises `StorageError` if that cannot be opened."""
    on_screen = logging.StreamHandler(stream or sys.stderr)
    handlers: list[logging.Handler] = [on_screen]
    on_screen.setLevel(config.level.upper())
    on_screen.addFilter(lambda record: record.name != NOT_ON_SCREEN)
    if file is not None and config.file_level is not None:
        try:
            turning = TurningFile(file, bytes_max=config.file_bytes_max, files_max=config.files_max)
        except OSError as error:
            raise StorageError(f"The log {file} cannot be opened: {error.strerror}.") from error
        turning.setLevel(config.file_level.upper())
        handlers.append(turning)
    for handler in handlers:
        handler.setFormatter(KeyValueFormatter())
    logging.basicConfig(level=min(handler.level for handler in handlers), handlers=handlers, force=True)

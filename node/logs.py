"""The log of a running node: one line a record on standard error, with what the record says as key=value.

The code logs device ids, addresses and reasons, never names, texts or secrets; nothing is written to a file.
"""

import logging
import os
import sys
from collections.abc import Mapping
from typing import TextIO

from node.errors import ConfigError

_STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class KeyValueFormatter(logging.Formatter):
    """Writes a record's own fields after its message, in the order of their names."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  the name is the library's
        """Return the line without a traceback."""
        fields = sorted(set(vars(record)) - _STANDARD_FIELDS)
        return super().formatMessage(record) + "".join(f" {field}={vars(record)[field]}" for field in fields)


def configure_logging(environment: Mapping[str, str] = os.environ, stream: TextIO | None = None) -> None:
    """Log to standard error what the level asks for; `NUTHATCH_LOG_LEVEL` names another level than WARNING.

    Raises `ConfigError` for a level that does not exist.
    """
    name = environment.get("NUTHATCH_LOG_LEVEL", "WARNING").upper()
    levels = logging.getLevelNamesMapping()
    if name not in levels:
        raise ConfigError(f"NUTHATCH_LOG_LEVEL is {name!r}; it must be one of {', '.join(sorted(levels))}.")
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(KeyValueFormatter())
    logging.basicConfig(level=levels[name], handlers=[handler], force=True)

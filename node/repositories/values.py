"""How values of the domain are written into columns and read back: instants, JSON, sets of strings, ids."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from crdt.identifiers import RowId
from node.clock import Clock
from node.errors import StorageError
from node.repositories.ports import SqlValue

JsonObject = Mapping[str, object]


def instant_text(unix_milliseconds: int) -> str:
    """Return an instant as ISO-8601 in UTC with milliseconds: `2026-11-21T01:02:03.456Z`."""
    seconds, milliseconds = divmod(unix_milliseconds, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{milliseconds:03d}Z"


def now_text(clock: Clock) -> str:
    """Return the present instant by `clock` as text."""
    return instant_text(clock.now_milliseconds())


def to_json(value: object) -> str:
    """Return canonical JSON: sorted keys, no spaces, no NaN (raises ValueError for what JSON cannot hold)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def strings_to_json(strings: Iterable[str]) -> str:
    """Return a set of strings as a sorted JSON array."""
    return to_json(sorted(set(strings)))


def object_from_json(value: SqlValue) -> JsonObject:
    """Return the JSON object of a column; NULL and anything that is no object read as {}."""
    decoded = _decoded(value)
    return decoded if isinstance(decoded, dict) else {}


def value_from_json(value: SqlValue) -> object:
    """Return the JSON value of a column; NULL reads as None."""
    return _decoded(value)


def strings_from_json(value: SqlValue) -> tuple[str, ...]:
    """Return the strings of a set column in order; NULL reads as no strings."""
    decoded = _decoded(value)
    return tuple(item for item in decoded if isinstance(item, str)) if isinstance(decoded, list) else ()


def _decoded(value: SqlValue) -> object:
    if value is None:
        return None
    try:
        decoded: object = json.loads(read_text(value))
    except ValueError:
        # Plain SQL may have put any text here; a reader of one row must not fail for it.
        return None
    return decoded


def read_text(value: SqlValue) -> str:
    """Return a NOT NULL text cell."""
    if not isinstance(value, str):
        raise _damaged("text")
    return value


def read_text_or_none(value: SqlValue) -> str | None:
    """Return a text cell."""
    return None if value is None else read_text(value)


def read_integer(value: SqlValue) -> int:
    """Return a NOT NULL integer cell."""
    if not isinstance(value, int):
        raise _damaged("integer")
    return value


def read_integer_or_none(value: SqlValue) -> int | None:
    """Return an integer cell."""
    return None if value is None else read_integer(value)


def read_real_or_none(value: SqlValue) -> float | None:
    """Return a number cell."""
    return None if value is None else float(read_number(value))


def read_number(value: SqlValue) -> int | float:
    """Return a NOT NULL number cell."""
    if not isinstance(value, int | float):
        raise _damaged("number")
    return value


def read_id(value: SqlValue) -> RowId:
    """Return an id cell."""
    if not isinstance(value, bytes):
        raise _damaged("id")
    return RowId(value)


def read_id_or_none(value: SqlValue) -> RowId | None:
    """Return an id cell that may be empty."""
    return None if value is None else read_id(value)


def _damaged(kind: str) -> StorageError:
    return StorageError(
        f"A column that holds only {kind} values holds something else: the database file is damaged."
        " Stop this node and restore its home from a copy, or pair this device anew."
    )

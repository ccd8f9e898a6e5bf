"""How values of SQL appear in JSON, both ways: bytes are `{"$base64": …}`, everything else is itself."""

import base64
import binascii
from collections.abc import Mapping

from node.errors import UsageError
from node.repositories.ports import SqlValue

_BYTES_KEY = "$base64"


def to_json_value(value: SqlValue) -> object:
    """Return a value of SQL as JSON shows it."""
    return {_BYTES_KEY: base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def from_json_value(value: object) -> SqlValue:
    """Return the value of SQL that a JSON value stands for; true and false are 1 and 0. Raises `UsageError`."""
    match value:
        case None | int() | float() | str():
            return int(value) if isinstance(value, bool) else value
        case Mapping() if set(value) == {_BYTES_KEY} and isinstance(value[_BYTES_KEY], str):
            try:
                return base64.b64decode(value[_BYTES_KEY], validate=True)
            except binascii.Error as error:
                raise UsageError('The text behind "$base64" of a parameter is not base64.') from error
        case _:
            raise UsageError('A parameter is a JSON text, number, true, false, null or {"$base64": "…"}.')

"""Finds the record whose id a person or program gives, whole or by its first digits."""

import re

from crdt.errors import MergeError
from crdt.identifiers import RowId, row_id_from_text, row_id_to_text
from node.errors import UsageError
from node.schemas import CORE_COMPONENTS
from node.service import Service

_ID_DIGITS = 32
_BEGINNING_DIGITS_MIN = 4
_BEGINNING = re.compile(rf"[0-9a-f]{{{_BEGINNING_DIGITS_MIN},{_ID_DIGITS - 1}}}")
# Enough to see how the ids differ; more would bury what to do.
_NAMED_MAX = 3

_TABLE_NAMES = tuple(table.name for component in CORE_COMPONENTS for table in component.tables)


def find_record_id(service: Service, text: str) -> RowId:
    """Return the id that a text spells, or the only id of a record that begins so.

    A whole id need not be that of a record. Raises `UsageError` for what is no id, and for the beginning of none or of
    several.
    """
    beginning = text.strip().lower().replace("-", "")
    if not _BEGINNING.fullmatch(beginning):
        try:
            return row_id_from_text(text)
        except MergeError as error:
            raise UsageError(f"{text!r}: {error}, or its first {_BEGINNING_DIGITS_MIN} digits or more.") from error
    found = _beginning_with(service, beginning)
    if not found:
        raise UsageError(f"No record on this device has an id that begins with {text}; `nuthatch list` shows ids.")
    if len(found) > 1:
        named = ", ".join(row_id_to_text(row_id) for row_id in found[:_NAMED_MAX])
        rest = " and others" if len(found) > _NAMED_MAX else ""
        raise UsageError(f"The ids of several records begin with {text}: {named}{rest}. Give more digits of the one.")
    return found[0]


def _beginning_with(service: Service, beginning: str) -> list[RowId]:
    least = bytes.fromhex(beginning.ljust(_ID_DIGITS, "0"))
    greatest = bytes.fromhex(beginning.ljust(_ID_DIGITS, "f"))
    found: set[RowId] = set()
    for table in _TABLE_NAMES:
        rows = service.store.query(
            f"SELECT id FROM {table} WHERE id BETWEEN ? AND ? LIMIT {_NAMED_MAX + 1}", (least, greatest)
        )
        found.update(RowId(bytes(row[0])) for row in rows if isinstance(row[0], bytes))
    return sorted(found)

"""Reads the record ids that a person or program gives."""

from crdt.errors import MergeError
from crdt.identifiers import RowId, row_id_from_text
from node.errors import UsageError


def read_record_id(text: str) -> RowId:
    """Return the id that a text spells; raises UsageError for what is none."""
    try:
        return row_id_from_text(text)
    except MergeError as error:
        raise UsageError(f"{text!r}: {error}.") from error

"""Names what a reader saw of a row, so that an edit can be taken at that version and merged with what came since.

A version is a token of text: base32 of msgpack [generation, first 8 bytes of the row hash, {text column: [head…]}].
It means the same on every device that holds the row's changes, and nothing is kept for it: the heads name the changes
that the reader's text was made of, and a text keeps all of its changes.
"""

from base64 import b32decode, b32encode
from binascii import Error
from collections.abc import Mapping
from typing import NoReturn

import msgspec

from crdt.errors import MergeError
from crdt.strategies import text
from crdt.strategies.text import Text
from node.errors import ConstraintError, UsageError
from node.store.row_state import StoredRow

_HASH_PREFIX_BYTES = 8
_VERSION_BYTES_MAX = 65_536
_encode = msgspec.msgpack.Encoder(order="sorted").encode


class RowVersion(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a reader saw: the row's life, the beginning of its hash, and the heads of its texts."""

    generation: int
    hash_prefix: bytes
    heads_by_column: Mapping[str, tuple[bytes, ...]]


_decode = msgspec.msgpack.Decoder(RowVersion).decode


def version_of(stored: StoredRow) -> str:
    """Return the token of a row as it stands."""
    texts = {name: cell for name, cell in stored.row.cell_by_column.items() if isinstance(cell, Text)}
    version = RowVersion(
        stored.row.generation,
        stored.hash[:_HASH_PREFIX_BYTES],
        {name: tuple(text.heads_of(cell)) for name, cell in texts.items()},
    )
    return b32encode(_encode(version)).decode().rstrip("=").lower()


def read_version(token: str) -> RowVersion:
    """Return the version that a token spells; raises UsageError for what is none."""
    if len(token) > _VERSION_BYTES_MAX:
        _refuse()
    padding = "=" * (-len(token) % 8)
    try:
        return _decode(b32decode(token.strip().upper() + padding))
    except (Error, ValueError):
        _refuse()


def rebased(stored: StoredRow, column: str, version: RowVersion, new_value: str) -> str:
    """Return the text that `column` ought to have once an edit, taken at `version`, is merged with what came since.

    Raises ConstraintError where the version is of another life of the row or is not known here.
    """
    if version.generation != stored.row.generation:
        raise ConstraintError(
            "This record was forgotten and written anew since that version was read; read it again and edit that."
        )
    cell = stored.row.cell_by_column.get(column)
    heads = version.heads_by_column.get(column)
    if not isinstance(cell, Text) or heads is None:
        raise ConstraintError(f"That version says nothing of the column {column}; read the record again.")
    if stored.hash[:_HASH_PREFIX_BYTES] == version.hash_prefix:
        return new_value
    try:
        return text.rebase(cell, heads, new_value)
    except MergeError as error:
        raise ConstraintError(
            "That version has not arrived on this device yet, or is of another record; read the record again."
        ) from error


def _refuse() -> NoReturn:
    raise UsageError(
        "This is no version that an edit can be made of; `nuthatch show ID` tells the present one."
        " Those in `nuthatch log` are for `nuthatch undo`."
    )

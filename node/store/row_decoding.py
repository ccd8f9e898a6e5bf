"""Decodes the rows of peers, of which only one spelling is accepted, and checks that columns can hold their values."""

from collections.abc import Iterable, Iterator, Sequence
from math import copysign, isnan
from typing import Any

import msgspec

from crdt.errors import MergeError
from crdt.identifiers import SEQUENCE_MAX, RowId, Stamp, stamp_seq
from crdt.row import Layout, RowState, read_row
from crdt.strategies import strategy_of
from crdt.strategies.json_document import JsonDocument
from crdt.values import INTEGER_MAX, INTEGER_MIN
from node.store.catalogue import ReplicatedTable
from sync.errors import UNDECODABLE, RemoteProtocolError

_encode = msgspec.msgpack.Encoder().encode

_ARRAY_HEAD_BYTES = 5

_SCALARS = frozenset({str, int, float, bytes, type(None)})

#: Decoded rows: (id, generation, payloads…) each.
DecodedRows = Sequence[Sequence[Any]]


def decode_bodies(table: ReplicatedTable, layout: Layout, bodies: Sequence[bytes]) -> DecodedRows:
    """Return rows of `layout` that came one by one; raises RemoteProtocolError, or NewerSchemaError for its layout."""
    rows, spelled = decode_array(table, layout, b"\xdd" + len(bodies).to_bytes(4, "big") + b"".join(bodies))
    if spelled != bodies:
        raise RemoteProtocolError(f"a row of {table.name} is not spelled canonically")
    return rows


def decode_array(table: ReplicatedTable, layout: Layout, array: bytes) -> tuple[DecodedRows, list[bytes]]:
    """Return the rows of a msgpack array with an array32 head, and the one spelling of each.

    A row at a time would take twice as long. Raises RemoteProtocolError where they are not spelled so, or a column
    cannot hold a value; NewerSchemaError for a layout of a newer version.
    """
    decode = table.decoder(layout)
    try:
        rows = decode(array)
        # Row hashes are taken over these bytes; only one spelling of a row may exist.
        spelled = list(map(_encode, rows))
    except UNDECODABLE as error:
        raise RemoteProtocolError(f"a row of {table.name} does not fit its columns") from error
    if b"".join((array[:_ARRAY_HEAD_BYTES], *spelled)) != array:
        raise RemoteProtocolError(f"a row of {table.name} is not spelled canonically")
    _check_values(table, layout, rows)
    return rows, spelled


def read_state(
    table: ReplicatedTable, layout: Layout, row: Sequence[Any], born: Stamp, stamps: Iterable[tuple[int, bytes]]
) -> tuple[RowId, RowState]:
    """Return a decoded row as a state; raises RemoteProtocolError for a payload that its strategy does not spell."""
    values = [list(map(_as_spelled, value)) if type(value) is list else value for value in row]
    try:
        return read_row(table.name, layout, values, born, {index: Stamp(stamp) for index, stamp in stamps})
    except MergeError as error:
        raise RemoteProtocolError("a row's payload does not fit its strategy") from error


def leaf_stamps(state: RowState) -> Iterator[Stamp]:
    """Yield the stamps within documents; raise RemoteProtocolError for one that no batch could have."""
    for cell in state.cell_by_column.values():
        if isinstance(cell, JsonDocument):
            for leaf in cell.leaf_by_path.values():
                if stamp_seq(leaf.stamp) > SEQUENCE_MAX:
                    raise RemoteProtocolError("a leaf of a document bears a stamp that no batch could have")
                yield leaf.stamp


def _as_spelled(entry: object) -> object:
    """Return an entry of a payload as strategies spell it; the decoder gives closed tuples."""
    return list(entry) if isinstance(entry, tuple) else entry


def _check_values(table: ReplicatedTable, layout: Layout, rows: Sequence[Sequence[Any]]) -> None:
    """Raise RemoteProtocolError for values of peers that a column could not give back as they came.

    `rows` are (id, generation, payloads of `layout`…); the types of declared columns were checked by the decoder.
    """
    type_by_column = {column.name: column.type for column in table.columns}
    nil_by_column = dict(zip(table.column_names, table.shown_for_nil, strict=True))
    by_column = list(zip(*rows, strict=True))[2:]
    for (name, code), values in zip(layout, by_column, strict=True):
        strategy = strategy_of(code)
        if not strategy.stamped:
            if strategy.name == "text":
                all_plain = {str}.issuperset(map(type, values))
                _check_texts(values if all_plain else [value for value in values if type(value) is str])
            elif name in nil_by_column and "{}" in values and nil_by_column[name] is not None:
                raise RemoteProtocolError("a document that says nothing is spelled as nil")
            continue
        kind = type_by_column.get(name)
        if kind is None:
            # A newer version's column: its type is not known, but each value must be one that some column can hold.
            if not _SCALARS.issuperset(map(type, values)):
                raise RemoteProtocolError("a value is none that a column can hold")
            _check_texts([value for value in values if type(value) is str])
            _check_numbers([value for value in values if type(value) is float])
            if not all(INTEGER_MIN <= value <= INTEGER_MAX for value in values if type(value) is int):
                raise RemoteProtocolError("an integer is beyond 64 bits")
        elif kind == "TEXT":
            _check_texts(values)
        elif kind == "REAL":
            _check_numbers(values)


def _check_texts(texts: Sequence[str | None]) -> None:
    if texts.count(None) < len(texts) and "\0" in "".join(filter(None, texts)):
        raise RemoteProtocolError("a text holds a NUL character")


def _check_numbers(numbers: Sequence[float | None]) -> None:
    held = [value for value in numbers if value is not None]
    if any(isnan(value) or (value == 0 and copysign(1, value) < 0) for value in held):
        raise RemoteProtocolError("a number is not in canonical form")

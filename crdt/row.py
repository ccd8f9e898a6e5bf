"""A row's state: causal length decides its life, its cells merge alone, and one canonical spelling is hashed.

Rules
- A generation is a causal length: odd = alive, even = deleted (insert 1, delete 2, re-insert 3). A higher generation
  wins whole; within one generation cells merge one by one. No clock decides life or death.
- `born` is the least stamp of all changes that reached this generation; a cell that was written by that very change
  does not repeat it.
- A change is itself a row state of the cells it wrote, so applying a batch and joining a snapshot are one operation.

Spelling: msgpack array [row id, generation, payload of each column in order of name]. The columns with their
strategies are the layout; its digest, `born` and the stamps of the cells that differ from `born` complete the state.
The row hash is taken over the same bytes, except that an edited text is named by its heads and shown text.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

import msgspec

from crdt.errors import MergeError
from crdt.identifiers import STAMP_BYTES, RowId, Stamp, exact_bytes
from crdt.place import Place
from crdt.strategies import CellState, own_stamp, strategy_of

#: The columns of a row state: ((name, strategy code), …) in order of name.
Layout = tuple[tuple[str, int], ...]

ROW_HASH_BYTES = 32
# The database binding turns larger integers into REAL.
GENERATION_MAX = 2**31 - 1
_encode = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True, slots=True, kw_only=True)
class RowState:
    """A generation, the least stamp that reached it, and a state for each column known."""

    generation: int
    born: Stamp
    code_by_column: Mapping[str, int]
    cell_by_column: Mapping[str, CellState]

    @property
    def alive(self) -> bool:
        """Tell whether the row is in its table."""
        return self.generation % 2 == 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SpelledRow:
    """A row state in bytes: `body` is the msgpack array, `stamp_by_index` the stamps that differ from `born`."""

    layout: Layout
    born: Stamp
    body: bytes
    stamp_by_index: Mapping[int, Stamp]


def join_rows(a: RowState, b: RowState) -> RowState:
    """Return the merged state of one row; commutative, associative, idempotent.

    Raises MergeError where the two give one column different strategies.
    """
    if a.generation != b.generation:
        return a if a.generation > b.generation else b
    codes = {**a.code_by_column, **b.code_by_column}
    cells = dict(a.cell_by_column)
    for column, cell in b.cell_by_column.items():
        if a.code_by_column.get(column, codes[column]) != codes[column]:
            raise MergeError(f"column {column} came with another strategy than it has")
        mine = cells.get(column)
        cells[column] = cell if mine is None else strategy_of(codes[column]).join(mine, cell)
    return RowState(generation=a.generation, born=min(a.born, b.born), code_by_column=codes, cell_by_column=cells)


def stamps_of(row: RowState) -> set[Stamp]:
    """Return the stamps that a row bears: of its birth and of its values."""
    return {row.born, *filter(None, map(own_stamp, row.cell_by_column.values()))}


def spell_row(row_id: RowId, row: RowState) -> SpelledRow:
    """Return the canonical bytes of a row state, as they travel."""
    return _spell(row_id, row, proof=False)


def prove_row(row_id: RowId, row: RowState) -> SpelledRow:
    """Return the bytes that a row's hash is taken over.

    They differ from those that travel only where a text was edited: its heads and the text stand for its changes.
    """
    return _spell(row_id, row, proof=True)


def _spell(row_id: RowId, row: RowState, *, proof: bool) -> SpelledRow:
    columns = sorted(row.cell_by_column)
    layout = tuple((column, row.code_by_column[column]) for column in columns)
    values: list[object] = [row_id, row.generation]
    stamp_by_index: dict[int, Stamp] = {}
    for index, column in enumerate(columns):
        cell = row.cell_by_column[column]
        strategy = strategy_of(row.code_by_column[column])
        values.append(strategy.to_proof(cell) if proof else strategy.to_wire(cell))
        stamp = own_stamp(cell)
        if stamp is not None and stamp != row.born:
            stamp_by_index[index] = stamp
    return SpelledRow(layout=layout, born=row.born, body=_encode(values), stamp_by_index=stamp_by_index)


def read_row(
    table: str, layout: Layout, values: list[object], born: Stamp, stamp_by_index: Mapping[int, Stamp]
) -> tuple[RowId, RowState]:
    """Return the row of `table` that decoded `values` ([row id, generation, payload…]) spell, else raise MergeError."""
    if len(values) != len(layout) + 2:
        raise MergeError("a row has as many payloads as its layout has columns")
    row_id = RowId(exact_bytes(values[0], 16, "row id"))
    generation = values[1]
    if not isinstance(generation, int) or not 1 <= generation <= GENERATION_MAX:
        raise MergeError("a generation is a positive number")
    exact_bytes(born, STAMP_BYTES, "stamp")
    cells = {
        column: strategy_of(code).from_wire(
            payload, stamp_by_index.get(index, born), Place(table, row_id, generation, column)
        )
        for index, ((column, code), payload) in enumerate(zip(layout, values[2:], strict=True))
    }
    return row_id, RowState(generation=generation, born=born, code_by_column=dict(layout), cell_by_column=cells)


@lru_cache(maxsize=1024)
def layout_digest(table: str, layout: Layout) -> bytes:
    """Return 32 bytes that name a table and a layout."""
    spelled = _encode([table, [list(column) for column in layout]])
    return blake2b(spelled, digest_size=32, person=b"nuthatch-layout").digest()


def hash_prefix(table: str, layout: Layout, born: Stamp) -> blake2b:
    """Return the hash begun over what stands before the body, of rows none of whose cells has a stamp of its own.

    Thousands of rows of a batch share it: going on from a copy costs two thirds of beginning anew.
    """
    return blake2b(layout_digest(table, layout) + born, digest_size=ROW_HASH_BYTES, person=b"nuthatch-row")


def hash_body(prefix: blake2b, body: bytes) -> bytes:
    """Return the 32-byte row hash of `body` under a prefix from `hash_prefix`."""
    begun = prefix.copy()
    begun.update(body)
    return begun.digest()


def hash_bodies(prefix: blake2b, bodies: Iterable[bytes]) -> list[bytes]:
    """Return the same of many bodies under one prefix."""
    begin = prefix.copy
    hashes: list[bytes] = []
    for body in bodies:
        begun = begin()
        begun.update(body)
        hashes.append(begun.digest())
    return hashes


def hash_runs(table: str, layout: Layout, births: Iterable[tuple[int, Stamp]], bodies: Sequence[bytes]) -> list[bytes]:
    """Return the same of bodies of which, in runs, so many were born under one stamp each."""
    named = layout_digest(table, layout)
    hashes: list[bytes] = []
    for count, born in births:
        if count == 1:
            hashes.append(hash_spelled(named, born, {}, bodies[len(hashes)]))
        else:
            hashes += hash_bodies(hash_prefix(table, layout, born), bodies[len(hashes) : len(hashes) + count])
    return hashes


def hash_row(table: str, row: SpelledRow) -> bytes:
    """Return the 32-byte row hash: BLAKE2b of layout, born, the cells' own stamps, and body."""
    return hash_spelled(layout_digest(table, row.layout), row.born, row.stamp_by_index, row.body)


def hash_spelled(layout_named: bytes, born: Stamp, stamp_by_index: Mapping[int, Stamp], body: bytes) -> bytes:
    """Return the same of a row whose table and layout are named by `layout_digest`."""
    if not stamp_by_index:
        return blake2b(layout_named + born + body, digest_size=ROW_HASH_BYTES, person=b"nuthatch-row").digest()
    hashed = b"".join((layout_named, born, _encode(sorted(stamp_by_index.items())), body))
    return blake2b(hashed, digest_size=ROW_HASH_BYTES, person=b"nuthatch-row+").digest()

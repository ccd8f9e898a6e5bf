"""Spells stored rows for pages, as they travel; a row that is not what its hash says is left out, and told of."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

import msgspec

from crdt.identifiers import STAMP_BYTES, RowId, Stamp, make_stamp, row_id_to_text
from crdt.row import Layout, hash_body, hash_prefix, hash_row, prove_row, spell_row
from crdt.version_vector import VersionVector
from node.store.catalogue import ReplicatedTable
from node.store.database import Row
from node.store.origins import Origins
from node.store.row_state import RowStates
from sync.snapshot import PageSection, SectionDraft

logger = logging.getLogger(__name__)

_encode = msgspec.msgpack.Encoder().encode

# The stamp `born`, its place in the section, and the headers of the arrays.
_ROW_OVERHEAD_BYTES = 80
# Where in what `selection` selects the spelled row begins.
_ID, _GENERATION, _VALUES = 6, 7, 8


def selection(table: ReplicatedTable) -> str:
    """Return what to select, and from where, for `RowSpelling`; row states are `r`."""
    return (
        f"SELECT r.hlc, r.origin, r.seq, r.cells, r.hash, t.id IS NOT NULL, r.id, r.generation, {table.selected}"
        f" FROM {table.row_table} r LEFT JOIN main.{table.name} t ON t.id = r.id"
    )


def row_id_of(row: Row) -> bytes:
    """Return the id of a row of `selection`."""
    row_id: bytes = row[_ID]
    return row_id


class PageRow(NamedTuple):
    """One row as it travels: `stamps` are those of its cells that differ from `born`, in order of column."""

    row_id: bytes
    layout: Layout
    born: Stamp
    body: bytes
    stamps: Sequence[tuple[int, Stamp]]


class RowSpelling:
    """The spelling of one store's rows."""

    __slots__ = ("_origins", "_states")

    def __init__(self, states: RowStates, origins: Origins) -> None:
        """Read row states by `states`, name their origins by `origins`."""
        self._states = states
        self._origins = origins

    def spell(self, table: ReplicatedTable, rows: Iterable[Row], vector: VersionVector) -> Iterator[PageRow]:
        """Yield what `selection` gave of a table, rows that are damaged left out."""
        layout = table.layout
        for (hlc, origin, seq), run in groupby(rows, itemgetter(0, 1, 2)):
            born = make_stamp(int.from_bytes(hlc, "big"), self._origins.origin(origin), seq)
            prefix = hash_prefix(table.name, layout, born)
            for row in run:
                if row[3] is None and row[_GENERATION] == 1 and row[5]:
                    # Born by one change and never touched again: the values in the table are the payloads.
                    body = _encode(row[_ID:])
                    sound = hash_body(prefix, body) == row[4]
                    spelled = PageRow(row[_ID], layout, born, body, ())
                else:
                    spelled, sound = self._spell_state(table, row, vector)
                if sound:
                    yield spelled
                else:
                    logger.error(
                        "a row that is not what its hash says was left out of a page",
                        extra={"table": table.name, "row": row_id_to_text(RowId(row[_ID]))},
                    )

    def _spell_state(self, table: ReplicatedTable, row: Row, vector: VersionVector) -> tuple[PageRow, bool]:
        """Return a row that is more than its values, and whether it is what its hash says."""
        row_id = RowId(row[_ID])
        stored = self._states.from_row(table, (row_id, row[_GENERATION], *row[:5], *row[_VALUES:]), vector)
        spelled = spell_row(row_id, stored.row)
        stamps = sorted(spelled.stamp_by_index.items())
        sound = hash_row(table.name, prove_row(row_id, stored.row)) == stored.hash
        return PageRow(row_id, spelled.layout, spelled.born, spelled.body, stamps), sound


class PageDraft:
    """The rows of a page as they are gathered."""

    __slots__ = ("_bytes_max", "_draft_by_layout", "_size")

    def __init__(self, bytes_max: int) -> None:
        """Gather about `bytes_max` bytes, at least one row."""
        self._bytes_max = bytes_max
        self._draft_by_layout: dict[tuple[str, Layout], SectionDraft] = {}
        self._size = 0

    def add(self, table: str, row: PageRow) -> bool:
        """Add a row behind all others; return False, and add nothing, where it no longer fits."""
        size = self._size + len(row.body) + _ROW_OVERHEAD_BYTES + STAMP_BYTES * len(row.stamps)
        if self._size and size > self._bytes_max:
            return False
        self._size = size
        key = table, row.layout
        draft = self._draft_by_layout.get(key)
        if draft is None:
            draft = self._draft_by_layout[key] = SectionDraft()
        draft.add(row.born, row.body, row.stamps)
        return True

    def left_bytes(self) -> int:
        """How many more bytes fit."""
        return self._bytes_max - self._size

    def sections(self) -> dict[tuple[str, Layout], PageSection]:
        """Return what was gathered, by table and layout."""
        return {key: draft.finish() for key, draft in self._draft_by_layout.items()}

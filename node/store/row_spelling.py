"""Spells stored rows for pages, as they travel; a row that is not what its hash says is left out, and told of."""

import logging
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain, compress, groupby, repeat
from operator import itemgetter, not_
from typing import NamedTuple

import msgspec

from crdt.errors import MergeError
from crdt.identifiers import STAMP_BYTES, RowId, Stamp, make_stamp, row_id_to_text
from crdt.row import Layout, hash_row, hash_runs, prove_row, spell_row
from crdt.version_vector import VersionVector
from node.errors import DamagedRowError
from node.store.catalogue import ReplicatedTable
from node.store.damaged_texts import query_rows
from node.store.database import Database, Row
from node.store.origins import Origins
from node.store.row_state import RowStates
from sync.snapshot import PageSection, SectionDraft

logger = logging.getLogger(__name__)

_encode = msgspec.msgpack.Encoder().encode

# The stamp `born`, its place in the section, and the headers of the arrays.
_ROW_OVERHEAD_BYTES = 80
# Where in a row of `rows_to_spell` the spelled row begins.
_ID, _GENERATION, _VALUES = 6, 7, 8


def rows_to_spell(database: Database, table: ReplicatedTable, where: str, parameters: Sequence[object]) -> list[Row]:
    """Return rows of a table as `RowSpelling` takes them; in `where` row states are `r`."""
    return query_rows(
        database,
        table,
        lambda selected: (
            f"SELECT r.hlc, r.origin, r.seq, r.cells, r.hash, t.id IS NOT NULL, r.id, r.generation, {selected}"
            f" FROM {table.row_table} r LEFT JOIN main.{table.name} t ON t.id = r.id WHERE {where}"
        ),
        parameters,
        _VALUES,
    )


def row_id_of(row: Row) -> bytes:
    """Return the id of a row of `rows_to_spell`."""
    row_id: bytes = row[_ID]
    return row_id


class SpelledRun(NamedTuple):
    """Rows of one layout as they travel, each `born` under its stamp; those of its cells that differ, of a lone row."""

    row_ids: Sequence[bytes]
    layout: Layout
    births: Sequence[Stamp]
    bodies: Sequence[bytes]
    stamps: Sequence[tuple[int, Stamp]] = ()


class RowSpelling:
    """The spelling of one store's rows."""

    __slots__ = ("_origins", "_states")

    def __init__(self, states: RowStates, origins: Origins) -> None:
        """Read row states by `states`, name their origins by `origins`."""
        self._states = states
        self._origins = origins

    def spell(self, table: ReplicatedTable, rows: Iterable[Row], vector: VersionVector) -> Iterator[SpelledRun]:
        """Yield what `rows_to_spell` gave of a table in its order, rows that are damaged left out."""
        for is_plain, run in groupby(rows, _is_plain):
            if is_plain:
                yield self._spell_values(table, list(run))
            else:
                yield from filter(None, (self._spell_state(table, row, vector) for row in run))

    def _spell_values(self, table: ReplicatedTable, rows: Sequence[Row]) -> SpelledRun:
        """Return rows that are their own values, as far as they are what their hashes say."""
        runs = [
            (len(list(run)), make_stamp(int.from_bytes(hlc, "big"), self._origins.origin(origin), seq))
            for (hlc, origin, seq), run in groupby(rows, itemgetter(0, 1, 2))
        ]
        births = list(chain.from_iterable(repeat(born, count) for count, born in runs))
        bodies = [_encode(row[_ID:]) for row in rows]
        hashes = hash_runs(table.name, table.layout, runs, bodies)
        if hashes != [row[4] for row in rows]:
            sound = [row[4] == row_hash for row, row_hash in zip(rows, hashes, strict=True)]
            for row in compress(rows, map(not_, sound)):
                _tell_damaged(table, row[_ID])
            rows, births, bodies = (
                list(compress(rows, sound)),
                list(compress(births, sound)),
                list(compress(bodies, sound)),
            )
        return SpelledRun([row[_ID] for row in rows], table.layout, births, bodies)

    def _spell_state(self, table: ReplicatedTable, row: Row, vector: VersionVector) -> SpelledRun | None:
        """Return a row that is more than its values, None if it is not what its hash says."""
        row_id = RowId(row[_ID])
        try:
            stored = self._states.from_row(table, (row_id, row[_GENERATION], *row[:5], *row[_VALUES:]), vector)
            sound = hash_row(table.name, prove_row(row_id, stored.row)) == stored.hash
            # What is kept beside an edited text is not in the hash: that it is whole shows when it is spelled.
            spelled = spell_row(row_id, stored.row) if sound else None
        except (DamagedRowError, MergeError):
            spelled = None
        if spelled is None:
            _tell_damaged(table, row_id)
            return None
        stamps = sorted(spelled.stamp_by_index.items())
        return SpelledRun([row_id], spelled.layout, [spelled.born], [spelled.body], stamps)


def _is_plain(row: Row) -> bool:
    """Tell whether a row was born by one change and never touched again: its values are the payloads."""
    return row[3] is None and row[_GENERATION] == 1 and bool(row[5])


def _tell_damaged(table: ReplicatedTable, row_id: bytes) -> None:
    logger.error(
        "a row that is not what its hash says was left out of a page",
        extra={"table": table.name, "row": row_id_to_text(RowId(row_id))},
    )


class PageDraft:
    """The rows of a page as they are gathered."""

    __slots__ = ("_bytes_max", "_draft_by_layout", "_size")

    def __init__(self, bytes_max: int) -> None:
        """Gather about `bytes_max` bytes, at least one row."""
        self._bytes_max = bytes_max
        self._draft_by_layout: dict[tuple[str, Layout], SectionDraft] = {}
        self._size = 0

    def add(self, table: str, run: SpelledRun) -> int:
        """Add as many rows of a run as still fit, behind all others; return how many."""
        sizes = [len(body) + _ROW_OVERHEAD_BYTES for body in run.bodies]
        reached = list(accumulate(sizes, initial=self._size + STAMP_BYTES * len(run.stamps)))
        count = len(sizes)
        if reached[-1] > self._bytes_max:
            count = bisect_right(reached, self._bytes_max, 1) - 1
            if not self._size:
                count = max(count, 1)
        if count:
            self._size = reached[count]
            section = self._draft_by_layout.setdefault((table, run.layout), SectionDraft())
            section.add(run.births[:count], run.bodies[:count], run.stamps)
        return count

    def left_bytes(self) -> int:
        """How many more bytes fit."""
        return self._bytes_max - self._size

    def sections(self) -> dict[tuple[str, Layout], PageSection]:
        """Return what was gathered, by table and layout."""
        return {key: draft.finish() for key, draft in self._draft_by_layout.items()}

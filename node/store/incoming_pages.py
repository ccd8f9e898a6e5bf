"""Applies verified pages of peers: new rows, as a rule nearly all, go in set-based, others are joined one by one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain, groupby, islice, repeat
from operator import gt

from crdt.identifiers import RowId, Stamp
from crdt.row import Layout, RowState, hash_runs
from crdt.strategies.text import Text, come_ahead
from crdt.version_vector import VersionVector
from node.store.catalogue import ReplicatedTable
from node.store.change_log import RowsMoved
from node.store.foreign_tables import ForeignTables
from node.store.incoming import Applied, RowsByTable, join_states
from node.store.merge import Merge
from node.store.plainness import all_plain, is_plain
from node.store.row_decoding import DecodedRows, decode_array, leaf_stamps, read_state
from node.store.row_state import in_context
from sync.errors import RemoteProtocolError
from sync.snapshot import Page, PageSection, RowKey


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrivedRows:
    """The rows of one layout of a page, each decoded and spelled."""

    table: ReplicatedTable
    layout: Layout
    rows: DecodedRows
    bodies: Sequence[bytes]
    row_ids: Sequence[bytes]
    section: PageSection

    def bounds(self) -> tuple[RowKey, RowKey]:
        """Return the keys of the first and the last row; raises RemoteProtocolError for rows that are out of order."""
        if not all(map(gt, self.row_ids, islice(self.row_ids, 1, None))):
            raise RemoteProtocolError("the rows of a snapshot page are out of order")
        return RowKey(self.table.name, self.row_ids[0]), RowKey(self.table.name, self.row_ids[-1])


class IncomingPages:
    """The way in for pages of peers."""

    __slots__ = ("_foreign", "_merge")

    def __init__(self, foreign: ForeignTables, merge: Merge) -> None:
        """Decode by declared and `foreign` tables, join by `merge`."""
        self._foreign = foreign
        self._merge = merge

    def decode(self, page: Page) -> list[ArrivedRows]:
        """Return the rows of a page.

        Raises RemoteProtocolError for what no honest device spells, NewerSchemaError for a newer version's.
        """
        arrived: list[ArrivedRows] = []
        seen: dict[str, set[bytes]] = {}
        for (name, layout), section in zip(page.header.layouts, page.sections, strict=True):
            table = self._foreign.meet(name, page.header.stream)
            rows, bodies = decode_array(table, layout, section.as_array())
            row_ids = [row[0] for row in rows]
            of_table = seen.setdefault(name, set())
            count = len(of_table)
            of_table.update(row_ids)
            if len(of_table) != count + len(row_ids):
                raise RemoteProtocolError(f"a snapshot page holds a row of {name} twice")
            group = ArrivedRows(table=table, layout=layout, rows=rows, bodies=bodies, row_ids=row_ids, section=section)
            arrived.append(group)
        return arrived

    def join(
        self,
        arrived: Iterable[ArrivedRows],
        my_vector: VersionVector,
        their_vector: VersionVector,
        *,
        repairing: bool,
    ) -> Applied:
        """Join row states with those that stand here; `their_vector` is the manifest's frontier.

        What `repairing` brings anew, because a damaged copy was taken out, may have ended while it was damaged.
        """
        moved = RowsMoved()
        rows_by_table: RowsByTable = {}
        stamps: set[Stamp] = set()
        for group in arrived:
            rows_by_table.setdefault(group.table.name, []).append((group.layout, group.rows))
            replaced = self._unknown(group) if repairing else {}
            fresh = self._fresh(group)
            if fresh:
                moved += self._insert(group, fresh)
            if len(fresh) < len(group.rows):
                others = _states(group, set(range(len(group.rows))).difference(fresh), their_vector, stamps)
                moved += join_states(self._merge, group.table, others, None, my_vector, their_vector)
            if replaced:
                self._merge.replace(group.table, replaced, Stamp(group.section.births[0][1]))
        return Applied(moved=moved, rows_by_table=rows_by_table, leaf_stamps=frozenset(stamps))

    def _unknown(self, group: ArrivedRows) -> dict[bytes, int]:
        """Return the generations of rows that have no row state here."""
        known = self._merge.known(group.table, group.row_ids)
        return {row[0]: row[1] for row in group.rows if row[0] not in known}

    def _fresh(self, group: ArrivedRows) -> Sequence[int]:
        """Return the positions of rows that were never seen here and were not touched since their birth."""
        table, rows = group.table, group.rows
        if group.layout != table.layout:
            return ()
        known = self._merge.known(table, group.row_ids)
        if not known and not group.section.stamps and {row[1] for row in rows} == {1} and all_plain(table, rows):
            return range(len(rows))
        stamped = {position for position, _ in group.section.stamps}
        return [
            position
            for position, row in enumerate(rows)
            if row[1] == 1 and position not in stamped and row[0] not in known and is_plain(table, row)
        ]

    def _insert(self, group: ArrivedRows, positions: Sequence[int]) -> RowsMoved:
        rows, bodies, runs = group.rows, group.bodies, group.section.births
        if len(positions) < len(rows):
            born = _births(group.section)
            runs = [(len(list(run)), stamp) for stamp, run in groupby(map(born.__getitem__, positions))]
            rows, bodies = [rows[position] for position in positions], [bodies[position] for position in positions]
        # A page comes newest first; the tables grow faster upwards.
        births = [(count, Stamp(born)) for count, born in reversed(runs)]
        hashes = hash_runs(group.table.name, group.layout, births, bodies[::-1])
        return self._merge.insert_new(group.table, rows[::-1], hashes, births)


def _births(section: PageSection) -> list[bytes]:
    """Return the stamp under which each row was born."""
    return list(chain.from_iterable(repeat(born, count) for count, born in section.births))


def _states(
    group: ArrivedRows, positions: Iterable[int], theirs: VersionVector, stamps: set[Stamp]
) -> dict[RowId, RowState]:
    """Return rows as states; `stamps` grows by those within documents."""
    own_by_position = dict(group.section.stamps)
    born = _births(group.section)
    states: dict[RowId, RowState] = {}
    for position in sorted(positions):
        own = own_by_position.get(position, ())
        row_id, state = read_state(group.table, group.layout, group.rows[position], Stamp(born[position]), own)
        stamps.update(leaf_stamps(state))
        states[row_id] = _come_ahead(in_context(state, theirs))
    return states


def _come_ahead(state: RowState) -> RowState:
    """Return a page's row, its edited texts marked: which of their changes are in batches held here, no one knows."""
    marked = {
        name: come_ahead(cell)
        for name, cell in state.cell_by_column.items()
        if isinstance(cell, Text) and cell.plain is None
    }
    return replace(state, cell_by_column={**state.cell_by_column, **marked}) if marked else state

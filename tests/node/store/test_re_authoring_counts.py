"""Counts of a member that counts back stay such as a page may carry when they are renamed."""

from itertools import pairwise

from crdt.identifiers import Origin, RowId, make_stamp
from crdt.row import RowState
from crdt.strategies.counter import Counter
from node.store.re_authoring import Renaming, renamed_row, step_between

OLD, NEW = Origin(b"o" * 40), Origin(b"n" * 40)
CELL = ("drill_items", RowId(bytes(16)), 1, "uses")


def test_a_chain_that_counts_back_leaves_no_count_below_zero() -> None:
    said = [(0, 0), (10, 3), (5, 0), (10, 3)]
    row = RowState(
        generation=1,
        born=make_stamp(1, OLD, 1),
        code_by_column={"uses": 4},
        cell_by_column={"uses": Counter({OLD: (10, 3)})},
    )
    for seq, (before, after) in enumerate(pairwise(said), start=1):
        step = step_between(before, after)
        old, new = make_stamp(seq, OLD, seq), make_stamp(seq, NEW, seq)
        row = renamed_row("drill_items", CELL[1], row, Renaming(old=old, new=new, step_by_cell={CELL: step}))
        cell = row.cell_by_column["uses"]
        assert isinstance(cell, Counter)
        assert all(min(totals) >= 0 for totals in cell.totals_by_origin.values())

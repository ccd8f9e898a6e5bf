"""The digest that a stream must have, computed from history alone: no state is kept, no hash is ever subtracted."""

from collections.abc import Iterable

from crdt.digest import EMPTY_DIGEST, move_digest, sum_hashes
from crdt.identifiers import Dot, Origin, RowId, Stamp, make_dot, make_stamp
from crdt.row import RowState, hash_row, prove_row
from crdt.strategies import STRATEGY_BY_NAME, CellState
from crdt.strategies.counter import Counter
from crdt.strategies.observed_set import ObservedSet
from crdt.strategies.register import Register
from crdt.values import Scalar
from node.store.schema import Column, Table
from simulations.oracle.fold import current, live_members, value_order
from simulations.oracle.history import Change, Count, Members, Version, Write
from simulations.oracle.replica import ModelReplica
from sync.streams import Stream


def expected_digest(model: ModelReplica, stream: Stream) -> bytes:
    """Return the sum of the row hashes of everything that the replica ever held, tombstones too."""
    hashes = [
        _row_hash(model.tables[table], RowId(row_id), changes.values())
        for (table, row_id), changes in model.changes_by_row.items()
        if model.tables[table].stream == stream
    ]
    return move_digest(EMPTY_DIGEST, added=sum_hashes(hashes), removed=0)


def _row_hash(table: Table, row_id: RowId, changes: Iterable[Change]) -> bytes:
    newest = sorted(current(changes), key=lambda change: change.version)
    cells: dict[str, CellState] = {}
    codes: dict[str, int] = {}
    for column in table.columns:
        written = [change for change in newest if column.name in change.cells]
        if written:
            codes[column.name] = STRATEGY_BY_NAME[column.strategy].code
            cells[column.name] = _cell(column, written)
    state = RowState(
        generation=newest[0].generation,
        born=_stamp(newest[0].version),
        code_by_column=codes,
        cell_by_column=cells,
    )
    return hash_row(table.name, prove_row(row_id, state))


def _cell(column: Column, changes: list[Change]) -> CellState:
    match column.strategy:
        case "counter":
            return Counter(_totals(column.name, changes))
        case "set":
            return ObservedSet(_elements(column.name, changes))
        case "lww":
            chosen = changes[-1]
        case "immutable":
            chosen = changes[0]
        case "min":
            valued = [change for change in changes if _value(change, column.name) is not None]
            chosen = min(valued or changes, key=lambda change: value_order(_value(change, column.name)))
        case "max":
            chosen = max(changes, key=lambda change: value_order(_value(change, column.name)))
        case strategy:
            raise AssertionError(f"the model does not know the strategy {strategy}")
    return Register(_stamp(chosen.version), _value(chosen, column.name))


def _value(change: Change, column: str) -> Scalar:
    cell = change.cells[column]
    assert isinstance(cell, Write)
    assert not isinstance(cell.value, frozenset)
    return cell.value


def _totals(column: str, changes: list[Change]) -> dict[Origin, tuple[int, int]]:
    totals: dict[Origin, tuple[int, int]] = {}
    for change in changes:
        cell = change.cells[column]
        assert isinstance(cell, Count)
        if cell.amount:
            added, subtracted = totals.get(Origin(change.version.origin), (0, 0))
            totals[Origin(change.version.origin)] = (added + max(cell.amount, 0), subtracted + max(-cell.amount, 0))
    return totals


def _elements(column: str, changes: list[Change]) -> dict[Dot, str]:
    elements: dict[Dot, str] = {}
    by_version = {change.version: change for change in changes}
    for version, element in live_members(changes, column):
        cell = by_version[version].cells[column]
        assert isinstance(cell, Members)
        index = sorted(cell.added).index(element)
        elements[make_dot(Origin(version.origin), version.seq, index)] = element
    return dict(sorted(elements.items()))


def _stamp(version: Version) -> Stamp:
    return make_stamp(version.hlc, Origin(version.origin), version.seq)

"""What is kept of a cell beside the value that its table shows, and how the cell is made whole again.

A cell that is its own spelling needs nothing. A promoted text keeps what its changes did without their letters: the
text itself stands in the table only. Of a tombstone, which has no row in its table,
everything is kept.
"""

from crdt import text_at_rest
from crdt.errors import MergeError
from crdt.identifiers import RowId, Stamp, row_id_to_text
from crdt.place import Place
from crdt.strategies import CellState, Strategy
from crdt.strategies.json_document import JsonDocument
from crdt.strategies.observed_set import ObservedSet
from crdt.strategies.register import Register
from crdt.strategies.text import Text
from crdt.version_vector import VersionVector
from node.errors import DamagedRowError
from node.store.literals import parse_literal


def payload_beside(strategy: Strategy, cell: CellState, nil: str | None) -> object | None:
    """Return what a living row's state keeps of `cell`, None for nothing; the table shows its value.

    `nil` is the SQL literal that the column shows where nothing was ever written to it.
    """
    match cell:
        case Register():
            return None
        case Text():
            return text_at_rest.to_stored(cell)
        case JsonDocument():
            spelled = strategy.to_wire(cell)
            return None if isinstance(spelled, str) and (nil is None or spelled != parse_literal(nil)) else spelled
        case _:
            return strategy.to_wire(cell)


def damaged_row(row_id: bytes) -> DamagedRowError:
    """Return what a person is told of a row that cannot be read as what was written."""
    return DamagedRowError(
        f"The record {row_id_to_text(RowId(row_id))} is not what was written: this device's disk or another "
        "program changed it. Run `nuthatch doctor --repair`, best while another device of yours is connected."
    )


def cell_beside(
    strategy: Strategy, payload: object | None, shown: object, stamp: Stamp, place: Place, vector: VersionVector
) -> CellState:
    """Return the cell of a living row, of which `payload` is kept and `shown` stands in the table.

    Raises DamagedRowError where the two do not fit: the damage is here, and no fault of what is merged with it.
    """
    try:
        return _cell_beside(strategy, payload, shown, stamp, place, vector)
    except MergeError as error:
        raise damaged_row(place.row_id) from error


def _cell_beside(
    strategy: Strategy, payload: object | None, shown: object, stamp: Stamp, place: Place, vector: VersionVector
) -> CellState:
    if strategy.name == "text":
        if not isinstance(shown, str):
            raise MergeError("a text column holds something else")
        return text_at_rest.from_stored(payload, shown, place)
    if strategy.stamped or (strategy.name == "document" and payload is None):
        payload = shown
    return in_sets_context(strategy.from_wire(payload, stamp, place), vector)


def in_sets_context(cell: CellState, vector: VersionVector) -> CellState:
    """Return the cell, if it is a set with `vector` as its causal context: at rest that is its stream's frontier.

    A removal can be here before what it removes: a number that it builds on was given twice, by a device that had gone
    back, only the other batch of that number is here, and nobody can tell or settle it (`dependencies`). It waits in
    the row.
    """
    if not isinstance(cell, ObservedSet):
        return cell
    return ObservedSet(
        cell.element_by_dot, vector, frozenset(dot for dot in cell.removed if not vector.covers_dot(dot))
    )

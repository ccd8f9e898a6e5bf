"""Whether a batch that stands for another repeats it: the same changes of the same rows, under another name.

Everyone who held the other batch renames what it brought; who did not gets it by the new one. If the two differed, all
would hold the same batches and other rows. What cannot be compared is what may differ honestly: a counter's totals
(the new origin counts from its own beginning), the new names of elements of the same device that a set lost, and
changes that one of the two no longer tells because they were forgotten.
"""

from collections.abc import Iterator

import msgspec

from crdt.identifiers import RowId, dot_index, dot_origin, origin_device
from crdt.row import RowState, read_row
from crdt.strategies import CellState, text
from crdt.strategies.counter import Counter
from crdt.strategies.json_document import JsonDocument
from crdt.strategies.observed_set import ObservedSet
from crdt.strategies.register import Register
from crdt.strategies.text import Text
from sync.batch import Batch

_decode_row = msgspec.msgpack.Decoder(list[object]).decode


def changes_of(batch: Batch) -> Iterator[tuple[str, RowId, RowState]]:
    """Yield (table, row id, change) of all changes of a batch of one's own log that were not forgotten."""
    stamp = batch.header.stamp
    for change in batch.changes:
        if not isinstance(change, bytes):
            table, layout = batch.header.layouts[change[0]]
            row_id, state = read_row(table, layout, _decode_row(change[2]), stamp, {})
            yield table, row_id, state


def repeats(batch: Batch, earlier: Batch) -> bool:
    """Tell whether `batch` repeats `earlier`, which it stands for; the rows of both were found to be well formed."""
    new, old = ({(table, row_id): row for table, row_id, row in changes_of(one)} for one in (batch, earlier))
    forgotten = [one.header.count - len(told) for one, told in ((batch, new), (earlier, old))]
    return (
        batch.header.count == earlier.header.count
        and len(old.keys() - new.keys()) <= forgotten[0]
        and len(new.keys() - old.keys()) <= forgotten[1]
        and all(_says_the_same(new[key], old[key]) for key in new.keys() & old.keys())
    )


def _says_the_same(new: RowState, old: RowState) -> bool:
    return (
        new.generation == old.generation
        and new.code_by_column == old.code_by_column
        and all(_is_same(cell, old.cell_by_column[column]) for column, cell in new.cell_by_column.items())
    )


def _is_same(new: CellState, old: CellState) -> bool:
    match new, old:
        case (Register(), Register()):
            # 1, 1.0 and True are equal in Python.
            return (type(new.value), new.value) == (type(old.value), old.value)
        case (ObservedSet(), ObservedSet()):
            return _added(new) == _added(old) and _removed(new) == _removed(old)
        case (JsonDocument(), JsonDocument()):
            return _leaves(new) == _leaves(old)
        case (Text(), Text()):
            return text.to_wire(new) == text.to_wire(old)
        case (Counter(), Counter()):
            return True
        case _:
            return False


def _added(cell: ObservedSet) -> list[tuple[int, str]]:
    return sorted((dot_index(dot), element) for dot, element in cell.element_by_dot.items())


def _removed(cell: ObservedSet) -> list[tuple[bytes, int]]:
    return sorted((origin_device(dot_origin(dot)), dot_index(dot)) for dot in cell.removed)


def _leaves(cell: JsonDocument) -> dict[tuple[str, ...], str | None]:
    return {path: leaf.text for path, leaf in cell.leaf_by_path.items()}

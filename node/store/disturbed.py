"""What a transaction did that may change what is derived of references, as the writers note it down."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from crdt.row import Layout, RowState
from node.store.catalogue import ReplicatedTable
from node.store.reference_graph import RowKey
from node.store.row_state import StoredRow
from node.store.schema import Reference


@dataclass(frozen=True, slots=True)
class Disturbed:
    """What a transaction did that may change what is derived.

    `rows`, by table, may themselves be derived or have others derived on their account; `dead` are those that were
    deleted; `named` are the rows that arrived rows refer to, by the referring table and reference.
    """

    rows: dict[str, list[bytes]] = field(default_factory=dict)
    dead: set[RowKey] = field(default_factory=set)
    named: dict[tuple[str, Reference], set[bytes]] = field(default_factory=dict)

    def note_arrived(
        self, table: ReplicatedTable, groups: Iterable[tuple[Layout, Sequence[Sequence[Any]]]], *, is_parent: bool
    ) -> None:
        """Take in decoded rows (id, generation, payloads…) that were joined; `is_parent` says that others refer."""
        if not table.references and not is_parent:
            return
        for layout, rows in groups:
            self.note(table.name, [row[0] for row in rows])
            alive = [row for row in rows if row[1] % 2 == 1]
            if len(alive) < len(rows):
                self.dead.update((table.name, row[0]) for row in rows if row[1] % 2 == 0)
            index_by_column = {name: index for index, (name, _) in enumerate(layout, start=2)}
            for reference in table.references:
                index = index_by_column.get(reference.column)
                if index is not None:
                    named = set(map(itemgetter(index), alive)) - {None}
                    self.named.setdefault((table.name, reference), set()).update(named)

    def note(self, table: str, row_ids: Iterable[bytes]) -> None:
        """Take in rows whose derived state may change."""
        self.rows.setdefault(table, []).extend(row_ids)

    def note_written(self, table: ReplicatedTable, row_id: bytes, old: StoredRow, new: RowState) -> None:
        """Take in a row that a local transaction changed, if others may hang on that."""
        if new.generation != old.row.generation or old.hidden:
            self.note(table.name, (row_id,))
        if not new.alive:
            self.dead.add((table.name, row_id))

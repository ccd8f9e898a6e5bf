"""Reads rows as the derivation sees them: alive or dead, in their tables or not, and the references they truly hold."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from msgspec import MsgspecError

from node.store.catalogue import Catalogue, ReplicatedTable
from node.store.database import Database
from node.store.row_state import IDS, ids_blob, split_cells

#: A table's name and a row id.
RowKey = tuple[str, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One row: `origin` is the number of the one who brought about its generation, `shown` what its table holds.

    `true` are the references as merged, `shown` as they stand in the table (none for a row that is not in it).
    """

    alive: bool
    in_table: bool
    origin: int
    true: Mapping[str, bytes | None]
    shown: Mapping[str, bytes | None]


class ReferenceGraph:
    """Rows and their references, each read once; good for one derivation."""

    __slots__ = ("_catalogue", "_database", "_node_by_key")

    def __init__(self, database: Database, catalogue: Catalogue) -> None:
        """Read from `database`."""
        self._database = database
        self._catalogue = catalogue
        self._node_by_key: dict[RowKey, Node | None] = {}

    def table(self, name: str) -> ReplicatedTable:
        """Return the declaration of a table."""
        return self._catalogue.table_by_name[name]

    def load(self, keys: Iterable[RowKey]) -> None:
        """Read those of `keys` that were not read yet, a statement a table."""
        ids_by_table: dict[str, list[bytes]] = {}
        for name, row_id in keys:
            if (name, row_id) not in self._node_by_key:
                ids_by_table.setdefault(name, []).append(row_id)
        for name, row_ids in ids_by_table.items():
            self._node_by_key.update(dict.fromkeys(((name, row_id) for row_id in row_ids), None))
            self._read(self.table(name), sorted(set(row_ids)))

    def _read(self, table: ReplicatedTable, row_ids: Sequence[bytes]) -> None:
        columns = [reference.column for reference in table.references]
        selected = "".join(f", t.{column}" for column in columns)
        rows = self._database.query(
            f"SELECT r.id, r.generation, r.origin, r.cells, t.id IS NOT NULL{selected} FROM {IDS}"
            f" JOIN {table.row_table} r ON r.id = k LEFT JOIN main.{table.name} t ON t.id = k",
            (ids_blob(row_ids), len(row_ids)),
        )
        for row_id, generation, origin, cells, in_table, *values in rows:
            alive = generation % 2 == 1
            shown = dict(zip(columns, values, strict=True))
            true = shown
            if cells is not None:
                try:
                    split = split_cells(cells)
                except MsgspecError:
                    # Damaged, or taken out and awaited: nobody knows whether it lives until a peer's copy comes.
                    continue
                told = split.hidden if alive else split.payloads
                true = {column: told.get(column, value) for column, value in shown.items()}
            self._node_by_key[table.name, row_id] = Node(
                alive=alive, in_table=bool(in_table), origin=origin, true=true, shown=shown if in_table else {}
            )

    def node(self, key: RowKey) -> Node | None:
        """Return a row, None where it was never seen here or cannot be read."""
        self.load((key,))
        return self._node_by_key[key]

    def targets(self, key: RowKey, action: str) -> list[RowKey]:
        """Return the rows that a row's references with `on_delete` = `action` truly name."""
        node = self.node(key)
        return [
            (reference.table, target)
            for reference in self.table(key[0]).references
            if reference.on_delete == action and node is not None
            if (target := node.true[reference.column]) is not None
        ]

    def referring(self, keys: Iterable[RowKey]) -> set[RowKey]:
        """Return the rows whose tables show a reference to one of `keys`."""
        return {
            (child.name, row[0])
            for name, row_ids in _by_table(keys).items()
            for child, reference in self._catalogue.children[name]
            for row in self._database.query(
                f"SELECT t.id FROM {IDS} JOIN main.{child.name} t ON t.{reference.column} = k",
                (ids_blob(row_ids), len(row_ids)),
            )
        }

    def watching(self, keys: Iterable[RowKey]) -> set[RowKey]:
        """Return the rows that are out of their tables, or show a derived reference, on account of one of `keys`."""
        return {
            (row[0], row[1])
            for name, row_ids in _by_table(keys).items()
            for row in self._database.query(
                f"SELECT w.table_name, w.row_id FROM {IDS} JOIN _derived w ON w.watched_table = ?3 AND w.watched = k",
                (ids_blob(row_ids), len(row_ids), name),
            )
        }

    def derived_among(self, name: str, row_ids: Sequence[bytes]) -> set[RowKey]:
        """Return those of `row_ids` of a table that are out of it or show a derived reference."""
        rows = self._database.query(
            f"SELECT DISTINCT w.row_id FROM {IDS} JOIN _derived w ON w.table_name = ?3 AND w.row_id = k",
            (ids_blob(row_ids), len(row_ids), name),
        )
        return {(name, row[0]) for row in rows}

    def gone_among(self, name: str, row_ids: Sequence[bytes]) -> list[bytes]:
        """Return those of `row_ids` that were seen here and are not in the table `name`."""
        table = self.table(name)
        rows = self._database.query(
            f"SELECT r.id FROM {IDS} JOIN {table.row_table} r ON r.id = k WHERE NOT EXISTS"
            f" (SELECT 1 FROM main.{name} t WHERE t.id = k)",
            (ids_blob(row_ids), len(row_ids)),
        )
        return [row[0] for row in rows]


def _by_table(keys: Iterable[RowKey]) -> dict[str, list[bytes]]:
    ids_by_table: dict[str, list[bytes]] = {}
    for name, row_id in keys:
        ids_by_table.setdefault(name, []).append(row_id)
    return ids_by_table

"""Keeps the tables in step with what is derived of references: which rows stand, and what they show of deleted ones.

None of it is captured, hashed or sent. The truth stays in the row states: of a row that is out of its table, or shows a
reference other than its true one, `cells` keeps the true values as `hidden`, and `_derived` names the rows on whose
account it is so, to find it when they return. `standing` decides; this module asks it after every transaction that
could have changed the answer, and carries the decision out.
"""

from collections.abc import Iterable, Mapping, Sequence

from crdt.identifiers import RowId, origin_device
from crdt.version_vector import VersionVector
from node.store import full_text
from node.store.capture import Capture
from node.store.catalogue import Catalogue, ReplicatedTable
from node.store.database import Database
from node.store.disturbed import Disturbed
from node.store.merge import Merge
from node.store.origins import Origins
from node.store.reference_graph import ReferenceGraph, RowKey
from node.store.row_state import IDS, RowStates, ids_blob, insert_rows
from node.store.standing import Decision, Standing, hidden_values


class Derived:
    """The derived part of one store's tables."""

    __slots__ = ("_capture", "_catalogue", "_database", "_device_id", "_index_text", "_merge", "_origins", "_states")

    def __init__(
        self,
        *,
        database: Database,
        catalogue: Catalogue,
        capture: Capture,
        origins: Origins,
        states: RowStates,
        merge: Merge,
        device_id: bytes,
        index_text: bool,
    ) -> None:
        """Work on `database` for the device `device_id`, which logs the repairs that follow from its own deletes."""
        self._database = database
        self._catalogue = catalogue
        self._capture = capture
        self._origins = origins
        self._states = states
        self._merge = merge
        self._device_id = device_id
        self._index_text = index_text

    def count(self) -> int:
        """Return how many living rows are out of their tables or show a derived reference."""
        rows = self._database.query("SELECT count(*) FROM (SELECT DISTINCT table_name, row_id FROM _derived)")
        return int(rows[0][0])

    def settle(self, disturbed: Disturbed) -> bool:
        """Bring all that `disturbed` could change in step, within the open transaction, while capture is silent.

        Returns whether capture has begun: the repairs that this device owes were made as ordinary writes, and await
        being authored. Their author knows of a delete what the writer of the row did not; only the device that deleted
        logs them, or every device would write the same.
        """
        graph = ReferenceGraph(self._database, self._catalogue)
        seeds = self._seeds(graph, disturbed)
        if not seeds:
            return False
        decision = Standing(graph, self._is_own).decide(seeds)
        self._forget(seeds | decision.standing | decision.fallen)
        returning = [
            key for key in decision.standing | decision.deletes if (node := graph.node(key)) and not node.in_table
        ]
        for table, row_ids in self._by_table(returning):
            self._put_back(table, row_ids)
        leaving = [key for key in decision.fallen - decision.deletes if (node := graph.node(key)) and node.in_table]
        for table, row_ids in self._by_table(leaving):
            self._put_aside(table, row_ids)
        for key in sorted(decision.standing):
            self._show(graph, key, decision.shown_by_row.get(key, {}))
        insert_rows(
            self._database,
            "_derived",
            ("watched_table", "watched", "table_name", "row_id"),
            [(*watched, *key) for key, all_watched in decision.watched_by_row.items() for watched in all_watched],
        )
        return self._repair(decision)

    def _seeds(self, graph: ReferenceGraph, disturbed: Disturbed) -> set[RowKey]:
        seeds = graph.referring(disturbed.dead)
        for (name, reference), parents in disturbed.named.items():
            gone = graph.gone_among(reference.table, sorted(parents))
            seeds |= {key for key in graph.referring((reference.table, row_id) for row_id in gone) if key[0] == name}
        if self._database.query("SELECT EXISTS (SELECT 1 FROM _derived)")[0][0]:
            for name, row_ids in disturbed.rows.items():
                seeds |= graph.derived_among(name, row_ids) | graph.watching((name, row_id) for row_id in row_ids)
        return seeds

    def _is_own(self, origin: int) -> bool:
        return origin_device(self._origins.origin(origin)) == self._device_id

    def _by_table(self, keys: Iterable[RowKey]) -> Iterable[tuple[ReplicatedTable, list[bytes]]]:
        ids_by_table: dict[str, list[bytes]] = {}
        for name, row_id in sorted(keys):
            ids_by_table.setdefault(name, []).append(row_id)
        return [(self._catalogue.table_by_name[name], row_ids) for name, row_ids in ids_by_table.items()]

    def _forget(self, keys: Iterable[RowKey]) -> None:
        for table, row_ids in self._by_table(keys):
            self._database.change(
                f"DELETE FROM _derived WHERE table_name = ?3 AND row_id IN (SELECT k FROM {IDS})",
                (ids_blob(row_ids), len(row_ids), table.name),
            )

    def _put_back(self, table: ReplicatedTable, row_ids: Sequence[bytes]) -> None:
        # For what a row shows, the causal context of its sets does not matter.
        stored = self._states.read(table, row_ids, VersionVector())
        self._merge.show(table, {RowId(row_id): row.row for row_id, row in stored.items()})
        self._states.hide(table, {row_id: {} for row_id in row_ids})

    def _put_aside(self, table: ReplicatedTable, row_ids: Sequence[bytes]) -> None:
        stored = self._states.read(table, row_ids, VersionVector())
        picked = [
            (column.name, selection)
            for column, selection in zip(table.columns, table.selections, strict=True)
            if column.strategy not in ("set", "counter")
        ]
        columns = [name for name, _ in picked]
        selected = "".join(f", {selection}" for _, selection in picked)
        hidden_by_id: dict[bytes, Mapping[str, object]] = {}
        for row in self._database.query(
            f"SELECT t.id{selected} FROM {IDS} JOIN main.{table.name} t ON t.id = k", (ids_blob(row_ids), len(row_ids))
        ):
            known = stored[row[0]]
            values = dict(zip(columns, row[1:], strict=True)) | dict(known.hidden)
            hidden_by_id[row[0]] = {name: values[name] for name in columns if name in known.row.cell_by_column}
        self._states.hide(table, hidden_by_id)
        if self._index_text:
            full_text.unindex(self._database, table, row_ids)
        self._database.change(
            f"DELETE FROM {table.name} WHERE id IN (SELECT k FROM {IDS})", (ids_blob(row_ids), len(row_ids))
        )

    def _show(self, graph: ReferenceGraph, key: RowKey, derived: Mapping[str, bytes | None]) -> None:
        node = graph.node(key)
        if node is None or not (table := self._catalogue.table_by_name[key[0]]).references:
            return
        present = node.shown if node.in_table else node.true
        wanted = {**node.true, **derived}
        for column, value in wanted.items():
            if present[column] != value:
                self._database.change(f"UPDATE {table.name} SET {column} = ? WHERE id = ?", (value, key[1]))
        hidden = hidden_values(node.true, wanted)
        if hidden != hidden_values(node.true, present):
            self._states.hide(table, {key[1]: hidden})

    def _repair(self, decision: Decision) -> bool:
        if not decision.deletes and not decision.updates:
            return False
        self._capture.begin()
        for table, row_ids in self._by_table(decision.deletes):
            self._database.change(
                f"DELETE FROM {table.name} WHERE id IN (SELECT k FROM {IDS})", (ids_blob(row_ids), len(row_ids))
            )
        for (name, row_id), shown in sorted(decision.updates.items()):
            for column, value in shown.items():
                self._database.change(f"UPDATE {name} SET {column} = ? WHERE id = ?", (value, row_id))
        return True

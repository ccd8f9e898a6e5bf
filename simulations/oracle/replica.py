"""The oracle's copy of one device: the set of transactions it holds, and what a person must therefore see there."""

from collections.abc import Iterable, Mapping

from node.store.schema import Table
from simulations.oracle.derived import shown_cells, standing
from simulations.oracle.fold import Row, current, fold
from simulations.oracle.history import Cell, Change, RowKey, Version, Written
from sync.streams import Stream

Visible = dict[str, dict[bytes, dict[str, Cell]]]


class ModelReplica:
    """A set of changes and a frontier; everything else is computed from them."""

    def __init__(self, tables: Mapping[str, Table], declared: Mapping[str, Table]) -> None:
        """Hold rows of `tables`, as the latest version of the program has them, and show what is `declared` here."""
        self.tables = tables
        self.declared = declared
        self.changes_by_row: dict[RowKey, dict[Version, Change]] = {}
        self.frontier: dict[Stream, dict[bytes, int]] = {}
        # Changes that the frontier covers and that came without their words, because their rows were forgotten.
        self.lacking: set[tuple[Version, RowKey]] = set()
        # By what the batches are held that were written again; not known of what came by snapshot.
        self.again: dict[tuple[Stream, bytes, int, bytes], tuple[bytes, int, bytes]] = {}
        self._rows: dict[RowKey, Row] = {}
        self._stale: set[RowKey] = set()
        self._visible: Visible | None = None

    def copy(self) -> "ModelReplica":
        """Return an equal replica that shares nothing mutable with this one."""
        other = ModelReplica(self.tables, self.declared)
        other.changes_by_row = {key: dict(changes) for key, changes in self.changes_by_row.items()}
        other.frontier = {stream: dict(known) for stream, known in self.frontier.items()}
        other.lacking = set(self.lacking)
        other.again = dict(self.again)
        other._rows = dict(self._rows)
        other._stale = set(self._stale)
        return other

    def covers(self, stream: Stream, origin: bytes, seq: int) -> bool:
        """Return whether the frontier covers a batch."""
        return self.frontier.get(stream, {}).get(origin, 0) >= seq

    def learn(self, written: Written) -> None:
        """Hold one more transaction and advance the frontier over it."""
        self.learn_changes(written.changes)
        self.note_again(written)
        self.lacking.update((written.version, key) for key in written.forgotten)
        known = self.frontier.setdefault(written.stream, {})
        known[written.version.origin] = max(known.get(written.version.origin, 0), written.version.seq)

    def note_again(self, written: Written) -> None:
        """Remember what a transaction stands for."""
        for origin, seq, prefix in written.stands_for:
            self.again[written.stream, origin, seq, prefix] = (*written.version[1:], written.prefix)

    def holds_anew(self, stream: Stream, known: Mapping[bytes, int], origin: bytes, seq: int, prefix: bytes) -> bool:
        """Return whether a frontier covers what a batch, the start of whose hash is given, was written again as."""
        into = self.again.get((stream, origin, seq, prefix))
        return into is not None and (known.get(into[0], 0) >= into[1] or self.holds_anew(stream, known, *into))

    def learn_changes(self, changes: Iterable[Change]) -> None:
        """Hold changes without moving the frontier: what a snapshot page brings."""
        for change in changes:
            self.changes_by_row.setdefault(change.key, {})[change.version] = change
            self._stale.add(change.key)
            self.lacking.discard((change.version, change.key))
            self._visible = None

    def rename(self, stream: Stream, version_by_old: Mapping[Version, Version]) -> None:
        """Call versions as they are called since they were written again, also where later changes speak of them.

        One transaction may have one version in several streams.
        """
        keys = {key for key in self.changes_by_row if self.tables[key[0]].stream == stream}
        for key, changes in self.changes_by_row.items():
            if key not in keys:
                continue
            renamed = [change.renamed(version_by_old) for change in changes.values()]
            self.changes_by_row[key] = {change.version: change for change in renamed}
        self.lacking = {
            (version_by_old.get(version, version) if key in keys else version, key) for version, key in self.lacking
        }
        self._stale |= keys
        self._visible = None

    def adopt(self, stream: Stream, frontier: Mapping[bytes, int]) -> None:
        """Join a snapshot's frontier."""
        known = self.frontier.setdefault(stream, {})
        for origin, seq in frontier.items():
            known[origin] = max(known.get(origin, 0), seq)

    def rows(self) -> Mapping[RowKey, Row]:
        """Return every row ever known, tombstones too, merged."""
        for key in self._stale:
            self._rows[key] = fold(self.tables[key[0]], self.changes_by_row[key].values())
        self._stale.clear()
        return self._rows

    def declared_rows(self) -> Mapping[RowKey, Row]:
        """Return the rows of those tables that this device's program knows."""
        return {key: row for key, row in self.rows().items() if key[0] in self.declared}

    def declare(self, tables: Mapping[str, Table]) -> None:
        """Show from now on what another version of the program declares."""
        self.declared = tables
        self._visible = None

    def visible(self) -> Visible:
        """Return what a person must see on this device. Treat as read-only."""
        if self._visible is None:
            seen: Visible = {name: {} for name in self.declared}
            rows = self.declared_rows()
            stand = standing(self.declared, rows)
            for table, row_id in sorted(stand):
                seen[table][row_id] = shown_cells(self.declared, rows, stand, (table, row_id))
            self._visible = seen
        return self._visible

    def newest_hlc(self) -> int:
        """Return the greatest hybrid time of any change held."""
        return max((version.hlc for changes in self.changes_by_row.values() for version in changes), default=0)

    def newest_shown_hlc(self) -> int:
        """Return the greatest hybrid time that a row still shows: a snapshot page carries no others.

        That is enough: a later write must exceed every value that it replaces, and nothing else goes by time.
        """
        newest = 0
        for (table, _), changes in self.changes_by_row.items():
            kept = current(changes.values())
            newest = max(newest, min(change.version.hlc for change in kept))
            shown = {column.name for column in self.tables[table].columns if column.strategy == "lww"}
            newest = max(newest, *(change.version.hlc if shown & change.cells.keys() else 0 for change in kept), 0)
        return newest

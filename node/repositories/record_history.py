"""The history of records: what was done to them, newest first, and how to take it back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from crdt.hybrid_clock import hybrid_milliseconds
from crdt.identifiers import RowId, Stamp, stamp_hlc
from node.clock import Clock
from node.errors import RefusedError, UsageError
from node.repositories.values import now_text
from node.store.catalogue import ReplicatedTable
from node.store.history import DAYS_KEPT, HistoryEntry
from node.store.store import Store

# What shows the greatest or least value ever written, or the first, cannot be set back.
_ONE_WAY = frozenset({"immutable", "max", "min"})
_ENTRIES_MAX = 100_000
VERSION_BYTES = 5
# What a person said about a conflict is told where the conflict is, not among the records.
_RESOLUTIONS = "conflict_resolutions"
_LABEL_COLUMNS = ("title", "name", "content", "text", "key", "kind")

Fields = Mapping[str, tuple[object, object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """Something that was done to a record: `what` is created, changed or forgotten; `fields` are old and new values."""

    version: str
    table: str
    row_id: RowId
    what: str
    stamp: Stamp
    fields: Fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Undone:
    """What an undo set back: the columns, in a table."""

    table: str
    columns: tuple[str, ...]


class RecordHistory:
    """Who did what to the records of one store."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def of_record(self, row_id: RowId, limit: int) -> list[Happening]:
        """Return what was done to one record, newest first; raises UsageError for an id never seen."""
        table, stamp, alive = self._born(row_id)
        found = [_happening(entry) for entry in self._store.history.of_row(row_id, limit)]
        if alive:
            found.append(_created(table.name, row_id, stamp))
        elif not found:
            version = version_of(row_id, stamp)
            found = [
                Happening(version=version, table=table.name, row_id=row_id, what="forgotten", stamp=stamp, fields={})
            ]
        return found[:limit]

    def recent(self, limit: int) -> list[Happening]:
        """Return what was done last to any record, newest first."""
        told = [table.name for table in self._store.catalogue.tables if table.name != _RESOLUTIONS]
        found = [_happening(entry) for entry in self._store.history.recent(told, limit)]
        for name in told:
            newest = self._store.inspection.newest_rows(name, limit)
            found += [_created(name, row_id, stamp) for row_id, stamp in newest]
        return sorted(found, key=lambda happening: happening.stamp, reverse=True)[:limit]

    def label(self, table: str, row_id: RowId) -> str | None:
        """Return a text by which a person recognises a record, if it stands and has one."""
        declared = self._store.catalogue.table_by_name.get(table)
        names = () if declared is None else declared.column_names
        label = next((name for name in _LABEL_COLUMNS if name in names), None)
        if label is None:
            return None
        # A title may be empty where a content is not.
        texts = ", ".join(f"nullif({name}, '')" for name in _LABEL_COLUMNS if name in names)
        rows = self._store.query(f"SELECT coalesce({texts}, '') FROM {table} WHERE id = ?", (row_id,))
        return str(rows[0][0]) if rows else None

    def undo(self, row_id: RowId, *, to: str | None) -> Undone:
        """Set a record back to before its latest change, or to how it was at version `to`; itself a change.

        Raises UsageError for an unknown id or version, RefusedError where there is nothing to set back.
        """
        table, stamp, alive = self._born(row_id)
        if not alive:
            raise RefusedError("This record was forgotten; nothing of it is left that could be brought back.")
        entries = [entry for entry in self._store.history.of_row(row_id, _ENTRIES_MAX) if entry.differences]
        if to is not None:
            entries = _since(entries, to, self._first_version(row_id, stamp))
        elif entries:
            entries = entries[:1]
        else:
            raise RefusedError(f"Nothing was changed in this record in the last {DAYS_KEPT} days.")
        return self._set_back(table, row_id, entries)

    def _first_version(self, row_id: RowId, born: Stamp) -> str | None:
        """Return the version in which a record was created, if everything that was done to it since is remembered."""
        age_milliseconds = self._clock.now_milliseconds() - hybrid_milliseconds(stamp_hlc(born))
        return version_of(row_id, born) if age_milliseconds < DAYS_KEPT * 24 * 3600 * 1000 else None

    def _set_back(self, table: ReplicatedTable, row_id: RowId, entries: Sequence[HistoryEntry]) -> Undone:
        """Put back the oldest of the old values of each column; a count is taken back by what was counted."""
        values: dict[str, object] = {}
        counted: dict[str, int] = {}
        for entry in entries:
            for column, (old, new) in (entry.differences or {}).items():
                known = table.strategy_by_column.get(column)
                if known is None:
                    # A newer version's column: only its devices can write it.
                    continue
                if known.name == "counter":
                    counted[column] = counted.get(column, 0) + _integer(old) - _integer(new)
                elif known.name not in _ONE_WAY:
                    values[column] = old
        sets = [f"{column} = ?" for column in values] + [f"{column} = {column} + ?" for column in counted]
        if not sets:
            raise RefusedError("What was changed cannot be set back: it only ever grows, or is set once.")
        parameters: list[object] = [*values.values(), *counted.values()]
        if "updated_at" in table.column_names:
            sets.append("updated_at = ?")
            parameters.append(now_text(self._clock))
        with self._store.transaction() as transaction:
            transaction.execute(f"UPDATE {table.name} SET {', '.join(sets)} WHERE id = ?", (*parameters, row_id))
        return Undone(table=table.name, columns=(*values, *counted))

    def _born(self, row_id: RowId) -> tuple[ReplicatedTable, Stamp, bool]:
        for table in self._store.catalogue.tables:
            state = self._store.inspection.row_state(table.name, row_id)
            if state is not None:
                return table, state.born, state.alive
        raise UsageError("There is no record of this id on this device, and there never was one.")


def version_of(row_id: RowId, stamp: Stamp) -> str:
    """Return the name of a change of a record, ten hexadecimal digits: the same on every device."""
    return blake2b(row_id + stamp, digest_size=VERSION_BYTES, person=b"nuthatch-version").hexdigest()


def _since(entries: Sequence[HistoryEntry], to: str, born: str | None) -> list[HistoryEntry]:
    """Return the entries after version `to`, newest first."""
    wanted = to.strip().lower()
    since: list[HistoryEntry] = []
    for entry in entries:
        if version_of(entry.row_id, entry.stamp) == wanted:
            if not since:
                raise RefusedError("The record is at this version already.")
            return since
        since.append(entry)
    if wanted != born or not since:
        raise UsageError(f"This record has no version {to!r} that is still remembered; `nuthatch log ID` shows them.")
    return since


def _integer(value: object) -> int:
    assert isinstance(value, int)
    return value


def _happening(entry: HistoryEntry) -> Happening:
    return Happening(
        version=version_of(entry.row_id, entry.stamp),
        table=entry.table,
        row_id=entry.row_id,
        what="changed" if entry.generation % 2 == 1 else "forgotten",
        stamp=entry.stamp,
        fields=entry.differences or {},
    )


def _created(table: str, row_id: RowId, stamp: Stamp) -> Happening:
    version = version_of(row_id, stamp)
    return Happening(version=version, table=table, row_id=row_id, what="created", stamp=stamp, fields={})

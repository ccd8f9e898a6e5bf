"""Conflicts: listing the losing versions of concurrent edits, choosing between them, and taking a choice back."""

from collections.abc import Sequence
from dataclasses import dataclass

from crdt.identifiers import RowId, Stamp, stamp_hlc, stamp_origin
from crdt.row import RowState
from crdt.strategies.register import Register
from node.clock import Clock
from node.errors import RefusedError, UsageError
from node.repositories.ports import SqlValue, WriteTransaction
from node.repositories.values import now_text
from node.store.conflict_log import KeptConflict
from node.store.history import HistoryEntry
from node.store.schema import Column
from node.store.store import Store

KEY_DIGITS_MIN = 4
_CHOICES = ("shown", "other", "text")
_HISTORY_MAX = 10_000
_IDS_PER_STATEMENT = 500
# Two people who choose apart are not asked which of them chose: the later word stands.
_ABOUT_RECORDS = "c.table_name <> 'conflict_resolutions'"
_OPEN = (
    f"{_ABOUT_RECORDS} AND NOT c.same AND"
    " ifnull((SELECT r.state <> 'resolved' FROM conflict_resolutions r WHERE r.id = c.key), c.settled_by IS NULL)"
)
# Where the other version was taken it is what is shown, and still a conflict that was resolved.
_KNOWN = f"{_ABOUT_RECORDS} AND (NOT c.same OR EXISTS (SELECT 1 FROM conflict_resolutions r WHERE r.id = c.key))"
_NEWEST_FIRST = " ORDER BY c.loser DESC LIMIT ?"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConflictState:
    """A losing version beside the one that is shown; `state` is open, settled, resolved or reopened."""

    kept: KeptConflict
    shown: Register
    state: str
    choice: str | None
    resolved_by: Stamp | None


class Conflicts:
    """The conflicts of one store."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def count(self) -> int:
        """Return how many conflicts wait for a person, or for a write that settles them."""
        count = self._store.query(f"SELECT count(*) FROM _conflict c WHERE {_OPEN}")[0][0]
        assert isinstance(count, int)
        return count

    def listed(self, *, everything: bool, limit: int) -> list[ConflictState]:
        """Return the open conflicts, or all that are kept, newest losing version first."""
        kept = self._store.inspection.kept_conflicts((_KNOWN if everything else _OPEN) + _NEWEST_FIRST, (limit,))
        return [state for conflict in kept if (state := self._state(conflict)) is not None]

    def of_record(self, row_id: RowId) -> list[ConflictState]:
        """Return all conflicts that a record ever had and that are still kept."""
        kept = self._store.inspection.kept_conflicts(f"c.row_id = ? AND {_KNOWN}", (row_id,))
        return [state for conflict in kept if (state := self._state(conflict)) is not None]

    def find(self, key: str) -> ConflictState:
        """Return the conflict whose key begins with these hexadecimal digits; raises UsageError for none or several."""
        digits = key.strip().lower()
        if len(digits) < KEY_DIGITS_MIN or set(digits) - set("0123456789abcdef"):
            raise UsageError(f"{key!r} is not the key of a conflict; `nuthatch conflicts list` shows the keys.")
        found = self._store.inspection.kept_conflicts(f"lower(hex(c.key)) LIKE ? AND {_KNOWN} LIMIT 2", (f"{digits}%",))
        if len(found) > 1:
            raise UsageError(f"Several conflicts begin with {digits}; give more digits of the key.")
        state = self._state(found[0]) if found else None
        if state is None:
            raise UsageError(
                f"No conflict {digits} is kept on this device; it may be long settled, or its record gone."
            )
        return state

    def resolve(self, conflict: ConflictState, *, choice: str, text: str | None) -> SqlValue:
        """Keep what is shown, take the other version, or write a third; return the value that stands then.

        Raises UsageError where the column cannot be written so.
        """
        kept = conflict.kept
        value: object = conflict.shown.value
        if choice != "shown":
            self._require_writable(kept, choice)
            value = kept.loser.value if choice == "other" else text
        now = now_text(self._clock)
        with self._store.transaction() as transaction:
            if value != conflict.shown.value:
                transaction.execute(f"UPDATE {kept.table} SET {kept.column} = ? WHERE id = ?", (value, kept.row_id))
                if kept.column != "updated_at" and "updated_at" in self._columns(kept.table):
                    transaction.execute(f"UPDATE {kept.table} SET updated_at = ? WHERE id = ?", (now, kept.row_id))
            transaction.execute(
                "INSERT INTO conflict_resolutions (id, table_name, record_id, column_name, choice, resolved_at)"
                " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT(id) DO UPDATE SET choice = excluded.choice,"
                " state = 'resolved', resolved_at = excluded.resolved_at",
                (kept.key, kept.table, kept.row_id, kept.column, choice, now),
            )
        return value  # type: ignore[return-value]

    def reopen(self, conflict: ConflictState) -> bool:
        """Take a resolution back; return whether the value that it replaced was put back, too.

        It is not where the cell was written again since. Raises RefusedError where nobody resolved the conflict.
        """
        if conflict.state != "resolved":
            raise RefusedError("Nobody resolved this conflict, so there is nothing to take back.")
        kept = conflict.kept
        before = self._replaced(conflict)
        with self._store.transaction() as transaction:
            if before is not None:
                transaction.execute(f"UPDATE {kept.table} SET {kept.column} = ? WHERE id = ?", (before[0], kept.row_id))
            transaction.execute("UPDATE conflict_resolutions SET state = 'reopened' WHERE id = ?", (kept.key,))
        return before is not None

    def _replaced(self, conflict: ConflictState) -> tuple[object] | None:
        """Return the value that the resolution overwrote, if what it wrote still stands."""
        kept, by = conflict.kept, conflict.resolved_by
        if conflict.choice == "shown" or by is None or not _one_transaction(conflict.shown.stamp, by):
            return None
        for entry in self._store.history.of_row(kept.row_id, _HISTORY_MAX):
            if _one_transaction(entry.stamp, by) and (said := _said_of(entry, kept.column)):
                return (said[0],)
        return None

    def _state(self, kept: KeptConflict) -> ConflictState | None:
        if kept.table not in self._store.catalogue.table_by_name:
            # Of a newer version's table: its devices can show and settle it.
            return None
        row = self._store.inspection.row_state(kept.table, kept.row_id)
        shown = None if row is None else row.cell_by_column.get(kept.column)
        if not isinstance(shown, Register):
            return None
        resolution = self._store.inspection.row_state("conflict_resolutions", kept.key)
        if resolution is None or not resolution.alive:
            state = "open" if kept.settled_by is None else "settled"
            return ConflictState(kept=kept, shown=shown, state=state, choice=None, resolved_by=None)
        # A member's device may leave columns out, or say what no version here says.
        choice, now = (_said_in(resolution, name) for name in ("choice", "state"))
        return ConflictState(
            kept=kept,
            shown=shown,
            state="resolved" if now in ("resolved", None) else "reopened",
            choice=next((known for known in _CHOICES if known == choice), "shown"),
            # The choice may say what it said before; the latest of the row's stamps is its last word.
            resolved_by=max(
                (cell.stamp for cell in resolution.cell_by_column.values() if isinstance(cell, Register)),
                default=resolution.born,
            ),
        )

    def _require_writable(self, kept: KeptConflict, choice: str) -> None:
        column = self._columns(kept.table).get(kept.column)
        if column is None:
            raise UsageError(f"A newer version of Nuthatch wrote {kept.column}; update this device to change it.")
        if column.strategy == "immutable":
            raise UsageError(
                f"{kept.column} is set once and cannot be changed. Keep what is shown, or write a new record."
            )
        if choice == "text" and column.type != "TEXT":
            raise UsageError(f"{kept.column} holds no text; keep what is shown or the other version.")

    def _columns(self, table: str) -> dict[str, Column]:
        return {column.name: column for column in self._store.catalogue.table_by_name[table].columns}


def delete_resolutions(transaction: WriteTransaction, record_ids: Sequence[RowId]) -> None:
    """Delete what was said about conflicts of records that are about to be forgotten."""
    for start in range(0, len(record_ids), _IDS_PER_STATEMENT):
        part = record_ids[start : start + _IDS_PER_STATEMENT]
        marks = ", ".join("?" * len(part))
        transaction.execute(f"DELETE FROM conflict_resolutions WHERE record_id IN ({marks})", part)


def _one_transaction(one: Stamp, other: Stamp) -> bool:
    """Tell whether two batches are of one transaction: those share author and time, whatever their streams."""
    return stamp_hlc(one) == stamp_hlc(other) and stamp_origin(one) == stamp_origin(other)


def _said_in(resolution: RowState, column: str) -> object:
    cell = resolution.cell_by_column.get(column)
    return cell.value if isinstance(cell, Register) else None


def _said_of(entry: HistoryEntry, column: str) -> tuple[object, object] | None:
    return None if entry.differences is None else entry.differences.get(column)

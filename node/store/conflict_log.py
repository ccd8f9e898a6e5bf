"""Keeps the losing versions of concurrent edits, so that nothing a person wrote is lost when replicas converge.

Which conflicts are open is a function of the changes that a device received: of a cell they are the versions that no
other version's author had seen, except the one that is shown. Batches arrive in causal order, so the set is kept by
two steps for each arriving version: whatever its author had seen is settled; then it meets the shown version, and
where neither author knew of the other the loser is noted. A loser equal to what is shown is kept too, out of sight
(`same`): a later version may differ from it, and no author of that one need have seen it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import msgspec

from crdt.identifiers import HybridTime, RowId, Stamp
from crdt.row import RowState
from crdt.strategies import strategy_of
from crdt.strategies.register import Register
from crdt.version_vector import VersionVector
from node.store.catalogue import ReplicatedTable
from node.store.database import Database
from node.store.row_state import IDS, ids_blob

# The strategies that show one of two concurrent values; the others combine them and nothing is lost.
CHOOSING = frozenset({"lww", "immutable"})

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """One cell's losing version; `same` where it says what the winner says."""

    row_id: RowId
    generation: int
    column: str
    loser: Register
    same: bool


def find_conflicts(
    table: ReplicatedTable,
    row_id: RowId,
    mine: RowState,
    theirs: RowState,
    merged: RowState,
    *,
    my_vector: VersionVector,
    their_vector: VersionVector,
) -> list[Conflict]:
    """Return the losers among cells that both sides wrote without knowing of each other."""
    if mine.generation != theirs.generation or not merged.alive:
        return []
    found: list[Conflict] = []
    for column, cell in theirs.cell_by_column.items():
        other = mine.cell_by_column.get(column)
        if not (isinstance(cell, Register) and isinstance(other, Register)) or cell.stamp == other.stamp:
            continue
        if strategy_of(merged.code_by_column[column]).name not in CHOOSING:
            continue
        if their_vector.covers_stamp(other.stamp) or my_vector.covers_stamp(cell.stamp):
            continue
        loser = other if merged.cell_by_column[column] == cell else cell
        same = cell.value == other.value
        found.append(Conflict(row_id=row_id, generation=merged.generation, column=column, loser=loser, same=same))
    if len(theirs.cell_by_column) == len(table.columns) and all(conflict.same for conflict in found):
        # One row inserted whole on two devices, alike (an import of one file on both): there is nothing to look at.
        return []
    return found


def note_conflicts(database: Database, table: ReplicatedTable, conflicts: Sequence[Conflict]) -> None:
    """Write losers down, each once: the key names the cell and the losing stamp."""
    database.change_many(
        "INSERT OR IGNORE INTO _conflict (key, table_name, row_id, generation, column_name, loser, value, same)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                conflict_key(table.name, conflict),
                table.name,
                conflict.row_id,
                conflict.generation,
                conflict.column,
                conflict.loser.stamp,
                _encode(conflict.loser.value),
                int(conflict.same),
            )
            for conflict in conflicts
        ],
    )


def settle_conflicts(
    database: Database,
    table: ReplicatedTable,
    written: Mapping[RowId, RowState],
    changed: Mapping[RowId, RowState],
    *,
    stamp: Stamp | None,
    vector: VersionVector,
) -> None:
    """Settle the losers that the author of `written` had seen (`vector`) and wrote over under `stamp`.

    `changed` are the rows as they stand merged. Snapshot pages name no author of a version (`stamp` is None): they
    settle nothing and only change what is shown.
    """
    if not written or not database.query("SELECT EXISTS (SELECT 1 FROM _conflict)")[0][0]:
        return
    updates: list[tuple[bytes | None, int, bytes]] = []
    for key, row_id, generation, column, loser, value, settled_by, same in database.query(
        "SELECT c.key, c.row_id, c.generation, c.column_name, c.loser, c.value, c.settled_by, c.same"
        f" FROM {IDS} JOIN _conflict c ON c.row_id = k WHERE c.table_name = ?3",
        (ids_blob(written), len(written), table.name),
    ):
        change = written[row_id]
        if generation != change.generation or column not in change.cell_by_column:
            continue
        now_settled, now_same = settled_by, same
        if stamp is not None and vector.covers_stamp(loser):
            # Two that did not know of each other may settle one conflict: the lesser stamp is named everywhere.
            now_settled = min(settled_by or stamp, stamp)
        shown = changed[row_id].cell_by_column.get(column) if row_id in changed else None
        if isinstance(shown, Register):
            now_same = int(shown.value == _decode(value))
        if (now_settled, now_same) != (settled_by, same):
            updates.append((now_settled, now_same, key))
    database.change_many("UPDATE _conflict SET settled_by = ?, same = ? WHERE key = ?", updates)


def rename_conflicts(
    database: Database, table: str, row_ids: Sequence[bytes], rename: Callable[[Stamp], Stamp]
) -> None:
    """Bring the conflicts of rows in step with versions that are known by other stamps from now on."""
    changed: list[tuple[object, ...]] = []
    for key, row_id, generation, column, loser, settled_by in database.query(
        "SELECT c.key, c.row_id, c.generation, c.column_name, c.loser, c.settled_by"
        f" FROM {IDS} JOIN _conflict c ON c.row_id = k WHERE c.table_name = ?3",
        (ids_blob(row_ids), len(row_ids), table),
    ):
        new_loser = rename(Stamp(loser))
        new_settled_by = rename(Stamp(settled_by)) if settled_by is not None else None
        if (new_loser, new_settled_by) != (loser, settled_by):
            new_key = _key_of(table, row_id, generation, column, new_loser)
            changed.append((new_key, new_loser, new_settled_by, key))
    database.change_many("UPDATE OR REPLACE _conflict SET key = ?, loser = ?, settled_by = ? WHERE key = ?", changed)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptConflict:
    """A losing version as it is kept: of which cell, what it says, and by which write it was settled, if by any."""

    key: bytes
    table: str
    row_id: RowId
    generation: int
    column: str
    loser: Register
    same: bool
    settled_by: Stamp | None


def read_conflicts(database: Database, condition: str, parameters: Sequence[object]) -> list[KeptConflict]:
    """Return the losing versions `c` for which an SQL condition holds."""
    rows = database.query(
        "SELECT c.key, c.table_name, c.row_id, c.generation, c.column_name, c.loser, c.value, c.same, c.settled_by"
        f" FROM _conflict c WHERE {condition}",
        parameters,
    )
    return [
        KeptConflict(
            key=key,
            table=table,
            row_id=RowId(row_id),
            generation=generation,
            column=column,
            loser=Register(Stamp(loser), _decode(value)),
            same=bool(same),
            settled_by=None if settled_by is None else Stamp(settled_by),
        )
        for key, table, row_id, generation, column, loser, value, same, settled_by in rows
    ]


def conflict_key(table: str, conflict: Conflict) -> bytes:
    """Return H(cell, losing stamp), 16 bytes: equal on every device that holds the same changes."""
    return _key_of(table, conflict.row_id, conflict.generation, conflict.column, conflict.loser.stamp)


def _key_of(table: str, row_id: bytes, generation: int, column: str, loser: Stamp) -> bytes:
    cell = _encode((table, row_id, generation, column, loser))
    return blake2b(cell, digest_size=16, person=b"nuthatch-loser").digest()


def purge_conflicts(database: Database, row_ids: Sequence[bytes], generation: int) -> None:
    """Forget the losers of those lives of rows that ended before a generation."""
    database.change(
        f"DELETE FROM _conflict WHERE row_id IN (SELECT k FROM {IDS}) AND generation < ?3",
        (ids_blob(row_ids), len(row_ids), generation),
    )


def age_conflicts(database: Database, before: HybridTime) -> int:
    """Let go of losers that were settled before a hybrid time; return how many there were."""
    return database.change("DELETE FROM _conflict WHERE settled_by < ?", (before.to_bytes(8, "big"),))


def count_conflicts(database: Database) -> int:
    """Return how many losers nobody has settled that differ from what is shown."""
    count: int = database.query("SELECT count(*) FROM _conflict WHERE settled_by IS NULL AND NOT same")[0][0]
    return count

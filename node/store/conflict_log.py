"""Keeps the losing version of a concurrent edit, so that nothing a person wrote is lost when replicas converge."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import msgspec

from crdt.identifiers import RowId, Stamp
from crdt.row import RowState
from crdt.strategies.register import Register
from crdt.version_vector import VersionVector
from node.store.catalogue import ReplicatedTable
from node.store.database import Database
from node.store.row_state import IDS, ids_blob

# The strategies that show one of two concurrent values; the others combine them and nothing is lost.
_CHOOSING = frozenset({"lww", "immutable"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """One cell's losing version."""

    row_id: RowId
    generation: int
    column: str
    winner: Stamp
    loser: Register


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
        if not (isinstance(cell, Register) and isinstance(other, Register)):
            continue
        if cell.value == other.value or table.strategy_by_column[column].name not in _CHOOSING:
            continue
        if their_vector.covers_stamp(other.stamp) or my_vector.covers_stamp(cell.stamp):
            continue
        winner = merged.cell_by_column[column]
        loser = other if winner == cell else cell
        stamp = cell.stamp if winner == cell else other.stamp
        found.append(Conflict(row_id=row_id, generation=merged.generation, column=column, winner=stamp, loser=loser))
    return found


def note_conflicts(database: Database, table: ReplicatedTable, conflicts: Sequence[Conflict]) -> None:
    """Write losers down, each once: the key names the cell and the losing stamp."""
    database.change_many(
        "INSERT OR IGNORE INTO _conflict VALUES (?, ?, ?, ?, ?, ?, ?, ?, strftime('%Y-%m-%dT%H:%M:%fZ'))",
        [
            (
                conflict_key(table.name, conflict),
                table.name,
                conflict.row_id,
                conflict.generation,
                conflict.column,
                conflict.winner,
                conflict.loser.stamp,
                msgspec.msgpack.encode(conflict.loser.value),
            )
            for conflict in conflicts
        ],
    )


def conflict_key(table: str, conflict: Conflict) -> bytes:
    """Return H(cell, losing stamp): equal on every device that holds the same changes."""
    cell = msgspec.msgpack.encode((table, conflict.row_id, conflict.generation, conflict.column, conflict.loser.stamp))
    return blake2b(cell, digest_size=16, person=b"nuthatch-loser").digest()


def purge_conflicts(database: Database, row_ids: Sequence[bytes]) -> None:
    """Forget the losers of rows that were forgotten."""
    database.change(f"DELETE FROM _conflict WHERE row_id IN (SELECT k FROM {IDS})", (ids_blob(row_ids), len(row_ids)))


def count_conflicts(database: Database) -> int:
    """Return how many losers are kept."""
    count: int = database.query("SELECT count(*) FROM _conflict")[0][0]
    return count

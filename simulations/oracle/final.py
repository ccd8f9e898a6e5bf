"""What must hold of a store that has come to rest: digest from history, search, and the losers of every conflict."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from msgspec.msgpack import decode

from crdt.identifiers import Origin, make_stamp
from node.store.schema import Column, Table
from simulations.oracle.digest import expected_digest
from simulations.oracle.fold import current
from simulations.oracle.history import Cell, Change, RowKey, Version, Write
from simulations.oracle.replica import ModelReplica
from simulations.violation import Violation
from sync.frontier import ReplicaView
from sync.streams import Stream

Query = Callable[..., Sequence[tuple[object, ...]]]
#: (table, row id, generation, column, losing stamp) -> losing value
Losers = dict[tuple[str, bytes, int, str, bytes], Cell]

_CHOOSING = ("lww", "immutable")


def check_digests(view: ReplicaView, model: ModelReplica, who: str) -> None:
    """The digest kept step by step must equal the one that history gives from scratch; so must the row count."""
    rows = model.rows()
    for stream in Stream:
        state = view.stream(stream)
        if state.digest != expected_digest(model, stream):
            raise Violation("digest", f"{who}: the digest of {stream.title} is not the one its history gives")
        alive = sum(1 for key, row in rows.items() if row.alive and model.tables[key[0]].stream == stream)
        if state.rows != alive:
            raise Violation("digest", f"{who}: {stream.title} counts {state.rows} rows, not {alive}")


def check_full_text(query: Query, model: ModelReplica, words: Iterable[str], who: str) -> None:
    """Every word must find exactly the living rows whose searched columns hold it, and nothing that was deleted."""
    visible = model.visible()
    for table in model.tables.values():
        if not table.full_text:
            continue
        id_by_rowid = {row[0]: row[1] for row in query(f"SELECT rowid, id FROM {table.name}")}
        for word in words:
            expected = {row_id for row_id, cells in visible[table.name].items() if _holds(table, cells, word)}
            found = query(f"SELECT rowid FROM _fts_{table.name} WHERE _fts_{table.name} MATCH ?", (word,))
            ids = [id_by_rowid.get(row[0]) for row in found]
            if None in ids:
                raise Violation("full text", f"{who}: {word} finds a row of {table.name} that is gone")
            if sorted(filter(None, map(_bytes, ids))) != sorted(expected):
                raise Violation("full text", f"{who}: {word} finds {len(ids)} of {len(expected)} rows of {table.name}")


def check_conflicts(query: Query, model: ModelReplica, who: str) -> None:
    """Every value that lost to a concurrent one is kept, and nothing is called a conflict that was none."""
    kept = _kept(query)
    alive = {key for key, row in model.rows().items() if row.alive}
    for (table, row_id, generation, column, stamp), value in kept.items():
        if (table, row_id) not in alive or model.rows()[(table, row_id)].generation != generation:
            raise Violation("conflicts", f"{who} keeps a loser of a row of {table} that was deleted")
        written = [change for change in model.changes_by_row[(table, row_id)].values() if _stamp(change) == stamp]
        if not written or written[0].cells.get(column) != Write(value):
            raise Violation("conflicts", f"{who} keeps a loser in {table}.{column} that nobody wrote")
    for key, lost, change in _losers(model, alive):
        if (key[0], key[1], change.generation, lost.name, _stamp(change)) not in kept:
            raise Violation("conflicts", f"{who} lost a concurrent value of {key[0]}.{lost.name} for good")


def _losers(model: ModelReplica, alive: set[RowKey]) -> Iterator[tuple[RowKey, Column, Change]]:
    """Yield the writes that no other write of their cell had seen, and that are not what the cell shows."""
    for key in sorted(alive):
        newest = current(model.changes_by_row[key].values())
        for column in model.tables[key[0]].columns:
            if column.strategy not in _CHOOSING:
                continue
            writes = [change for change in newest if column.name in change.cells]
            if len(writes) < 2:
                continue
            pick = max if column.strategy == "lww" else min
            winner = pick(writes, key=lambda change: change.version)
            for change in writes:
                others = [other for other in writes if other is not change]
                if (
                    change is not winner
                    and not any(other.saw(change.version) for other in others)
                    and not any(change.saw(other.version) for other in others if other is winner)
                    and not any(other.cells[column.name] == change.cells[column.name] for other in others)
                ):
                    yield key, column, change


def _kept(query: Query) -> Losers:
    rows = query("SELECT table_name, row_id, generation, column_name, loser, value FROM _conflict")
    kept: Losers = {}
    for table, row_id, generation, column, loser, value in rows:
        match (table, row_id, generation, column, loser, value):
            case (str(), bytes(), int(), str(), bytes(), bytes()):
                kept[(table, row_id, generation, column, loser)] = decode(value)
            case _:
                raise Violation("conflicts", "a row of the conflict log is malformed")
    return kept


def _stamp(change: Change) -> bytes:
    version: Version = change.version
    return make_stamp(version.hlc, Origin(version.origin), version.seq)


def _holds(table: Table, cells: dict[str, Cell], word: str) -> bool:
    texts = [cells[column] for column in table.full_text]
    return any(word in text.split() for text in texts if isinstance(text, str))


def _bytes(value: object) -> bytes | None:
    return value if isinstance(value, bytes) else None

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
#: (table, row id, generation, column, losing stamp) -> (losing value, whether the conflict is open)
Losers = dict[tuple[str, bytes, int, str, bytes], tuple[Cell, bool]]

_CHOOSING = ("lww", "immutable")


def check_digests(view: ReplicaView, model: ModelReplica, who: str) -> None:
    """The digest kept step by step must equal the one that history gives from scratch; so must the row count."""
    rows = model.rows()
    for stream in Stream:
        state = view.stream(stream)
        if _is_modelled(model, stream) and state.digest != expected_digest(model, stream):
            raise Violation("digest", f"{who}: the digest of {stream.title} is not the one its history gives")
        alive = sum(1 for key, row in rows.items() if row.alive and model.tables[key[0]].stream == stream)
        if state.rows != alive:
            raise Violation("digest", f"{who}: {stream.title} counts {state.rows} rows, not {alive}")


def _is_modelled(model: ModelReplica, stream: Stream) -> bool:
    """Tell whether the model knows each row's bytes: of texts it knows what they hold, and not in which order."""
    tables = (table for table in model.tables.values() if table.stream == stream)
    return not any(column.strategy in ("text", "document") for table in tables for column in table.columns)


def check_full_text(query: Query, model: ModelReplica, words: Iterable[str], who: str) -> None:
    """Every word must find exactly the living rows whose searched columns hold it, and nothing that was deleted."""
    visible = model.visible()
    for table in model.declared.values():
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
    """The open conflicts must be exactly those that the changes held give: no loser lost, none made up, none settled.

    May be missing: a version beside which another of equal value stands, where one of the two came whole with its row.
    """
    kept = _kept(query)
    rows = model.rows()
    alive = {key for key, row in rows.items() if row.alive}
    for (table, row_id, generation, column, stamp), (value, _) in kept.items():
        if (table, row_id) not in alive or rows[(table, row_id)].generation != generation:
            raise Violation("conflicts", f"{who} keeps a loser of a row of {table} that was deleted")
        written = [change for change in model.changes_by_row[(table, row_id)].values() if _stamp(change) == stamp]
        if not written or written[0].cells.get(column) != Write(value):
            raise Violation("conflicts", f"{who} keeps a loser in {table}.{column} that nobody wrote")
    expected = {
        (key[0], key[1], change.generation, column.name, _stamp(change)): may_lack
        for key, column, change, may_lack in _losers(model, alive)
    }
    shown_as_open = {key for key, (_, is_open) in kept.items() if is_open}
    for loser in sorted(shown_as_open - expected.keys()):
        raise Violation("conflicts", f"{who} calls a value of {loser[0]}.{loser[3]} a conflict that is none")
    for loser, may_lack in sorted(expected.items()):
        if loser not in shown_as_open and not may_lack:
            raise Violation("conflicts", f"{who} lost a concurrent value of {loser[0]}.{loser[3]} for good")


def _losers(model: ModelReplica, alive: set[RowKey]) -> Iterator[tuple[RowKey, Column, Change, bool]]:
    """Yield the writes that no other write of their cell had seen and that differ from what the cell shows.

    With each comes whether a store may do without it.
    """
    for key in sorted(alive):
        newest = current(model.changes_by_row[key].values())
        table = model.tables[key[0]]
        for column in table.columns:
            if column.strategy not in _CHOOSING:
                continue
            writes = [change for change in newest if column.name in change.cells]
            if len(writes) < 2:
                continue
            pick = max if column.strategy == "lww" else min
            winner = pick(writes, key=lambda change: change.version)
            for change in writes:
                seen = any(other is not change and other.saw(change.version) for other in writes)
                if not seen and change.cells[column.name] != winner.cells[column.name]:
                    yield key, column, change, _has_a_double(change, writes, column.name, len(table.columns))


def _has_a_double(change: Change, writes: Sequence[Change], column: str, whole: int) -> bool:
    return any(
        other is not change
        and other.cells[column] == change.cells[column]
        and not other.saw(change.version)
        and not change.saw(other.version)
        and whole in (len(other.cells), len(change.cells))
        for other in writes
    )


def _kept(query: Query) -> Losers:
    rows = query(
        "SELECT table_name, row_id, generation, column_name, loser, value, settled_by IS NULL AND NOT same"
        " FROM _conflict"
    )
    kept: Losers = {}
    for row in rows:
        match tuple(row):
            case (
                str() as table,
                bytes() as row_id,
                int() as generation,
                str() as column,
                bytes() as loser,
                value,
                is_open,
            ):
                assert isinstance(value, bytes)
                kept[(table, row_id, generation, column, loser)] = (decode(value), bool(is_open))
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

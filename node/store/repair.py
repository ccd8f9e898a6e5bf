"""Mends what a scrub found: takes damaged rows out, so that another device's come in their place, and adds up anew.

A row whose hash and state disagree cannot be mended here, for nobody can tell which of the two is true. Where another
device provably holds the same rows, this one forgets its own copy; its digest then differs although the frontiers
agree, and comparing ranges of hashes brings the whole row back. In its place a row state is left that nobody can read:
a change that arrives before that copy does is then not taken for all that there is of the row, which would let
elements of its sets pass for removed, here and in the end everywhere.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from crdt.digest import EMPTY_DIGEST, move_digest, sum_hashes
from node.errors import StorageError
from node.store import full_text
from node.store.catalogue import Catalogue, ReplicatedTable
from node.store.change_log import Progress
from node.store.database import Database
from node.store.pace import Pace
from node.store.row_state import IDS, ids_blob
from sync.frontier import StreamState
from sync.streams import Stream


def take_out(
    database: Database,
    catalogue: Catalogue,
    progress: Progress,
    row_ids_by_table: Mapping[str, Sequence[bytes]],
    *,
    index_text: bool,
) -> None:
    """Forget rows that another device holds and will send, within the open transaction and with capture silent.

    No delete is made of it. Until they arrive they count as damaged: nothing is joined with them, nor written to them.
    """
    for name, row_ids in row_ids_by_table.items():
        table = catalogue.held_table(name)
        remove(database, table, row_ids, index_text=index_text)
        _await(database, table, row_ids)
    add_up(database, catalogue, progress, {catalogue.held_table(name).stream for name in row_ids_by_table})


def make_way(
    database: Database,
    catalogue: Catalogue,
    progress: Progress,
    row_ids_by_table: Mapping[str, Sequence[bytes]],
    *,
    index_text: bool,
) -> None:
    """Remove rows of which whole copies take the place within the same open transaction."""
    for name, row_ids in row_ids_by_table.items():
        remove(database, catalogue.held_table(name), row_ids, index_text=index_text)
    add_up(database, catalogue, progress, {catalogue.held_table(name).stream for name in row_ids_by_table})


def _await(database: Database, table: ReplicatedTable, row_ids: Sequence[bytes]) -> None:
    """Leave row states that cannot be read, and so never pass for whole."""
    database.change(
        f"INSERT INTO {table.row_table} (id, generation, hlc, origin, seq, cells, hash)"
        f" SELECT k, 1, zeroblob(8), 0, 0, x'c1', zeroblob(32) FROM {IDS}",
        (ids_blob(row_ids), len(row_ids)),
    )


def remove(database: Database, table: ReplicatedTable, row_ids: Sequence[bytes], *, index_text: bool) -> None:
    """Remove rows of one table, their states and their words, within the open transaction and with capture silent."""
    parameters = (ids_blob(row_ids), len(row_ids))
    standing = database.query(f"SELECT count(*) FROM {IDS} JOIN main.{table.name} t ON t.id = k", parameters)[0][0]
    if index_text:
        full_text.unindex(database, table, row_ids)
    for stored in (table.name, table.row_table):
        database.change(f"DELETE FROM main.{stored} WHERE id IN (SELECT k FROM {IDS})", parameters)
    if index_text and table.full_text_table is not None and standing < len(row_ids):
        # Of a row that is gone the words are left under a number that another row may have been given since; the
        # engine would not find them to take them out.
        _lay_out(database, table)
        full_text.index_after(database, table, 0)


def add_up(database: Database, catalogue: Catalogue, progress: Progress, streams: Iterable[Stream]) -> None:
    """Make digests and numbers of rows what the stored row states give, within the open transaction."""
    for stream in streams:
        hashes = living = 0
        for table in catalogue.held_tables:
            if table.stream == stream:
                rows = database.query(f"SELECT hash, generation % 2 FROM {table.row_table}")
                hashes += sum_hashes(row[0] for row in rows)
                living += sum(row[1] for row in rows)
        digest = move_digest(EMPTY_DIGEST, added=hashes, removed=0)
        progress.states[stream] = StreamState(frontier=progress.state(stream).frontier, digest=digest, rows=living)


def rebuild_text(database: Database, table: ReplicatedTable, pace: Pace) -> Iterator[None]:
    """Index all rows of a table anew, yielding after each slice; each is a transaction, and search goes on meanwhile.

    Raises StorageError.
    """
    try:
        yield from _index_again(database, table, pace)
    except StorageError:
        # The index itself is broken: an empty one takes its place and is filled.
        _lay_out_again(database, table)
        yield from _index_again(database, table, pace)


def _index_again(database: Database, table: ReplicatedTable, pace: Pace) -> Iterator[None]:
    last = 0
    until: int | None = 0
    while until is not None:
        pace.begin()
        following = database.query(
            f"SELECT rowid FROM main.{table.name} WHERE rowid > ? ORDER BY rowid LIMIT 1 OFFSET ?",
            (last, pace.size - 1),
        )
        until = following[0][0] if following else None
        database.begin()
        try:
            full_text.index_again(database, table, last, until)
            database.commit()
        except BaseException:
            database.rollback()
            raise
        pace.end()
        yield
        last = until or 0


def _lay_out_again(database: Database, table: ReplicatedTable) -> None:
    database.begin()
    try:
        _lay_out(database, table)
        database.commit()
    except BaseException:
        database.rollback()
        raise


def _lay_out(database: Database, table: ReplicatedTable) -> None:
    database.change(f"DROP TABLE IF EXISTS {table.full_text_table}")
    database.change(full_text.layout(table))

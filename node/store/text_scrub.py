"""Compares a full-text index with its table: every row in it, no other, and with the words that the row has.

The index holds no content, so the rows are indexed once more, a slice at a time, in a table in memory, and what the two
indexes say of each row (the number of words of each column) is compared.
"""

from collections.abc import Iterator

from node.errors import StorageError
from node.store.catalogue import ReplicatedTable
from node.store.damage import Kind, ScrubReport
from node.store.database import Database, Row
from node.store.full_text import OPTIONS
from node.store.pace import Pace

_AGAIN = "temp._fts_again"


def scrub_text(database: Database, table: ReplicatedTable, report: ScrubReport, pace: Pace) -> Iterator[None]:
    """Compare the index of one table, yielding after each slice."""
    last = 0
    while True:
        pace.begin()
        try:
            until = _until(database, table, last, pace.size)
            _compare(database, table, last, until, report)
        except StorageError:
            report.note(Kind.INDEX_UNREADABLE, table.name)
            return
        yield
        if until is None:
            return
        last = until
        pace.end()


def _until(database: Database, table: ReplicatedTable, last: int, rows_max: int) -> int | None:
    """Return the last rowid of the slice that begins after `last`; None where the slice has no end."""
    following = database.query(
        f"SELECT rowid FROM main.{table.name} WHERE rowid > ? ORDER BY rowid LIMIT 1 OFFSET ?", (last, rows_max - 1)
    )
    return following[0][0] if following else None


def _compare(database: Database, table: ReplicatedTable, after: int, until: int | None, report: ScrubReport) -> None:
    columns = ", ".join(table.declaration.full_text)
    bound, parameters = ("", (after,)) if until is None else (" AND {0} <= ?", (after, until))
    database.begin()
    try:
        database.change(f"CREATE VIRTUAL TABLE {_AGAIN} USING fts5({columns}, {OPTIONS})")
        database.change(
            f"INSERT INTO {_AGAIN} (rowid, {columns}) SELECT rowid, {columns} FROM main.{table.name}"
            f" WHERE rowid > ?{bound.format('rowid')}",
            parameters,
        )
        expected = _sizes(database, f"{_AGAIN}_docsize", "", ())
        held = _sizes(
            database, f"main.{table.full_text_table}_docsize", f" WHERE id > ?{bound.format('id')}", parameters
        )
        id_by_rowid: dict[int, bytes] = dict(
            database.query(
                f"SELECT rowid, id FROM main.{table.name} WHERE rowid > ?{bound.format('rowid')}", parameters
            )
        )
    finally:
        database.rollback()
    report.entries += len(held)
    for rowid, sizes in expected.items():
        if rowid not in held:
            report.note(Kind.WORDS_MISSING, table.name, id_by_rowid[rowid])
        elif held[rowid] != sizes:
            report.note(Kind.WORDS_WRONG, table.name, id_by_rowid[rowid])
    for rowid in held.keys() - expected.keys():
        report.note(Kind.WORDS_SURPLUS, table.name, int(rowid).to_bytes(8, "big", signed=True))


def _sizes(database: Database, docsize: str, where: str, parameters: Row) -> dict[int, bytes]:
    return dict(database.query(f"SELECT id, sz FROM {docsize}{where}", parameters))

"""What replication costs a writer: the same rows into the same encrypted table, with capture and without.

The table without capture is made from the very statements that made the store's, indexes included, in an encrypted file
of the same settings; where full-text search is on, it is on for both and filled in the same way. Everything else (row
state, hashes, digest, signed batch, change log) is what the ratio shows. A further ratio is taken against what most
programs do instead, a trigger that fills the full-text table row by row; it has no goal.
"""

import time
from enum import Enum
from pathlib import Path
from tempfile import TemporaryDirectory

from crdt.identifiers import RowId
from node.clock import SystemClock
from node.entropy import SystemEntropy
from node.schemas import CORE_COMPONENTS
from node.store.bulk_insert import as_stored, insert_in_bulk
from node.store.database import Database
from node.store.full_text import index_after
from node.store.opening import StoreOptions, create_store
from node.store.store import Store
from simulations.bench.messages import COLUMNS, Message, begin_conversation, insert_messages, transactions
from simulations.bench.realm import found_realm
from simulations.bench.samples import Figure, figure


class FullText(Enum):
    """How the table without capture keeps its full-text table; the store always does it set-based."""

    OFF = "without FTS"
    SET_BASED = "with FTS"
    BY_TRIGGER = "with FTS by trigger on the plain side"


GOAL_BY_FULL_TEXT = {FullText.OFF: 0.4, FullText.SET_BASED: 0.7}


def measure(*, rounds: int, rows: int) -> list[Figure]:
    """Return rates and ratios for each kind of full-text search; the two sides take turns, batch by batch."""
    figures: list[Figure] = []
    for full_text in FullText:
        rates: list[tuple[float, float]] = []
        for round_number in range(rounds):
            with TemporaryDirectory(prefix="nuthatch-bench-") as directory:
                rates.append(_round(Path(directory), full_text=full_text, rows=rows, seed=round_number))
        figures += [
            figure(f"insert, plain, {full_text.value}", "rows/s", [plain for _, plain in rates]),
            figure(f"insert, replicated, {full_text.value}", "rows/s", [captured for captured, _ in rates]),
            figure(
                f"replicated insert / plain insert, {full_text.value}",
                "ratio",
                [captured / plain for captured, plain in rates],
                goal=GOAL_BY_FULL_TEXT.get(full_text),
            ),
        ]
    return figures


def _round(directory: Path, *, full_text: FullText, rows: int, seed: int) -> tuple[float, float]:
    """Return rows a second with capture and without."""
    store = _store(directory / "captured.db", full_text=full_text is not FullText.OFF)
    conversation_id = begin_conversation(store)
    batches = list(transactions(conversation_id, rows, seed=seed))
    plain = _plain_copy(directory / "plain.db", store, conversation_id, full_text)
    captured_seconds = plain_seconds = 0.0
    # Turn by turn, so that a busy moment of the machine falls on both alike.
    for batch in batches:
        captured_seconds += _captured(store, batch)
        plain_seconds += _plain(plain, store, batch, full_text=full_text)
    for database_rows in (store.query("SELECT count(*) FROM messages"), plain.query("SELECT count(*) FROM messages")):
        if database_rows != [(rows,)]:
            raise RuntimeError(f"{rows} rows were inserted and {database_rows} are there.")
    plain.close()
    store.close()
    return rows / captured_seconds, rows / plain_seconds


def _store(path: Path, *, full_text: bool) -> Store:
    clock, entropy = SystemClock(), SystemEntropy()
    return create_store(
        path,
        key=entropy.take(32),
        author=found_realm(clock.now_milliseconds()).author(0),
        components=CORE_COMPONENTS,
        clock=clock,
        entropy=entropy,
        options=StoreOptions(full_text=full_text),
    )


def _plain_copy(path: Path, store: Store, conversation_id: RowId, full_text: FullText) -> Database:
    """Return an encrypted database with the same tables and the same conversation, and no capture."""
    database = Database(path, SystemEntropy().take(32))
    messages = store.catalogue.table_by_name["messages"]
    full_text_table = messages.full_text_table
    names = ("conversations", "messages", full_text_table)
    for (statement,) in store.query(
        "SELECT sql FROM sqlite_master WHERE tbl_name IN (?, ?, ?) AND sql IS NOT NULL ORDER BY type DESC", names
    ):
        database.change(statement)
    if full_text is FullText.BY_TRIGGER:
        searched = messages.declaration.full_text
        database.change(
            f"CREATE TRIGGER messages_searched AFTER INSERT ON messages BEGIN INSERT INTO {full_text_table}"
            f" (rowid, {', '.join(searched)}) VALUES (new.rowid, {', '.join(f'new.{name}' for name in searched)}); END"
        )
    database.begin()
    database.change("INSERT INTO conversations (id, title) VALUES (?, ?)", (conversation_id, "A long conversation"))
    database.commit()
    return database


def _captured(store: Store, batch: list[Message]) -> float:
    started_at = time.perf_counter()
    with store.transaction() as transaction:
        insert_messages(transaction, batch)
    return time.perf_counter() - started_at


def _plain(database: Database, store: Store, batch: list[Message], *, full_text: FullText) -> float:
    messages = store.catalogue.table_by_name["messages"]
    started_at = time.perf_counter()
    database.begin()
    ((mark,),) = database.query("SELECT coalesce(max(rowid), 0) FROM messages")
    stored = as_stored(messages, COLUMNS, batch)
    assert stored is not None
    row_ids, _, *by_column = zip(*stored, strict=True)
    insert_in_bulk(database, messages, row_ids, by_column)
    if full_text is FullText.SET_BASED:
        index_after(database, messages, mark)
    database.commit()
    return time.perf_counter() - started_at

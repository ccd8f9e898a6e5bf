"""What replication costs a writer: the same rows into the same encrypted table, with capture and without.

The table without capture is made from the very statements that made the store's, indexes included, in an encrypted file
of the same settings; where full-text search is on, it is on for both and filled in the same way. Everything else (row
state, hashes, digest, signed batch, change log) is what the ratio shows.
"""

import time
from pathlib import Path
from tempfile import TemporaryDirectory

from crdt.identifiers import RowId
from node.clock import SystemClock
from node.entropy import SystemEntropy
from node.schemas import CORE_COMPONENTS
from node.store.database import Database
from node.store.full_text import index_after
from node.store.store import Store, StoreOptions
from simulations.bench.messages import Message, begin_conversation, insert_messages, transactions
from simulations.bench.realm import found_realm
from simulations.bench.samples import Figure, figure

GOAL = {False: 0.4, True: 0.7}


def measure(*, rounds: int, rows: int) -> list[Figure]:
    """Return the ratios without and with full-text search; the two sides take turns, round by round."""
    figures: list[Figure] = []
    for full_text in (False, True):
        captured: list[float] = []
        plain: list[float] = []
        for round_number in range(rounds):
            with TemporaryDirectory(prefix="nuthatch-bench-") as directory:
                with_capture, without = _round(Path(directory), full_text=full_text, rows=rows, seed=round_number)
            captured.append(with_capture)
            plain.append(without)
        suffix = "with FTS" if full_text else "without FTS"
        figures += [
            figure(f"insert, plain, {suffix}", "rows/s", plain),
            figure(f"insert, replicated, {suffix}", "rows/s", captured),
            figure(
                f"replicated insert / plain insert, {suffix}",
                "ratio",
                [mine / theirs for mine, theirs in zip(captured, plain, strict=True)],
                goal=GOAL[full_text],
            ),
        ]
    return figures


def _round(directory: Path, *, full_text: bool, rows: int, seed: int) -> tuple[float, float]:
    """Return rows a second with capture and without."""
    store = _store(directory / "captured.db", full_text=full_text)
    conversation_id = begin_conversation(store)
    batches = list(transactions(conversation_id, rows, seed=seed))
    plain = _plain_copy(directory / "plain.db", store, conversation_id)
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
    return Store.create(
        path,
        key=entropy.take(32),
        author=found_realm(clock.now_milliseconds()).author(0),
        components=CORE_COMPONENTS,
        clock=clock,
        entropy=entropy,
        options=StoreOptions(full_text=full_text),
    )


def _plain_copy(path: Path, store: Store, conversation_id: RowId) -> Database:
    """Return an encrypted database with the same tables and the same conversation, and no capture."""
    database = Database(path, SystemEntropy().take(32))
    full_text_table = store.catalogue.table_by_name["messages"].full_text_table
    names = ("conversations", "messages", full_text_table)
    for (statement,) in store.query(
        "SELECT sql FROM sqlite_master WHERE tbl_name IN (?, ?, ?) AND sql IS NOT NULL ORDER BY type DESC", names
    ):
        database.change(statement)
    database.begin()
    database.change("INSERT INTO conversations (id, title) VALUES (?, ?)", (conversation_id, "A long conversation"))
    database.commit()
    return database


def _captured(store: Store, batch: list[Message]) -> float:
    started_at = time.perf_counter()
    with store.transaction() as transaction:
        insert_messages(transaction, batch)
    return time.perf_counter() - started_at


def _plain(database: Database, store: Store, batch: list[Message], *, full_text: bool) -> float:
    messages = store.catalogue.table_by_name["messages"]
    started_at = time.perf_counter()
    database.begin()
    ((mark,),) = database.query("SELECT coalesce(max(rowid), 0) FROM messages")
    insert_messages(database, batch)
    if full_text:
        index_after(database, messages, mark)
    database.commit()
    return time.perf_counter() - started_at

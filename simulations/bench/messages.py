"""The measured workload: one conversation and its messages, written as the program's own repositories write them."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from crdt.identifiers import RowId, uuid7
from node.repositories.ports import SqlValue, WriteTransaction
from node.store.store import Store
from simulations.bench.corpus import texts
from simulations.bench.realm import SeededEntropy

ROWS_PER_TRANSACTION = 1_000
COLUMNS = ("id", "conversation_id", "role", "content", "created_at")
_STARTED_AT = datetime(2026, 1, 1, tzinfo=UTC)

Message = tuple[SqlValue, ...]


def begin_conversation(store: Store) -> RowId:
    """Insert the conversation that all messages belong to."""
    row_id = store.new_row_id()
    with store.transaction() as transaction:
        transaction.insert_rows("conversations", ("id", "title"), [(row_id, "A long conversation")])
    return row_id


def transactions(conversation_id: RowId, count: int, *, seed: int = 0, after: int = 0) -> Iterator[list[Message]]:
    """Yield `count` messages, as many at a time as one transaction writes, with time-ordered ids.

    `after` is how many came before: their ids are the lesser ones.
    """
    entropy = SeededEntropy(f"messages {seed} {after}")
    for first in range(after, after + count, ROWS_PER_TRANSACTION):
        rows: list[Message] = []
        for number, text in enumerate(
            texts(min(ROWS_PER_TRANSACTION, after + count - first), seed=seed + first), first
        ):
            at = _STARTED_AT + timedelta(seconds=number)
            created_at = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
            row_id = uuid7(int(at.timestamp() * 1000), entropy.take(10))
            rows.append((row_id, conversation_id, ("user", "assistant")[number % 2], text, created_at))
        yield rows


def insert_messages(transaction: WriteTransaction, rows: Sequence[Message]) -> None:
    """Insert the messages of one transaction."""
    transaction.insert_rows("messages", COLUMNS, rows)

"""Counts what a device that joins will be able to read, for the person who is asked to let it in."""

from node.requests import Readable
from node.service import Service


def readable(service: Service) -> Readable:
    """Return how much there is, and from when on. Raises `StorageError`."""
    conversations, messages, memories = (_count(service, table) for table in ("conversations", "messages", "memories"))
    # Of messages there may be millions; none is older than its conversation.
    earliest = [
        text
        for table in ("conversations", "memories")
        for (text,) in service.store.query(f"SELECT min(created_at) FROM {table}")
        if isinstance(text, str)
    ]
    return Readable(
        conversations=conversations,
        messages=messages,
        memories=memories,
        rows=sum(state.rows for state in service.store.view().streams.values()),
        since=min(earliest, default=None),
    )


def _count(service: Service, table: str) -> int:
    ((count,),) = service.store.query(f"SELECT count(*) FROM {table}")
    return int(count) if isinstance(count, int) else 0

"""Hands what happens on a node to everyone who follows it.

Events are hints: whoever follows too slowly loses the oldest ones and can always ask for the present state instead.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from node.requests import NodeEvent

# Enough for a burst of links and commits between two turns of a reader; each event is some 200 bytes.
PENDING_EVENTS_MAX = 1_000


class EventFeed:
    """One writer, any number of followers, all on one event loop; `dropped` counts what followers lost."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[NodeEvent]] = set()
        self.dropped = 0

    def publish(self, event: NodeEvent) -> None:
        """Hand an event to every follower; never waits."""
        for queue in self._queues:
            if queue.full():
                queue.get_nowait()
                self.dropped += 1
            queue.put_nowait(event)

    @contextmanager
    def follow(self) -> Iterator[AsyncIterator[NodeEvent]]:
        """Collect events from now on and yield them as they are asked for."""
        queue: asyncio.Queue[NodeEvent] = asyncio.Queue(PENDING_EVENTS_MAX)
        self._queues.add(queue)
        try:
            yield _Followed(queue)
        finally:
            self._queues.discard(queue)


class _Followed:
    """The events of one follower. A wait that is cancelled loses nothing, as it would in a generator."""

    def __init__(self, queue: asyncio.Queue[NodeEvent]) -> None:
        self._queue = queue

    def __aiter__(self) -> "_Followed":
        return self

    async def __anext__(self) -> NodeEvent:
        return await self._queue.get()

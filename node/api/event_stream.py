"""Tells what happens on a node as server-sent events, for programs that follow it with an ordinary HTTP library.

`GET /v1/events` with the token. Each event has its kind as the name and the whole of it as JSON. Events are hints and
are not kept: after a connection was lost, ask for the present state (`POST /v1/status`). Format: the WHATWG HTML
standard, section "Server-sent events".
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

import msgspec
from aiohttp import web

from node.requests import FollowedEvent

CONTENT_TYPE = "text/event-stream"
# Both ends learn of a connection that died without a word, and nothing on the way takes it for idle.
STILL_HERE_SECONDS = 15.0
_RETRY_MILLISECONDS = 2_000


async def answer_with_events(
    request: web.Request,
    happening: AsyncGenerator[FollowedEvent, None],
    *,
    still_here_seconds: float = STILL_HERE_SECONDS,
) -> web.StreamResponse:
    """Write every event until the reader leaves or the node stops."""
    response = web.StreamResponse(headers={"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store"})
    await response.prepare(request)
    async with aclosing(happening) as events:
        # A reader that leaves between two events is noticed when the next one is written; so ends a stopping node, too.
        with suppress(ConnectionError, StopAsyncIteration):
            await response.write(f"retry: {_RETRY_MILLISECONDS}\n\n".encode())
            await _tell(response, events, still_here_seconds)
    return response


async def _tell(
    response: web.StreamResponse, events: AsyncGenerator[FollowedEvent, None], still_here_seconds: float
) -> None:
    coming = asyncio.create_task(_next(events))
    try:
        while True:
            done, _ = await asyncio.wait([coming], timeout=still_here_seconds)
            if not done:
                await response.write(b": still here\n\n")
                continue
            await response.write(spelled(coming.result()))
            coming = asyncio.create_task(_next(events))
    finally:
        # The generator may be closed only once nobody waits in it any more.
        coming.cancel()
        await asyncio.wait([coming])


async def _next(events: AsyncGenerator[FollowedEvent, None]) -> FollowedEvent:
    return await anext(events)


def spelled(event: FollowedEvent) -> bytes:
    """Return one event; its JSON has no line break, so it is one line of data."""
    return b"event: %b\ndata: %b\n\n" % (str(event.__struct_config__.tag).encode(), msgspec.json.encode(event))

"""Events reach a program as server-sent events, a silence is filled, and a reader that leaves costs nothing."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from node.api.event_stream import answer_with_events, spelled
from node.event_feed import EventFeed
from node.requests import FollowedEvent, Following, Notice, RowsChanged

SOON_SECONDS = 5.0


class Feed:
    """A feed behind a port, and whether its follower has left."""

    def __init__(self) -> None:
        self.events = EventFeed()
        self.left = asyncio.Event()

    async def happening(self) -> AsyncGenerator[FollowedEvent, None]:
        try:
            with self.events.follow() as followed:
                yield Following()
                async for event in followed:
                    yield event
        finally:
            self.left.set()


@pytest.fixture
async def feed() -> Feed:
    return Feed()


@asynccontextmanager
async def reading(feed: Feed, still_here_seconds: float = 60.0) -> AsyncIterator[aiohttp.ClientResponse]:
    async def answer(request: web.Request) -> web.StreamResponse:
        return await answer_with_events(request, feed.happening(), still_here_seconds=still_here_seconds)

    application = web.Application()
    application.router.add_get("/", answer)
    runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        async with aiohttp.ClientSession() as session, session.get(f"http://{host}:{port}/") as response:
            yield response
    finally:
        await runner.cleanup()


async def block(response: aiohttp.ClientResponse) -> str:
    """Return what comes up to the next empty line."""
    async with asyncio.timeout(SOON_SECONDS):
        return (await response.content.readuntil(b"\n\n")).decode()


async def test_each_event_is_named_and_told_whole(feed: Feed) -> None:
    async with reading(feed) as response:
        assert response.headers["Content-Type"] == "text/event-stream"
        assert await block(response) == "retry: 2000\n\n"
        assert await block(response) == 'event: following\ndata: {"event":"following"}\n\n'
        feed.events.publish(RowsChanged(local=True, changes_by_table={"memories": 2}))
        feed.events.publish(Notice(text="line\nbreak"))
        told = 'event: changed\ndata: {"event":"changed","local":true,"changes_by_table":{"memories":2}}\n\n'
        assert await block(response) == told
        assert await block(response) == 'event: notice\ndata: {"event":"notice","text":"line\\nbreak"}\n\n'


async def test_silence_is_filled_and_loses_no_event(feed: Feed) -> None:
    async with reading(feed, still_here_seconds=0.01) as response:
        await block(response)
        await block(response)
        assert await block(response) == ": still here\n\n"
        for number in range(20):
            feed.events.publish(Notice(text=str(number)))
            while (told := await block(response)) == ": still here\n\n":
                pass
            assert told.encode() == spelled(Notice(text=str(number)))


async def test_a_reader_that_leaves_is_let_go(feed: Feed) -> None:
    async with reading(feed) as response:
        await block(response)
        response.close()
        async with asyncio.timeout(SOON_SECONDS):
            await feed.left.wait()


async def test_when_the_node_has_nothing_more_to_tell_the_answer_ends_well(feed: Feed) -> None:
    async def once() -> AsyncGenerator[FollowedEvent, None]:
        yield Notice(text="the last")

    feed.happening = once  # type: ignore[method-assign]
    async with reading(feed) as response:
        async with asyncio.timeout(SOON_SECONDS):
            assert (await response.read()).endswith(b'data: {"event":"notice","text":"the last"}\n\n')

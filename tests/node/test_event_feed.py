"""Who follows a node's events, and what a slow follower loses."""

import asyncio

from node.event_feed import PENDING_EVENTS_MAX, EventFeed
from node.requests import Notice


async def test_every_follower_gets_what_is_published_while_it_follows() -> None:
    feed = EventFeed()
    feed.publish(Notice(text="before"))
    with feed.follow() as first, feed.follow() as second:
        feed.publish(Notice(text="during"))
        assert await anext(first) == await anext(second) == Notice(text="during")
    feed.publish(Notice(text="after"))


async def test_a_follower_that_is_too_slow_loses_the_oldest_events_only() -> None:
    feed = EventFeed()
    with feed.follow() as events:
        for number in range(PENDING_EVENTS_MAX + 3):
            feed.publish(Notice(text=str(number)))
        assert await anext(events) == Notice(text="3")


async def test_a_wait_that_was_cancelled_loses_nothing() -> None:
    feed = EventFeed()
    with feed.follow() as events:
        waiting = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        feed.publish(Notice(text="kept"))
        assert await anext(events) == Notice(text="kept")

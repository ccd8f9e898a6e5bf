"""Follows a node's events over its restarts: connects, tells when it is lost, and connects again."""

import asyncio
from collections.abc import AsyncGenerator
from typing import get_args

from rich.console import RenderableType
from rich.text import Text

from node.api.client import connect
from node.cli.device_rendering import render_node_event
from node.errors import NotRunningError, RefusedError, TransportError
from node.home import Home
from node.requests import EVENTS, EventsRequest, FollowedEvent, Following
from node.requests.operation import Event

# A node that starts again takes about as long to unlock; looking costs one look at a file.
LOOK_SECONDS = 0.25


class Lost(Event, frozen=True, kw_only=True, tag="lost"):
    """The node is gone; what happens until the next `following` is not told."""


Followed = FollowedEvent | Lost


def kind_of(event: Followed) -> str:
    """Return the name of an event's kind, as its JSON has it."""
    return str(event.__struct_config__.tag)


KINDS = tuple(str(kind.__struct_config__.tag) for kind in get_args(Followed))


async def follow(home: Home, *, wait: bool) -> AsyncGenerator[Followed, None]:
    """Yield events without end.

    Raises `UsageError` if there is no home; unless it is to `wait` for a node, also `NotRunningError`, `TransportError`
    or `RefusedError` if none can be followed at first.
    """
    home.require()
    connected = False
    while True:
        try:
            async with connect(home) as client:
                async for event in client.stream(EVENTS, EventsRequest()):
                    wait = connected = True
                    yield event
        except (NotRunningError, TransportError, RefusedError):
            # Once it was met: it is gone, ended in the middle of a line, or another one has its port and not its token.
            if not wait:
                raise
        if connected:
            connected = False
            yield Lost()
        await asyncio.sleep(LOOK_SECONDS)


def render_followed(value: Followed) -> RenderableType:
    """Draw one line of a node's life."""
    match value:
        case Following():
            return Text("following          what happens from now on", style="dim")
        case Lost():
            return Text("The node is gone; waiting for it to come back.", style="yellow")
        case _:
            return render_node_event(value)

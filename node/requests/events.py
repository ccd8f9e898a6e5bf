"""What happens on a running node, as it happens."""

import msgspec

from node.requests.operation import Event, Request, StreamOperation


class EventsRequest(Request, frozen=True, kw_only=True):
    """Follow what happens on the running node."""


class RowsChanged(Event, frozen=True, kw_only=True, tag="changed"):
    """Rows changed, here (`local`) or on another device; counts by table."""

    local: bool
    changes_by_table: dict[str, int]


class PeerChanged(Event, frozen=True, kw_only=True, tag="peer"):
    """A link to another device changed."""

    device_id: str
    name: str
    connected: bool
    in_sync: bool
    why: str


class Notice(Event, frozen=True, kw_only=True, tag="notice"):
    """Something that a person should know, in one sentence."""

    text: str


class StreamReadable(Event, frozen=True, kw_only=True, tag="stream.readable"):
    """The first rows of a stream that another device had ahead are here, newest first; `rows` are held by now."""

    stream: str
    rows: int
    device_id: str


class StreamComplete(Event, frozen=True, kw_only=True, tag="stream.complete"):
    """Everything is here that another device held of a stream when the connection was made."""

    stream: str
    rows: int
    device_id: str


class Following(Event, frozen=True, kw_only=True, tag="following"):
    """The first event: what happens from here on is told; what happened before is in the status."""


NodeEvent = RowsChanged | PeerChanged | Notice | StreamReadable | StreamComplete

FollowedEvent = Following | NodeEvent


EVENTS: StreamOperation[EventsRequest, FollowedEvent] = StreamOperation(
    "events", EventsRequest, msgspec.json.Decoder(FollowedEvent)
)

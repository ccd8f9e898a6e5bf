"""A node's life: unlock, listen, publish the local API, tell what happens, and stop cleanly."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import msgspec

from node.config import NodeConfig
from node.requests import NodeEvent


class Ready(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="ready"):
    """The node listens for peers and for programs of this device, each at host:port."""

    listen: str
    api: str


def run_node(
    config: NodeConfig,
    *,
    passphrase: str,
    stop: asyncio.Event,
    listen: str = "0.0.0.0:0",
    api: str = "127.0.0.1:0",
    peers: Sequence[str] = (),
) -> AsyncIterator[Ready | NodeEvent]:
    """Run the node of a home until `stop` is set, yielding `Ready` first and then what happens."""
    raise NotImplementedError

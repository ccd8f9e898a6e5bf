"""A connection that serves pairing alone: whole frames, one after the other, on a path of its own."""

from collections.abc import Callable
from typing import Protocol

from aiohttp import ClientWebSocketResponse, WSMsgType, web


class PairingLink(Protocol):
    """What either end of a pairing needs of the network."""

    peer_address: str

    async def receive(self) -> bytes | None:
        """Return the next frame, None once the connection is closed."""

    async def send(self, frame: bytes) -> None:
        """Send one frame; a closed connection swallows it, the next receive tells."""

    def proven(self) -> None:
        """Take note that the other end has proved that it knows the code: it may take its time from now on."""

    async def close(self) -> None:
        """Close the connection."""


class WebSocketPairingLink:
    """A pairing connection over a WebSocket."""

    def __init__(
        self,
        websocket: ClientWebSocketResponse | web.WebSocketResponse,
        peer_address: str,
        *,
        when_proven: Callable[[], None] = lambda: None,
    ) -> None:
        self._websocket = websocket
        self.peer_address = peer_address
        self._when_proven = when_proven

    async def receive(self) -> bytes | None:
        """Return the next binary frame; anything else ends the connection."""
        message = await self._websocket.receive()
        if message.type is WSMsgType.BINARY:
            frame: bytes = message.data
            return frame
        await self._websocket.close()
        return None

    async def send(self, frame: bytes) -> None:
        """Send one frame."""
        if not self._websocket.closed:
            try:
                await self._websocket.send_bytes(frame)
            except ConnectionError:
                await self._websocket.close()

    def proven(self) -> None:
        """Tell whoever counts strangers."""
        self._when_proven()

    async def close(self) -> None:
        """Close the connection."""
        await self._websocket.close()

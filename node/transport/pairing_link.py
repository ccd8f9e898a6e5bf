"""A connection that serves pairing alone: whole frames, one after the other, on a path of its own."""

from typing import Protocol

from aiohttp import ClientWebSocketResponse, WSMsgType, web


class PairingLink(Protocol):
    """What either end of a pairing needs of the network."""

    peer_address: str

    async def receive(self) -> bytes | None:
        """Return the next frame, None once the connection is closed."""

    async def send(self, frame: bytes) -> None:
        """Send one frame; a closed connection swallows it, the next receive tells."""

    async def close(self) -> None:
        """Close the connection."""


class WebSocketPairingLink:
    """A pairing connection over a WebSocket."""

    def __init__(self, websocket: ClientWebSocketResponse | web.WebSocketResponse, peer_address: str) -> None:
        self._websocket = websocket
        self.peer_address = peer_address

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

    async def close(self) -> None:
        """Close the connection."""
        await self._websocket.close()

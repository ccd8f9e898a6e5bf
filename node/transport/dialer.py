"""Calls another device, once: a WebSocket to where it listens, or one sentence that says why there is none."""

import asyncio
import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import ClientSession, ClientTimeout, ClientWebSocketResponse, ClientWSTimeout

from node.errors import TransportError
from node.transport.address import Address
from node.transport.link import CLOSE_SECONDS, WEBSOCKET_MESSAGE_BYTES_MAX
from node.transport.listener import PAIRING_PATH, PEER_HOST, SYNC_PATH
from node.transport.liveness import HEARTBEAT_SECONDS
from node.transport.pairing_link import PairingLink, WebSocketPairingLink

CONNECT_SECONDS = 5.0
_NOT_FOUND = 404


@asynccontextmanager
async def connect(address: Address, path: str = SYNC_PATH) -> AsyncIterator[ClientWebSocketResponse]:
    """Open a WebSocket to a device. Raises TransportError if nobody answers as a node does."""
    asks_itself = path == SYNC_PATH  # A link asks for signs of life itself.
    async with ClientSession(
        timeout=ClientTimeout(total=None, connect=CONNECT_SECONDS), auto_decompress=False
    ) as client:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                websocket = await client.ws_connect(
                    f"http://{address}{path}",
                    headers={} if _is_ip_address(address.host) else {"Host": PEER_HOST},
                    compress=0,
                    max_msg_size=WEBSOCKET_MESSAGE_BYTES_MAX,
                    autoping=not asks_itself,
                    heartbeat=None if asks_itself else HEARTBEAT_SECONDS,
                    timeout=ClientWSTimeout(ws_close=CLOSE_SECONDS),
                )
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise TransportError(f"Nobody answers as a node at {address} ({_reason(error)}).") from error
        try:
            yield websocket
        finally:
            await websocket.close()


@asynccontextmanager
async def connect_for_pairing(address: Address) -> AsyncIterator[PairingLink]:
    """Open a pairing connection to a device that shows a code. Raises TransportError if nobody answers."""
    async with connect(address, PAIRING_PATH) as websocket:
        yield WebSocketPairingLink(websocket, str(address))


def _is_ip_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _reason(error: BaseException) -> str:
    match error:
        case aiohttp.WSServerHandshakeError():
            # Each version of the protocol has a path of its own.
            return (
                "what is there speaks another version of Nuthatch, or is none: bring both devices up to date"
                if error.status == _NOT_FOUND
                else f"it answered {error.status}"
            )
        case TimeoutError():
            return "no answer in time"
        case OSError() if error.strerror:
            return error.strerror
        case _:
            return type(error).__name__

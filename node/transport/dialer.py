"""Calls other devices: one attempt, or for as long as the node runs, with pauses that grow and are never in step."""

import asyncio
import ipaddress
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum, auto

import aiohttp
from aiohttp import ClientSession, ClientTimeout, ClientWebSocketResponse, ClientWSTimeout

from node.entropy import Entropy
from node.errors import TransportError
from node.transport.address import Address
from node.transport.link import CLOSE_SECONDS, HEARTBEAT_SECONDS, WEBSOCKET_MESSAGE_BYTES_MAX
from node.transport.listener import PAIRING_PATH, PEER_HOST, SYNC_PATH
from node.transport.pairing_link import PairingLink, WebSocketPairingLink

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 5.0
# The first pause is short, since a peer that restarts is back at once; at a minute an absent one costs next to nothing.
BACK_OFF_SECONDS_MIN = 0.25
BACK_OFF_SECONDS_MAX = 60.0


class Outcome(Enum):
    """How a call ended, which says when the next one is worth it."""

    MET = auto()
    BRIEF = auto()
    REFUSED = auto()
    UNREACHABLE = auto()
    OURSELVES = auto()


@dataclass(slots=True)
class BackOff:
    """Pauses that double from BACK_OFF_SECONDS_MIN to BACK_OFF_SECONDS_MAX, each shortened by up to half at random."""

    entropy: Entropy
    failures: int = 0

    def next_seconds(self) -> float:
        """Return the next pause; without jitter two devices would dial each other at the same instant for ever."""
        ceiling = min(BACK_OFF_SECONDS_MAX, BACK_OFF_SECONDS_MIN * float(1 << min(self.failures, 16)))
        self.failures += 1
        return ceiling * (0.5 + int.from_bytes(self.entropy.take(4), "big") / 2**33)

    def reset(self) -> None:
        """The peer was met: begin anew."""
        self.failures = 0


class Dialer:
    """Keeps calling one address."""

    def __init__(
        self, *, address: Address, call: Callable[[Address], Awaitable[Outcome]], entropy: Entropy
    ) -> None:  # fmt: skip
        """`call` makes one attempt and returns when whatever came of it has ended."""
        self._address = address
        self._call = call
        self._back_off = BackOff(entropy)

    async def run(self) -> None:
        """Call until the address turns out to be our own."""
        while True:
            outcome = await self._call(self._address)
            if outcome is Outcome.OURSELVES:
                logger.info("not dialling our own address", extra={"address": str(self._address)})
                return
            if outcome is Outcome.MET:
                self._back_off.reset()
            await asyncio.sleep(self._back_off.next_seconds())


@asynccontextmanager
async def connect(address: Address, path: str = SYNC_PATH) -> AsyncIterator[ClientWebSocketResponse]:
    """Open a WebSocket to a device. Raises TransportError if nobody answers as a node does."""
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
                    heartbeat=HEARTBEAT_SECONDS,
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
            return f"it answered {error.status}"
        case TimeoutError():
            return "no answer in time"
        case OSError() if error.strerror:
            return error.strerror
        case _:
            return type(error).__name__

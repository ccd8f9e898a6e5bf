"""Accepts connections of other devices and nothing else: no browser, no flood of strangers, no slow ones."""

import asyncio
import ipaddress
import logging
import os
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from node.clock import Clock
from node.errors import TransportError
from node.transport.address import Address
from node.transport.door import Door
from node.transport.link import CLOSE_SECONDS, WEBSOCKET_MESSAGE_BYTES_MAX
from node.transport.liveness import HEARTBEAT_SECONDS
from node.transport.pairing_link import PairingLink, WebSocketPairingLink

logger = logging.getLogger(__name__)

SYNC_PATH = "/v1/sync"
PAIRING_PATH = "/v1/pair"
# What our own dialer says where an address is a name. No name server knows it: a browser's rebound name is never equal.
PEER_HOST = "nuthatch.invalid"


# The last argument is to be called once the peer has proved that it belongs.
HandleSync = Callable[[web.WebSocketResponse, str, Callable[[], None]], Awaitable[None]]
HandlePairing = Callable[[PairingLink], Awaitable[None]]


class Listener:
    """The node's open port.

    1. A request with an Origin header, or a Host that is neither an IP address nor ours, comes from a browser: refused.
    2. Who has not proved to belong, or to know the code of a pairing, is one of few, and is cut off after seconds.
    3. What is no WebSocket ends with its answer: a refused connection is not kept for another try.
    """

    def __init__(self, *, handle_sync: HandleSync, handle_pairing: HandlePairing | None, clock: Clock) -> None:
        self._handle_sync = handle_sync
        self._handle_pairing = handle_pairing
        self._clock = clock
        self._runner: web.AppRunner | None = None
        self._door: Door | None = None

    async def start(self, address: Address) -> Address:
        """Listen and return the address really bound. Raises TransportError if the port cannot be had."""
        application = web.Application(client_max_size=0)
        application.router.add_get(SYNC_PATH, self._accept_sync)
        application.router.add_get(PAIRING_PATH, self._accept_pairing)
        application.on_response_prepare.append(_say_little)
        runner = web.AppRunner(
            application,
            access_log=None,
            logger=_http_logger(),
            handle_signals=False,
            shutdown_timeout=CLOSE_SECONDS,
        )
        await runner.setup()
        door = Door(protocols_of(runner), clock=self._clock)
        try:
            bound = await door.open(address)
        except OSError as error:
            await runner.cleanup()
            # The event loop writes a sentence of its own around what the system says.
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise TransportError(
                f"Cannot listen on {address}: {reason}. Choose another address with --listen."
            ) from error
        self._runner, self._door = runner, door
        return bound

    async def stop(self) -> None:
        """Stop accepting and close the port."""
        if self._door is not None:
            self._door.close()
        if self._runner is not None:
            await self._runner.cleanup()

    def stranger_count(self) -> int:
        """Return how many connections there are whose other end has proved nothing."""
        return self._door.stranger_count() if self._door is not None else 0

    async def _accept_sync(self, request: web.Request) -> web.StreamResponse:
        self._admit(request)
        # A link asks for signs of life itself, and so notices a connection that hangs before the kernel does.
        websocket = _websocket(autoping=False, heartbeat=None)
        await _upgrade(websocket, request)
        await self._handle_sync(websocket, request.remote or "", self._proof_of(request))
        return websocket

    async def _accept_pairing(self, request: web.Request) -> web.StreamResponse:
        if self._handle_pairing is None:
            raise web.HTTPNotFound
        self._admit(request)
        websocket = _websocket()
        await _upgrade(websocket, request)
        await self._handle_pairing(
            WebSocketPairingLink(websocket, request.remote or "", when_proven=self._proof_of(request))
        )
        await websocket.close()
        return websocket

    def _admit(self, request: web.Request) -> None:
        if "Origin" in request.headers or not is_peer_host(request.headers.get("Host", "")):
            logger.warning("request refused", extra={"address": request.remote, "reason": "foreign origin or host"})
            raise web.HTTPForbidden

    def _proof_of(self, request: web.Request) -> Callable[[], None]:
        transport = request.transport

        def proven() -> None:
            if self._door is not None:
                self._door.proven(transport)

        return proven


def protocols_of(runner: web.AppRunner) -> Callable[[], asyncio.Protocol]:
    """Return what makes aiohttp's protocol for one connection; the runner is set up."""
    server = runner.server
    if server is None:
        raise TransportError("The server was not set up.")
    return server


async def _say_little(_request: web.Request, response: web.StreamResponse) -> None:
    # Which versions run here is no stranger's business.
    response.headers.pop("Server", None)
    if not isinstance(response, web.WebSocketResponse):
        response.force_close()
        response.headers["Connection"] = "close"


def _http_logger() -> logging.Logger:
    """Return aiohttp's logger for this port: what a stranger sent is noted in one line, without its bytes."""
    http_logger = logging.getLogger(f"{__name__}.http")
    http_logger.filters = [_without_bytes]
    return http_logger


def _without_bytes(record: logging.LogRecord) -> bool:
    if record.exc_info and isinstance(record.exc_info[1], HttpProcessingError):
        record.msg, record.args, record.exc_info = "malformed request", (), None
        record.levelno, record.levelname = logging.WARNING, "WARNING"
    return True


def is_peer_host(host_header: str) -> bool:
    """Tell whether a Host header is one that a device sends: an IP address, localhost, or PEER_HOST."""
    host = host_header.rsplit(":", 1)[0] if host_header.count(":") == 1 or "]:" in host_header else host_header
    host = host.removeprefix("[").removesuffix("]").lower()
    if host in ("localhost", PEER_HOST):
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


async def _upgrade(websocket: web.WebSocketResponse, request: web.Request) -> None:
    try:
        await websocket.prepare(request)
    except ConnectionError:
        # Whoever asked has gone already; there is nobody to answer and nothing to tell.
        raise web.HTTPBadRequest from None


def _websocket(*, autoping: bool = True, heartbeat: float | None = HEARTBEAT_SECONDS) -> web.WebSocketResponse:
    return web.WebSocketResponse(
        compress=False,
        max_msg_size=WEBSOCKET_MESSAGE_BYTES_MAX,
        autoping=autoping,
        heartbeat=heartbeat,
        timeout=CLOSE_SECONDS,
    )

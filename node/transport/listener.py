"""Accepts connections of other devices and nothing else: no browser, no flood of strangers, no slow ones."""

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Protocol

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from node.clock import Clock
from node.errors import TransportError
from node.transport.address import Address
from node.transport.link import CLOSE_SECONDS, WEBSOCKET_MESSAGE_BYTES_MAX
from node.transport.liveness import HEARTBEAT_SECONDS
from node.transport.pairing_link import PairingLink, WebSocketPairingLink
from sync.limits import HANDSHAKE_SECONDS, HANDSHAKES_CONCURRENT_MAX

logger = logging.getLogger(__name__)

SYNC_PATH = "/v1/sync"
PAIRING_PATH = "/v1/pair"
# What our own dialer says where an address is a name. No name server knows it: a browser's rebound name is never equal.
PEER_HOST = "nuthatch.invalid"
_SWEEP_SECONDS = 1.0


class Admission(Protocol):
    """A place among those that may try to prove themselves."""

    def release(self) -> None:
        """The peer is proven, or gone: the place is free."""


class _Place:
    def __init__(self, places: set["_Place"]) -> None:
        self._places = places
        places.add(self)

    def release(self) -> None:
        self._places.discard(self)


HandleSync = Callable[[web.WebSocketResponse, str, Admission], Awaitable[None]]
HandlePairing = Callable[[PairingLink], Awaitable[None]]


class Listener:
    """The node's open port.

    1. A request with an Origin header, or a Host that is neither an IP address nor ours, comes from a browser: refused.
    2. At most HANDSHAKES_CONCURRENT_MAX strangers at once; each has HANDSHAKE_SECONDS.
    3. A connection that asks for nothing in that time is cut.
    """

    def __init__(self, *, handle_sync: HandleSync, handle_pairing: HandlePairing | None, clock: Clock) -> None:
        self._handle_sync = handle_sync
        self._handle_pairing = handle_pairing
        self._clock = clock
        self._strangers: set[_Place] = set()
        self._asked: set[asyncio.BaseTransport] = set()
        self._silent_since_seconds: dict[asyncio.BaseTransport, float] = {}
        self._server: web.Server | None = None
        self._runner: web.AppRunner | None = None
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self, address: Address) -> Address:
        """Listen and return the address really bound. Raises TransportError if the port cannot be had."""
        application = web.Application(client_max_size=0)
        application.router.add_get(SYNC_PATH, self._accept_sync)
        application.router.add_get(PAIRING_PATH, self._accept_pairing)
        runner = web.AppRunner(
            application,
            access_log=None,
            logger=_http_logger(),
            handle_signals=False,
            shutdown_timeout=CLOSE_SECONDS,
        )
        await runner.setup()
        try:
            await _site(runner, address).start()
        except OSError as error:
            await runner.cleanup()
            raise TransportError(
                f"Cannot listen on {address}: {error.strerror or error}. Choose another address with --listen."
            ) from error
        self._runner, self._server = runner, runner.server
        self._sweeper = asyncio.create_task(self._sweep())
        host, port = runner.addresses[0][:2]
        return Address(str(host), int(port))

    async def stop(self) -> None:
        """Stop accepting and close the port."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        if self._runner is not None:
            await self._runner.cleanup()

    def silent_count(self) -> int:
        """Return how many connections were found that have asked for nothing."""
        return len(self._silent_since_seconds)

    async def _accept_sync(self, request: web.Request) -> web.StreamResponse:
        place = self._admit(request)
        try:
            # A link asks for signs of life itself, and so notices a connection that hangs before the kernel does.
            websocket = _websocket(autoping=False, heartbeat=None)
            await _upgrade(websocket, request)
            await self._handle_sync(websocket, request.remote or "", place)
            return websocket
        finally:
            place.release()

    async def _accept_pairing(self, request: web.Request) -> web.StreamResponse:
        if self._handle_pairing is None:
            raise web.HTTPNotFound
        place = self._admit(request)
        try:
            websocket = _websocket()
            await _upgrade(websocket, request)
            await self._handle_pairing(WebSocketPairingLink(websocket, request.remote or ""))
            await websocket.close()
            return websocket
        finally:
            place.release()

    def _admit(self, request: web.Request) -> _Place:
        """Return a stranger's place, or refuse the request before anything is spent on it."""
        if request.transport is not None:
            self._asked.add(request.transport)
        if "Origin" in request.headers or not is_peer_host(request.headers.get("Host", "")):
            logger.warning("request refused", extra={"address": request.remote, "reason": "foreign origin or host"})
            raise web.HTTPForbidden
        if len(self._strangers) >= HANDSHAKES_CONCURRENT_MAX:
            logger.warning("request refused", extra={"address": request.remote, "reason": "too many handshakes"})
            raise web.HTTPServiceUnavailable
        return _Place(self._strangers)

    async def _sweep(self) -> None:
        """Cut connections that were opened and then asked for nothing: aiohttp would wait for them for ever."""
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            now_seconds = self._clock.monotonic_seconds()
            transports = {
                connection.transport
                for connection in (self._server.connections if self._server is not None else [])
                if connection.transport is not None
            }
            self._asked &= transports
            silent = transports - self._asked
            self._silent_since_seconds = {
                transport: self._silent_since_seconds.get(transport, now_seconds) for transport in silent
            }
            for transport, since_seconds in self._silent_since_seconds.items():
                if now_seconds - since_seconds > HANDSHAKE_SECONDS and isinstance(transport, asyncio.Transport):
                    transport.abort()


def _site(runner: web.AppRunner, address: Address) -> web.BaseSite:
    """Return what listens; `::` means every address of either kind, as far as this machine has them. Raises OSError."""
    if address.host != "::":
        return web.TCPSite(runner, address.host, address.port)
    if not socket.has_dualstack_ipv6():
        return web.TCPSite(runner, "0.0.0.0", address.port)  # noqa: S104  what the caller asked for
    return web.SockSite(runner, socket.create_server(("::", address.port), family=socket.AF_INET6, dualstack_ipv6=True))


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

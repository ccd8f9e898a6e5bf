"""Keeps those who have not proved yet who they are from crowding a port: few at once, for seconds, the oldest goes.

A full port that refused the newest would be shut by whoever came first and stayed. An honest caller needs
milliseconds, so of too many the one goes that has been there longest, of the address that has the most: who wants to
keep an honest device out must open thousands of connections a second, and go on. Nothing is read before.
"""

import asyncio
import logging
import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from node.clock import Clock
from node.transport.address import Address, plain_host
from sync.limits import STRANGER_SECONDS, STRANGERS_MAX, STRANGERS_PER_ADDRESS_MAX

logger = logging.getLogger(__name__)

_SWEEP_SECONDS = 1.0
# One line for a flood of whatever length; the log of a node is kept short.
_TOLD_EVERY_SECONDS = 60.0
_BACKLOG = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How many strangers there may be at once, in all and of one address, and for how many seconds each."""

    strangers_max: int = STRANGERS_MAX
    per_address_max: int = STRANGERS_PER_ADDRESS_MAX
    seconds: float = STRANGER_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stranger:
    host: str
    came_at: float


class Door:
    """A listening port. Every connection is a stranger's from the moment it is accepted until `proven` names it."""

    def __init__(self, protocol: Callable[[], asyncio.Protocol], *, clock: Clock, room: Room | None = None) -> None:
        """`protocol` makes what serves one connection."""
        self._protocol = protocol
        self._clock = clock
        self._room = room or Room()
        # In the order in which they came.
        self._stranger_by_transport: dict[asyncio.Transport, _Stranger] = {}
        self._cut_off = 0
        self._told_at: float | None = None
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.Task[None] | None = None

    async def open(self, address: Address) -> Address:
        """Listen and return the address really bound; the host `::` means both families. Raises OSError."""
        self._server = await _listening(lambda: _Threshold(self), address)
        self._sweeper = asyncio.create_task(self._sweep())
        host, port = self._server.sockets[0].getsockname()[:2]
        return Address(str(host), int(port))

    def close(self) -> None:
        """Accept nobody any more; connections stay."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        if self._server is not None:
            self._server.close()

    def proven(self, transport: asyncio.BaseTransport | None) -> None:
        """Take note that whoever is at the other end has proved who it is; it no longer counts as a stranger."""
        if isinstance(transport, asyncio.Transport):
            self._stranger_by_transport.pop(transport, None)

    def stranger_count(self) -> int:
        """Return how many connections there are whose other end has proved nothing."""
        self._forget_gone()
        return len(self._stranger_by_transport)

    def enter(self, transport: asyncio.Transport) -> None:
        """Let a new connection in, in place of the one that has to go for it."""
        self._forget_gone()
        host = plain_host(str((transport.get_extra_info("peername") or ("",))[0]))
        if (leaving := self._who_goes(host)) is not None:
            self._cut(leaving)
        self._stranger_by_transport[transport] = _Stranger(host=host, came_at=self._clock.monotonic_seconds())
        protocol = self._protocol()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)

    def _who_goes(self, host: str) -> asyncio.Transport | None:
        strangers = self._stranger_by_transport
        count_by_host = Counter(stranger.host for stranger in strangers.values())
        if count_by_host[host] >= self._room.per_address_max:
            crowded = host
        elif len(strangers) >= self._room.strangers_max:
            most = max(count_by_host.values())
            crowded = next(stranger.host for stranger in strangers.values() if count_by_host[stranger.host] == most)
        else:
            return None
        return next(transport for transport, stranger in strangers.items() if stranger.host == crowded)

    def _cut(self, transport: asyncio.Transport) -> None:
        stranger = self._stranger_by_transport.pop(transport)
        transport.abort()
        self._cut_off += 1
        now = self._clock.monotonic_seconds()
        if self._told_at is None or now - self._told_at >= _TOLD_EVERY_SECONDS:
            self._told_at = now
            logger.warning("strangers cut off", extra={"address": stranger.host, "so_far": self._cut_off})

    def _forget_gone(self) -> None:
        # A connection that is closing holds its descriptor until what was written to it is on its way.
        gone = [t for t in self._stranger_by_transport if t.get_extra_info("socket").fileno() == -1]
        for transport in gone:
            del self._stranger_by_transport[transport]

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            self._forget_gone()
            before = self._clock.monotonic_seconds() - self._room.seconds
            late = [t for t, stranger in self._stranger_by_transport.items() if stranger.came_at < before]
            for transport in late:
                self._cut(transport)


class _Threshold(asyncio.Protocol):
    """What a connection belongs to for the moment in which it is accepted."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Pass the connection on."""
        if isinstance(transport, asyncio.Transport):
            self._door.enter(transport)


async def _listening(protocol: Callable[[], asyncio.Protocol], address: Address) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    if address.host != "::":
        return await loop.create_server(protocol, address.host, address.port, backlog=_BACKLOG)
    if not socket.has_dualstack_ipv6():
        return await loop.create_server(protocol, "0.0.0.0", address.port, backlog=_BACKLOG)  # noqa: S104  as asked
    both = socket.create_server(("::", address.port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=_BACKLOG)
    return await loop.create_server(protocol, sock=both, backlog=_BACKLOG)

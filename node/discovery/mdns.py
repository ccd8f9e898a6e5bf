"""Speaks multicast DNS (RFC 6762, RFC 6763): shows names on each interface and tells which wanted ones are seen there.

Each interface has an outlet of its own for each kind of address, so that no network hears of this device's addresses in
another one, and one that cannot be used takes nothing away from the others. What is heard is a hint that anybody can
forge: here it is only bounded, by what is wanted.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from ipaddress import IPv4Interface, IPv6Interface

from zeroconf import (  # type: ignore[attr-defined]  # the classes of records are there, and not named as such
    DNSAddress,
    DNSPointer,
    DNSQuestionType,
    IPVersion,
    RecordUpdate,
    RecordUpdateListener,
    Zeroconf,
)
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from node.discovery.interfaces import Interface
from node.discovery.report import OutletState
from node.transport.address import Address
from sync.discovery_names import VERSION_TEXT

logger = logging.getLogger(__name__)

# What the library logs may quote what strangers send.
logging.getLogger("zeroconf").setLevel(logging.CRITICAL)

_LOCAL = "local."
# A responder that heard the question answers within 120 ms (RFC 6762, section 6); a lost packet is asked for again.
_RESOLVE_MILLISECONDS = 3_000
_START_SECONDS = 5.0
# Several packets belong to one announcement; a flood of them is looked at this often and no more.
_GATHER_SECONDS = 0.03
# A device has a handful of addresses on an interface; of a flood the latest are taken.
_HOSTS_MAX = 16
# How many wanted names are looked up at once on one outlet; an honest realm has at most 3 for each of 64 devices.
_LOOK_UPS_MAX = 256


@dataclass(frozen=True, slots=True)
class Shown:
    """A name under a service type of `sync.discovery_names`."""

    service: str
    name: str

    @property
    def type(self) -> str:
        """The service type as DNS spells it."""
        return f"{self.service}.{_LOCAL}"

    @property
    def instance(self) -> str:
        """The instance as DNS spells it."""
        return f"{self.name}.{self.type}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What an outlet is to do: show these names at this port under this host name, and look for these services."""

    shown: frozenset[Shown]
    host: str
    port: int
    browsed: frozenset[str]


#: Told of a wanted name: by which outlet, the name and where it is said to be; nowhere once it is withdrawn.
Sighted = Callable[[str, Shown, tuple[Address, ...]], None]


class Outlet:
    """One interface with its IPv4 or its IPv6 addresses. Opened once, changed at will, closed once."""

    def __init__(
        self,
        interface: Interface,
        addresses: tuple[IPv4Interface | IPv6Interface, ...],
        *,
        wanted: Callable[[Shown], bool],
        sighted: Sighted,
        monotonic_seconds: Callable[[], float],
    ) -> None:
        self._addresses = addresses
        self._index = interface.index
        self._wanted = wanted
        self._sighted = sighted
        self._monotonic_seconds = monotonic_seconds
        self.state = OutletState(interface=interface.name, family=f"IPv{addresses[0].version}")
        self._zeroconf: AsyncZeroconf | None = None
        self._browser: AsyncServiceBrowser | None = None
        self._browsed: frozenset[str] = frozenset()
        self._info_by_shown: dict[Shown, AsyncServiceInfo] = {}
        self._gathering: set[Shown] = set()
        self._tasks: set[asyncio.Future[None]] = set()
        self._ears: _Ears | None = None

    async def open(self) -> bool:
        """Join the group on the interface; return whether that was possible, else `state.error` says why not."""
        version = IPVersion.V4Only if self._addresses[0].version == 4 else IPVersion.V6Only
        zeroconf: AsyncZeroconf | None = None
        try:
            # Of an IPv6 interface the address that belongs to the link.
            own = min(self._addresses, key=lambda address: not address.ip.is_link_local)
            _require_ready(own, self._index)
            zeroconf = AsyncZeroconf(interfaces=[str(own.ip).partition("%")[0]], ip_version=version)
            async with asyncio.timeout(_START_SECONDS):
                await zeroconf.zeroconf.async_wait_for_start(_START_SECONDS)
            if not zeroconf.zeroconf.engine.senders:
                raise OSError(0, "the address is not ready for multicast")
        except (OSError, RuntimeError, TimeoutError) as error:
            self.state.error = getattr(error, "strerror", None) or str(error) or type(error).__name__
            if zeroconf is not None:
                await zeroconf.async_close()
            return False
        except BaseException:
            if zeroconf is not None:
                await zeroconf.async_close()
            raise
        self._zeroconf = zeroconf
        self._ears = _Ears(self.state, frozenset(address.ip.packed for address in self._addresses), self._heard)
        zeroconf.zeroconf.async_add_listener(self._ears, None)
        return True

    async def wish(self, wish: Wish) -> None:
        """Show and look for exactly this."""
        if self._zeroconf is None:
            return
        wanted = {shown: self._info(shown, wish) for shown in wish.shown}
        for shown in self._info_by_shown.keys() - wanted.keys():
            self._in_background(await self._zeroconf.async_unregister_service(self._info_by_shown.pop(shown)))
        for shown, info in wanted.items():
            known = self._info_by_shown.get(shown)
            if known is not None and (known.port, known.server) == (info.port, info.server):
                continue
            self._info_by_shown[shown] = info
            if known is None:
                # Names are 64 random bits, so there is nobody to ask whether one is taken.
                self._in_background(await self._zeroconf.async_register_service(info, cooperating_responders=True))
            else:
                self._in_background(await self._zeroconf.async_update_service(info))
        self._note_own(wish)
        await self._browse(wish.browsed)

    def _note_own(self, wish: Wish) -> None:
        assert self._ears is not None, "an open outlet listens"
        own = frozenset(shown.instance for shown in wish.shown)
        if own != self._ears.own:
            self._ears.own, self.state.heard_own = own, False
            self.state.shown_at_seconds = self._monotonic_seconds() if own else None

    async def _browse(self, services: frozenset[str]) -> None:
        if services == self._browsed or self._zeroconf is None:
            return
        if self._browser is not None:
            await self._browser.async_cancel()
            self._browser = None
        self._browsed = services
        if services:
            # Answers to the group and not to the asker: several programs share the port, and only one gets the other.
            self._browser = AsyncServiceBrowser(
                self._zeroconf.zeroconf,
                [f"{service}.{_LOCAL}" for service in sorted(services)],
                handlers=[lambda **_change: None],
                question_type=DNSQuestionType.QM,
            )

    async def close(self, *, farewell: bool) -> None:
        """Leave the group, with a farewell that the network can hear if it is still there."""
        zeroconf, self._zeroconf = self._zeroconf, None
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if zeroconf is None:
            return
        if self._browser is not None:
            await self._browser.async_cancel()
        if not farewell:
            for info in self._info_by_shown.values():
                zeroconf.zeroconf.registry.async_remove(info)
        await zeroconf.async_close()

    def look_again(self) -> None:
        """Tell of every wanted name that is known here: more names are wanted now."""
        if self._zeroconf is None:
            return
        for service in self._browsed:
            for record in self._zeroconf.zeroconf.cache.async_entries_with_name(f"{service}.{_LOCAL}"):
                if isinstance(record, DNSPointer):
                    self._heard(service, record.alias, gone=False)

    def _heard(self, service: str, alias: str, *, gone: bool) -> None:
        name, _, rest = alias.partition(".")
        shown = Shown(service, name)
        if rest.lower() != shown.type or self._zeroconf is None or not self._wanted(shown):
            return
        if gone:
            self._sighted(self.state.source, shown, ())
            return
        if shown not in self._gathering:
            self._gathering.add(shown)
            asyncio.get_running_loop().call_later(_GATHER_SECONDS, self._resolve, shown)

    def _resolve(self, shown: Shown) -> None:
        self._gathering.discard(shown)
        if self._zeroconf is None:
            return
        info = AsyncServiceInfo(shown.type, shown.instance)
        if info.load_from_cache(self._zeroconf.zeroconf):
            self._tell(shown, info)
        elif len(self._tasks) < _LOOK_UPS_MAX:
            self._in_background(self._look_up(shown, info, self._zeroconf.zeroconf))

    async def _look_up(self, shown: Shown, info: AsyncServiceInfo, zeroconf: Zeroconf) -> None:
        if await info.async_request(zeroconf, _RESOLVE_MILLISECONDS, DNSQuestionType.QM):
            self._tell(shown, info)

    def _tell(self, shown: Shown, info: AsyncServiceInfo) -> None:
        if info.port:
            hosts = dict.fromkeys(info.parsed_scoped_addresses()[:_HOSTS_MAX])
            self._sighted(self.state.source, shown, tuple(Address(host, info.port) for host in hosts))

    def _info(self, shown: Shown, wish: Wish) -> AsyncServiceInfo:
        key, _, value = VERSION_TEXT.partition("=")
        return AsyncServiceInfo(
            shown.type,
            shown.instance,
            addresses=[address.ip.packed for address in self._addresses],
            port=wish.port,
            properties={key: value},
            server=f"{wish.host}.{_LOCAL}",
        )

    def _in_background(self, awaited: Awaitable[None]) -> None:
        task = asyncio.ensure_future(awaited)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Future[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # The network can go at any moment, and with it a broadcast that was under way.
            self.state.error = str(error) or type(error).__name__


@dataclass(slots=True)
class _Heard:
    """Pointers in one packet, acted upon when the whole packet is in the cache."""

    pointers: list[tuple[str, bool]] = field(default_factory=list)


class _Ears(RecordUpdateListener):
    """Hears every record that arrives on an outlet, also those that are no news."""

    def __init__(self, state: OutletState, own_hosts: frozenset[bytes], heard: Callable[..., None]) -> None:
        super().__init__()
        self._state = state
        self._own_hosts = own_hosts
        self._tell = heard
        self._pending = _Heard()
        self.own: frozenset[str] = frozenset()

    def async_update_records(self, zc: Zeroconf, now: float, records: list[RecordUpdate]) -> None:
        """Note what a packet brings; it is not in the cache yet."""
        for update in records:
            record = update.new
            if isinstance(record, DNSPointer):
                if record.alias in self.own:
                    # Whatever went wrong with sending before: it works now.
                    self._state.heard_own, self._state.error = True, None
                else:
                    self._pending.pointers.append((record.alias, record.is_expired(now)))
            elif isinstance(record, DNSAddress) and record.address not in self._own_hosts:
                self._state.heard_others = True

    def async_update_records_complete(self) -> None:
        """Tell of the pointers of the packet."""
        heard, self._pending = self._pending, _Heard()
        for alias, gone in heard.pointers:
            service = alias.partition(".")[2].removesuffix(f".{_LOCAL}")
            self._tell(service, alias, gone=gone)


def _require_ready(address: IPv4Interface | IPv6Interface, index: int) -> None:
    """Raise OSError unless the address can be sent from: an IPv6 one is there a second before it can be used."""
    host = str(address.ip).partition("%")[0]
    if address.version == 4:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((host, 0))
    else:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind((host, 0, 0, index if address.ip.is_link_local else 0))


async def close_all(outlets: Collection[Outlet], *, farewell: bool) -> None:
    """Close outlets together, since each farewell takes a quarter of a second; to the end, although we may not wait."""
    await asyncio.shield(asyncio.gather(*(outlet.close(farewell=farewell) for outlet in outlets)))

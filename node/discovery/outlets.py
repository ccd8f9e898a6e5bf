"""Keeps one outlet of multicast DNS for each interface and kind of address, whatever comes and goes."""

from collections.abc import Callable, Iterable
from ipaddress import IPv4Interface, IPv6Interface

from node.discovery.interfaces import Interface
from node.discovery.mdns import Outlet, Shown, Sighted, Wish, close_all
from node.discovery.report import OutletState

_Key = tuple[str, tuple[IPv4Interface | IPv6Interface, ...]]


class Outlets:
    """All outlets of a node. `settle` and `close` are never awaited by two tasks at once."""

    def __init__(
        self, *, wanted: Callable[[Shown], bool], sighted: Sighted, monotonic_seconds: Callable[[], float]
    ) -> None:
        """`wanted` says which names are to be told of, `sighted` is told of them."""
        self._wanted = wanted
        self._sighted = sighted
        self._monotonic_seconds = monotonic_seconds
        self._outlet_by_key: dict[_Key, Outlet] = {}
        self._failed: list[OutletState] = []

    async def settle(self, present: Iterable[Interface], wish: Wish | None, *, anew: bool) -> list[str]:
        """Let every interface of `present` do what is wished, or nothing for None; return the outlets that went.

        `anew` opens every outlet again: membership of a group does not always survive sleep. One that cannot be opened
        is tried again the next time.
        """
        keys = {key: interface for interface in present for key in _keys(interface)} if wish is not None else {}
        gone = [key for key in self._outlet_by_key if anew or key not in keys]
        # Nobody hears a farewell on an interface that is not there any more.
        closing = [self._outlet_by_key.pop(key) for key in gone]
        await close_all(closing, farewell=wish is None)
        self._failed = []
        for key, interface in keys.items():
            if key not in self._outlet_by_key:
                await self._open(key, interface)
        if wish is not None:
            for outlet in self._outlet_by_key.values():
                await outlet.wish(wish)
        return sorted({outlet.state.source for outlet in closing} - {outlet.source for outlet in self.states()})

    async def _open(self, key: _Key, interface: Interface) -> None:
        outlet = Outlet(
            interface,
            key[1],
            wanted=self._wanted,
            sighted=self._sighted,
            monotonic_seconds=self._monotonic_seconds,
        )
        if await outlet.open():
            self._outlet_by_key[key] = outlet
        else:
            self._failed.append(outlet.state)

    def look_again(self) -> None:
        """Tell of every wanted name that was seen before it was wanted."""
        for outlet in self._outlet_by_key.values():
            outlet.look_again()

    def states(self) -> list[OutletState]:
        """Return how every outlet is doing, those that cannot be opened included."""
        return [*(outlet.state for outlet in self._outlet_by_key.values()), *self._failed]

    async def close(self) -> None:
        """Say farewell on every interface."""
        outlets, self._outlet_by_key = list(self._outlet_by_key.values()), {}
        await close_all(outlets, farewell=True)


def _keys(interface: Interface) -> list[_Key]:
    """Return what tells an outlet from others: another address is another outlet.

    IPv6's loopback interface carries no multicast.
    """
    versions = (4,) if interface.loopback else (4, 6)
    kinds = (tuple(address for address in interface.addresses if address.version == version) for version in versions)
    return [(interface.name, addresses) for addresses in kinds if addresses]

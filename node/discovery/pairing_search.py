"""Looks for the device that shows a code, on every network that this device is on, by the name made from the code."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address

from node.clock import Clock
from node.discovery.interfaces import Interface, interfaces, is_on_link
from node.discovery.mdns import Shown, Wish
from node.discovery.outlets import Outlets
from node.discovery.report import DiscoveryReport, judge
from node.transport.address import Address
from sync.discovery_names import PAIRING_SERVICE

# Whoever hears the question may answer it, and each address costs a call: a sponsor has no more than this.
FOUND_MAX = 12


class PairingSearch:
    """The addresses at which a device is said to show the code. Anybody can say so; only the handshake proves it."""

    def __init__(self, rendezvous: str, present: tuple[Interface, ...], clock: Clock) -> None:
        self._present = present
        self._clock = clock
        self._shown = Shown(PAIRING_SERVICE, rendezvous)
        self._known: set[Address] = set()
        self._found: asyncio.Queue[Address] = asyncio.Queue()
        self._outlets = Outlets(
            wanted=self._shown.__eq__, sighted=self._sighted, monotonic_seconds=clock.monotonic_seconds
        )

    async def start(self) -> None:
        """Begin to ask."""
        wish = Wish(shown=frozenset(), host="", port=0, browsed=frozenset({PAIRING_SERVICE}))
        await self._outlets.settle([one for one in self._present if one.multicast], wish, anew=False)

    async def stop(self) -> None:
        """Stop asking."""
        await self._outlets.close()

    async def next(self, seconds: float) -> Address | None:
        """Return another address, None if none is found within this time."""
        try:
            async with asyncio.timeout(seconds):
                return await self._found.get()
        except TimeoutError:
            return None

    def found_already(self) -> Address | None:
        """Return another address that was found, None if there is none yet."""
        return None if self._found.empty() else self._found.get_nowait()

    def report(self) -> DiscoveryReport:
        """Return how asking goes."""
        return judge(self._outlets.states(), self._clock.monotonic_seconds())

    def _sighted(self, _source: str, _shown: Shown, addresses: tuple[Address, ...]) -> None:
        for address in sorted(addresses, key=lambda address: ip_address(address.host).is_link_local):
            if address not in self._known and len(self._known) < FOUND_MAX and is_on_link(address, self._present):
                self._known.add(address)
                self._found.put_nowait(address)


@asynccontextmanager
async def searching(rendezvous: str, clock: Clock) -> AsyncIterator[PairingSearch]:
    """Look for the device that shows the code of this rendezvous name while the block runs."""
    search = PairingSearch(rendezvous, interfaces(), clock)
    try:
        await search.start()
        yield search
    finally:
        await search.stop()

"""Where the device that shows a code may be: what the person says, what the code says, and what the network says."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack

from node.clock import Clock
from node.discovery.report import DiscoveryReport, DiscoveryState
from node.transport.address import Address

# A sponsor that shows its code already is found in well under a second; one whose screen is still to be opened, later.
SEARCH_SECONDS = 20.0
# After the last address that is known, the network has had time to answer; where there was none, all depends on it.
REST_SECONDS = 3.0


class Places:
    """The addresses to try, one after the other: two callers with one code would close it."""

    def __init__(self, addresses: Sequence[Address], rendezvous: str | None, clock: Clock) -> None:
        """`addresses` come first; under `rendezvous`, if it is given, the device is looked for on the local network."""
        self._addresses = list(addresses)
        self._rendezvous = rendezvous
        self._clock = clock
        self._report: DiscoveryReport | None = None

    async def all(self) -> AsyncGenerator[Address, None]:
        """Yield each address once, as soon as it is known and the one before was tried."""
        tried: set[Address] = set()
        waiting = list(self._addresses)
        seconds = REST_SECONDS if waiting else SEARCH_SECONDS
        async with AsyncExitStack() as stack:
            search = None
            if self._rendezvous is not None:
                from node.discovery.pairing_search import searching

                search = await stack.enter_async_context(searching(self._rendezvous, self._clock))
            while True:
                # What the network says is true now; what the code says was true where it was made.
                found = search.found_already() if search is not None and tried else None
                if found is None and waiting:
                    found = waiting.pop(0)
                if found is None and search is not None:
                    found = await search.next(seconds)
                    self._report = search.report()
                if found is None:
                    return
                if found not in tried:
                    tried.add(found)
                    yield found

    def nobody(self) -> str:
        """Return the sentence for a person where no address came to light."""
        blocked = self._report if self._report and self._report.state is not DiscoveryState.LOOKING else None
        why = f" {blocked.sentence}" if blocked and blocked.state is not DiscoveryState.STARTING else ""
        return (
            f"No device that shows this code was found on this network.{why} Keep `nuthatch pair` open on the other "
            "device, in the same network; or add --peer HOST:PORT with the address where it listens."
        )

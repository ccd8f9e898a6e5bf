"""Finds the other devices of a realm on the networks that this one is on, and lets them find it.

Nothing is sent before there is another device to find, or a person pairs. Names change every day and with the roster.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from crdt.identifiers import DeviceId
from node.clock import Clock
from node.discovery.calling import Calling
from node.discovery.interfaces import Interface, hosts_of, is_on_link
from node.discovery.mdns import Shown, Wish
from node.discovery.network_watch import Look, NetworkWatch
from node.discovery.outlets import Outlets
from node.discovery.report import NO_NETWORK, UNPAIRED, DiscoveryReport, DiscoveryState, judge
from node.entropy import Entropy
from node.transport.address import Address
from sync.discovery_names import PAIRING_SERVICE, SESSION_SERVICE, day_of, expected_names, shown_names
from sync.membership import Membership

logger = logging.getLogger(__name__)

# How often is looked whether a day has begun, or an outlet can be opened that could not before.
SETTLE_SECONDS = 30.0
_HOST_BYTES = 8
_WILDCARDS = ("0.0.0.0", "::")  # noqa: S104  compared with, not listened on


class LocalNetwork:
    """One node's presence on its networks.

    1. What is announced is where the node listens, on each interface by the addresses of that interface.
    2. A sighting of a name that no other active device has now, or of an address off the link, changes nothing.
    """

    def __init__(
        self,
        *,
        membership: Callable[[], Membership],
        older_discovery_secrets: Sequence[bytes],
        listening: Address,
        calling: Calling,
        moved: Callable[[frozenset[str]], None],
        announced: Callable[[DeviceId], None],
        tell: Callable[[str], None],
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        """`moved` is told this device's IP addresses whenever its network changed or it woke up, `announced` who was
        heard, and the person by `tell` that nobody can be found here.
        """
        self._membership = membership
        self._older_discovery_secrets = older_discovery_secrets
        self._listening = listening
        self._calling = calling
        self._moved = moved
        self._announced = announced
        self._tell = tell
        self._told: DiscoveryState | None = None
        self._clock = clock
        self._entropy = entropy
        self._rendezvous: str | None = None
        self._device_by_name: Mapping[str, DeviceId] = {}
        self._host = ""
        self._shown: frozenset[Shown] = frozenset()
        self._day = -1
        self._anew = False
        self._stopping = False
        self._unsettled = asyncio.Event()
        self._watch = NetworkWatch(clock, self._looked)
        self._outlets = Outlets(
            wanted=lambda shown: shown.service == SESSION_SERVICE and shown.name in self._device_by_name,
            sighted=self._sighted,
            monotonic_seconds=clock.monotonic_seconds,
        )
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to watch the network, and to announce and to look if there is anybody to find."""
        self.membership_changed()
        self._tasks = [asyncio.create_task(self._watch.run()), asyncio.create_task(self._settle())]

    async def stop(self) -> None:
        """Take back what was announced."""
        # What is being opened or closed at this moment comes to its end first, so that nothing is left open.
        self._stopping = True
        self._unsettled.set()
        watching, settling = self._tasks
        watching.cancel()
        await asyncio.gather(watching, settling, return_exceptions=True)
        await self._outlets.close()

    def membership_changed(self) -> None:
        """Another device belongs, or one does not any more, or there is a new key epoch."""
        membership, now = self._membership(), self._clock.now_milliseconds()
        self._day = day_of(now)
        self._device_by_name = expected_names(membership, self._older_discovery_secrets, now)
        self._outlets.look_again()
        self._unsettled.set()

    def announce_pairing(self, rendezvous: str | None) -> None:
        """Announce the pairing window of this name from now on, or none."""
        self._rendezvous = rendezvous
        self._unsettled.set()

    def report(self) -> DiscoveryReport:
        """Return how looking for others goes."""
        if not self._is_needed() and self._rendezvous is None:
            return UNPAIRED
        return judge(self._outlets.states(), self._clock.monotonic_seconds()) if self._reachable() else NO_NETWORK

    # Inside

    def _is_needed(self) -> bool:
        membership = self._membership()
        others = membership.roster.active - {membership.device_id}
        return bool(others) and membership.is_active(membership.device_id)

    def _reachable(self) -> tuple[Interface, ...]:
        """Return the interfaces and those of their addresses at which this node can be reached."""
        host = self._listening.host.partition("%")[0]
        if host not in _WILDCARDS:
            kept = {
                one: [address for address in one.addresses if str(address.ip) == host] for one in self._watch.present
            }
        else:
            versions = (4, 6) if host == "::" else (4,)
            kept = {
                one: [address for address in one.addresses if address.version in versions]
                for one in self._watch.present
                if one.multicast and not one.loopback
            }
        return tuple(replace(one, addresses=tuple(addresses)) for one, addresses in kept.items() if addresses)

    def _wish(self) -> Wish | None:
        """Return what all outlets are to do now, None for nothing at all."""
        membership, now = self._membership(), self._clock.now_milliseconds()
        if day_of(now) != self._day:
            self.membership_changed()
        needed = self._is_needed()
        names = shown_names(membership, now) if needed else ()
        shown = frozenset(Shown(SESSION_SERVICE, name) for name in names)
        if self._rendezvous is not None:
            shown |= {Shown(PAIRING_SERVICE, self._rendezvous)}
        if not shown and not needed:
            return None
        if shown != self._shown:
            # A name of the host that outlived those of the device would lead from one day to the next.
            self._shown, self._host = shown, self._entropy.take(_HOST_BYTES).hex()
        browsed = frozenset({SESSION_SERVICE} if needed else ())
        return Wish(shown=shown, host=self._host, port=self._listening.port, browsed=browsed)

    async def _settle(self) -> None:
        while not self._stopping:
            self._unsettled.clear()
            anew, self._anew = self._anew, False
            try:
                for source in await self._outlets.settle(self._reachable(), self._wish(), anew=anew):
                    self._calling.source_gone(source)
            except Exception:
                # Whatever goes wrong with multicast, known addresses are called all the same.
                logger.exception("defect in looking for other devices")
            self._tell_if_blocked()
            try:
                async with asyncio.timeout(SETTLE_SECONDS):
                    await self._unsettled.wait()
            except TimeoutError:
                continue

    def _tell_if_blocked(self) -> None:
        """Tell the person once, not at every look; what else they may want to know is in the status."""
        report = self.report()
        if report.state is DiscoveryState.BLOCKED and self._told is not DiscoveryState.BLOCKED:
            self._tell(f"{report.sentence} {report.advice}")
        if report.state is not DiscoveryState.STARTING:
            self._told = report.state

    def _looked(self, present: tuple[Interface, ...], look: Look) -> None:
        self._anew = self._anew or look is Look.WOKE
        self._unsettled.set()
        if look is not Look.SAME:
            logger.info("the network changed", extra={"found": look.name, "interfaces": len(present)})
            self._moved(hosts_of(present))

    def _sighted(self, source: str, shown: Shown, addresses: tuple[Address, ...]) -> None:
        device_id = self._device_by_name.get(shown.name)
        if device_id is None:
            return
        on_link = [address for address in addresses if is_on_link(address, self._watch.present)]
        logger.debug(
            "device sighted", extra={"peer": device_id.hex()[:12], "interface": source, "addresses": len(on_link)}
        )
        if on_link:
            self._calling.sighted(device_id, source, on_link)
            self._announced(device_id)
        elif not addresses:
            self._calling.withdrawn(device_id, source)

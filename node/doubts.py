"""Finds out which connections hang, when the network of this device changed or a peer seems to have begun anew."""

from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from crdt.identifiers import DeviceId
from node.discovery.calling import Calling
from node.named_timers import NamedTimers

# A peer on a local network answers a ping within milliseconds. Whoever says other things first may have said them long
# ago, or is sending much; it has more time.
PROBE_SECONDS = 0.3
ANSWER_BEHIND_SECONDS = 2.0
# A peer that announces itself while it speaks with us has not begun anew.
QUIET_SECONDS = 5.0
LEFT_NETWORK = "this device left the network of the connection"


class Doubtful(Protocol):
    """A connection that may hang."""

    @property
    def local_host(self) -> str | None:
        """The IP address of this device that it uses."""

    def close(self, reason: str) -> None:
        """Give it up."""

    def probe(self) -> None:
        """Ask for a sign of life."""

    def is_silent(self) -> bool:
        """Tell whether nothing came since."""

    def is_unanswered(self) -> bool:
        """Tell whether an answer is owed."""

    def quiet_seconds(self) -> float:
        """Return for how long nothing came."""


class Doubts:
    """Whoever does not answer is called beside its connection, which is kept until another one takes its place."""

    def __init__(
        self,
        calling: Calling,
        timers: NamedTimers,
        links: Callable[[], Collection[Doubtful]],
        link_by_device: Mapping[DeviceId, Doubtful],
    ) -> None:
        """`links` are all connections, `link_by_device` the ones that are kept; each as it is when it is asked."""
        self._calling = calling
        self._timers = timers
        self._links = links
        self._link_by_device = link_by_device

    def network_changed(self, hosts: Collection[str]) -> None:
        """This device has only these IP addresses now, or woke up: give up what hangs, call whoever can be reached."""
        for link in self._links():
            if link.local_host is not None and link.local_host not in hosts:
                link.close(LEFT_NETWORK)
            else:
                link.probe()
        self._calling.network_changed()
        self._expect_answers()

    def announced(self, device_id: DeviceId) -> None:
        """A device, or who pretends to be it, was heard announcing itself: it may have lost its connection to us."""
        link = self._link_by_device.get(device_id)
        if link is not None and link.quiet_seconds() > QUIET_SECONDS:
            link.probe()
            self._expect_answers()

    def _expect_answers(self) -> None:
        self._timers.once("silent", PROBE_SECONDS, lambda: self._doubt(lambda link: link.is_silent()))
        self._timers.once("unanswered", ANSWER_BEHIND_SECONDS, lambda: self._doubt(lambda link: link.is_unanswered()))

    def _doubt(self, hangs: Callable[[Doubtful], bool]) -> None:
        for device_id, link in self._link_by_device.items():
            if hangs(link):
                self._calling.doubt(device_id)

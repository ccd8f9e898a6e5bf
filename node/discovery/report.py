"""Judges whether devices can be found on the networks that this one is on, and says how to go on where they cannot."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

# The kernel returns a multicast within a millisecond; three are sent in the first half second.
HEARD_OWN_SECONDS = 3.0
# Printers, televisions and telephones speak all the time; a network on which nobody does keeps its members apart.
ALONE_SECONDS = 60.0
GO_ON = "run `nuthatch run --peer HOST:PORT` with the address where another device listens."


@dataclass(slots=True, kw_only=True)
class OutletState:
    """What is known of an outlet: why it cannot be used, since when it shows something, and what came back to it.

    `shown_at_seconds` is a monotonic instant. The kernel returns what is sent to a group to its members on the same
    machine, unless a firewall drops it.
    """

    interface: str
    family: str
    error: str | None = None
    shown_at_seconds: float | None = None
    heard_own: bool = False
    heard_others: bool = False

    @property
    def source(self) -> str:
        """What names the outlet to whoever is told of its sightings."""
        return f"{self.interface} {self.family}"


class DiscoveryState(Enum):
    """How looking for other devices goes; the value is what programs are told."""

    OFF = "off"
    UNPAIRED = "unpaired"
    NO_NETWORK = "no network"
    BLOCKED = "blocked"
    STARTING = "starting"
    ALONE = "alone"
    LOOKING = "looking"


@dataclass(frozen=True, slots=True)
class DiscoveryReport:
    """A state, one sentence about it, and what the person can do, empty where there is nothing to do."""

    state: DiscoveryState
    sentence: str
    advice: str = ""


OFF = DiscoveryReport(
    DiscoveryState.OFF, "This node does not look for other devices on the local network.", f"To connect, {GO_ON}"
)
UNPAIRED = DiscoveryReport(
    DiscoveryState.UNPAIRED, "There is no other device to look for, so nothing is sent on the local network."
)
NO_NETWORK = DiscoveryReport(
    DiscoveryState.NO_NETWORK,
    "This device is on no network on which others could be found.",
    f"Connect it to the network of the others; or, if they can be reached all the same, {GO_ON}",
)


def judge(outlets: Sequence[OutletState], now_seconds: float) -> DiscoveryReport:
    """Return how discovery goes, by what is known of each outlet; `now_seconds` is monotonic."""
    if not outlets:
        return NO_NETWORK
    usable = [outlet for outlet in outlets if outlet.error is None]
    if not usable:
        reasons = "; ".join(sorted({f"{outlet.interface}: {outlet.error}" for outlet in outlets}))
        return _blocked(f"Multicast cannot be used here ({reasons}), so other devices are not found by themselves.")
    heard = [outlet for outlet in usable if outlet.heard_own]
    shown_at = [outlet.shown_at_seconds for outlet in usable if outlet.shown_at_seconds is not None]
    shown_seconds = now_seconds - min(shown_at, default=now_seconds)
    if not heard and shown_seconds > HEARD_OWN_SECONDS:
        return _blocked(
            "What this device announces does not even come back to it: a firewall or VPN on it drops multicast, so "
            "other devices are not found by themselves."
        )
    if any(outlet.heard_others for outlet in heard):
        return DiscoveryReport(
            DiscoveryState.LOOKING, f"This device announces itself and looks for others on {_names(heard)}."
        )
    if heard and shown_seconds > ALONE_SECONDS:
        return DiscoveryReport(
            DiscoveryState.ALONE,
            f"Nobody else is heard on {_names(heard)}: the other devices are off, or this network keeps its members "
            "apart, as guest networks, VPNs and containers do.",
            f"If the other device is on, {GO_ON}",
        )
    return DiscoveryReport(DiscoveryState.STARTING, f"This device has begun to look for others on {_names(usable)}.")


def _blocked(sentence: str) -> DiscoveryReport:
    return DiscoveryReport(
        DiscoveryState.BLOCKED, sentence, f"Allow UDP port 5353 in the firewall of this device; or {GO_ON}"
    )


def _names(outlets: Sequence[OutletState]) -> str:
    return ", ".join(sorted({outlet.interface for outlet in outlets}))

"""What is known of the other devices: connected or not, in agreement or why not, and when last heard of."""

from collections.abc import Callable
from dataclasses import dataclass

from crdt.identifiers import DeviceId
from node.clock import Clock
from node.requests import PeerChanged
from sync.effects import PeerStatus
from sync.membership import Membership
from sync.roster import RosterState

COMPARING = "comparing what both devices hold"
NEVER_CONNECTED = "not connected"


@dataclass(slots=True, kw_only=True)
class PeerState:
    """Another active device as this one knows it; `why` is one plain line unless it is in sync."""

    device_id: DeviceId
    connected: bool = False
    in_sync: bool = False
    why: str = NEVER_CONNECTED
    last_seen_milliseconds: int | None = None
    clock_ahead_milliseconds: int | None = None


class PeerTable:
    """The states of all peers, and the events that tell of their changes.

    An event is published when a peer connects, disconnects, or comes to agree or differ, and only if that is not what
    was published last.
    """

    def __init__(
        self, *, clock: Clock, membership: Callable[[], Membership], publish: Callable[[PeerChanged], None]
    ) -> None:
        self._clock = clock
        self._membership = membership
        self._publish = publish
        self._state_by_device: dict[DeviceId, PeerState] = {}
        self._told_by_device: dict[DeviceId, PeerChanged] = {}

    def all(self) -> list[PeerState]:
        """Return every other active device, connected or not, in order of id."""
        membership = self._membership()
        others = sorted(membership.roster.active - {membership.device_id})
        return [self._brought_up_to_date(self._state(device_id), membership.roster) for device_id in others]

    def _brought_up_to_date(self, state: PeerState, roster: RosterState) -> PeerState:
        if state.connected:
            state.last_seen_milliseconds = self._clock.now_milliseconds()
        heard_at = (state.last_seen_milliseconds, roster.heard_at_by_device.get(state.device_id))
        state.last_seen_milliseconds = max((at for at in heard_at if at is not None), default=None)
        return state

    def connected(self, device_id: DeviceId) -> None:
        """A link to the device was opened."""
        state = self._state(device_id)
        state.connected, state.in_sync, state.why = True, False, COMPARING
        state.clock_ahead_milliseconds = None
        self.tell(device_id)

    def judged(self, device_id: DeviceId, status: PeerStatus) -> bool:
        """Take a session's judgement; return whether agreement came or went, which is worth telling if it lasts."""
        state = self._state(device_id)
        turned = state.in_sync != status.in_sync
        state.in_sync, state.why = status.in_sync, status.why
        return turned

    def clock_differs(self, device_id: DeviceId, ahead_milliseconds: int) -> None:
        """The device's clock differs from this one's by more than it should."""
        self._state(device_id).clock_ahead_milliseconds = ahead_milliseconds

    def disconnected(self, device_id: DeviceId, reason: str) -> None:
        """The last link to the device is gone."""
        state = self._state(device_id)
        state.last_seen_milliseconds = self._clock.now_milliseconds()
        state.connected, state.in_sync, state.why = False, False, f"{NEVER_CONNECTED}: {reason}"
        self.tell(device_id)

    def tell(self, device_id: DeviceId) -> None:
        """Publish how a peer stands, if that was not published last."""
        state = self._state(device_id)
        event = PeerChanged(
            device_id=device_id.hex(),
            name=self.name(device_id),
            connected=state.connected,
            in_sync=state.in_sync,
            why=state.why,
        )
        told = self._told_by_device.get(device_id)
        if told is None or (told.connected, told.in_sync) != (event.connected, event.in_sync):
            self._told_by_device[device_id] = event
            self._publish(event)

    def name(self, device_id: DeviceId) -> str:
        """Return the name that the device was given, the start of its id if it is unknown."""
        certificate = self._membership().roster.certificate_by_device.get(device_id)
        return certificate.name if certificate is not None else device_id.hex()[:12]

    def in_sync(self) -> str | None:
        """Return the name of a connected device that holds the same, None where there is none."""
        names = (self.name(state.device_id) for state in self._state_by_device.values() if state.in_sync)
        return next(names, None)

    def _state(self, device_id: DeviceId) -> PeerState:
        return self._state_by_device.setdefault(device_id, PeerState(device_id=device_id))

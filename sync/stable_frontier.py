"""Up to where the change log can be dropped: what every device that counts has said, under its signature, to hold."""

from crdt.identifiers import DeviceId, origin_device
from sync.frontier import EMPTY_FRONTIER, Frontier, ReplicaView
from sync.roster import RosterState
from sync.statements import read_frontiers
from sync.streams import Stream

#: A device that was not heard of for this long is not waited for: it comes back by snapshot, and loses nothing.
ABSENT_MILLISECONDS = 90 * 24 * 3600 * 1000


def stable_frontiers(
    roster: RosterState, device_id: DeviceId, view: ReplicaView, now_milliseconds: int
) -> dict[Stream, Frontier]:
    """Return, per stream, what this device (`view`) and the latest Beat of each other active device cover alike.

    `now_milliseconds` is wall clock since 1970. A device without a Beat holds nothing that it has said so of, and one
    that never said anything is waited for. What a Beat claims falsely, its author alone will miss.
    """
    stable = {stream: state.frontier for stream, state in view.streams.items()}
    for other in sorted(roster.active - {device_id}):
        heard_at = roster.heard_at_by_device.get(other)
        if heard_at is not None and now_milliseconds - heard_at > ABSENT_MILLISECONDS:
            continue
        beat = roster.beat_by_device.get(other)
        said = read_frontiers(beat.frontiers) if beat is not None else {}
        stable = {
            stream: _without_forks(frontier, said.get(stream, EMPTY_FRONTIER), device_id)
            for stream, frontier in stable.items()
        }
    return {stream: frontier for stream, frontier in stable.items() if frontier.entries}


def _without_forks(frontier: Frontier, said: Frontier, device_id: DeviceId) -> Frontier:
    """Return what both cover, less chains of this device of which the other holds more than was written here.

    This device was set back then: what it wrote since under the same numbers nobody else holds.
    """
    met = frontier.meet(said)
    return Frontier(
        {
            origin: entry
            for origin, entry in met.entries.items()
            if origin_device(origin) != device_id or said.entry(origin).seq <= frontier.entry(origin).seq
        }
    )

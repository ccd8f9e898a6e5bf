"""Compares this device's clock with what its own store and the other devices say."""

from crdt.hybrid_clock import hybrid_milliseconds
from node.doctor.found import bad, counted, good, notice
from node.errors import StorageError
from node.repositories.values import instant_text
from node.requests.doctor import Finding
from node.service import Service
from sync.limits import CLOCK_AHEAD_MILLISECONDS_MAX

# Devices that ask the network for the time agree within a second; this is what nobody needs to care about.
DIFFERENCE_MILLISECONDS_GOOD = 60_000
_SET_IT_THERE = "Set the wrong one right; best let the system ask the network for the time."
_SET_IT = "Set the clock; best let the system ask the network for the time."


def clock_finding(service: Service) -> Finding:
    """Return how the clock stands against the last stamp in the store and against connected devices."""
    now = service.clock.now_milliseconds()
    shown = instant_text(now)[:16].replace("T", " ")
    if waiting := service.store.chains.batches_ahead(now):
        return bad(
            "clock",
            f"{counted(waiting, 'transaction')} of this device bear times more than a day ahead of its clock, which "
            f"says {shown} UTC; the other devices hold them back, and all that was written after them.",
            "If the clock is right now: nuthatch doctor --restamp",
        )
    ahead_of_us = hybrid_milliseconds(service.store.health().latest_stamp()) - now
    if ahead_of_us > CLOCK_AHEAD_MILLISECONDS_MAX:
        return bad(
            "clock",
            f"This device's clock says {shown} UTC, {_span(ahead_of_us)} before the latest change in the store. Either "
            "it is behind now or it was ahead then; the other devices hold changes from the future back.",
            _SET_IT,
        )
    if ahead_of_us > DIFFERENCE_MILLISECONDS_GOOD:
        return notice(
            "clock", f"This device's clock is {_span(ahead_of_us)} behind the latest change in the store.", _SET_IT
        )
    peers = service.links.peers() if service.links is not None else []
    for peer in peers:
        if (ahead := peer.clock_ahead_milliseconds) is not None:
            direction = "ahead of" if ahead > 0 else "behind"
            name = service.device_name(peer.device_id)
            return bad("clock", f"The clock of {name} is {_span(abs(ahead))} {direction} this one's.", _SET_IT_THERE)
    return good("clock", f"{shown} UTC: after every change in the store, and within a day of every connected device.")


def restamp(service: Service) -> list[Finding]:
    """Write what is ahead of the clock again, as the person asked; return what came of it."""
    try:
        written = service.store.chains.correct_times(service.membership.roster, service.clock.now_milliseconds())
    except StorageError as error:
        return [bad("restamp", str(error), "nuthatch doctor")]
    if not written:
        return [good("restamp", "No change of this device is ahead of its clock; nothing was written again.")]
    return [good("restamp", f"{counted(written, 'transaction')} got times of now, in their old order.")]


def _span(milliseconds: int) -> str:
    seconds = milliseconds / 1000
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.0f} {unit}"
    return f"{seconds:,.0f} seconds"

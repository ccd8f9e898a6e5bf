"""How the author and the time of a stamp are told to a person."""

from crdt.hybrid_clock import hybrid_milliseconds
from crdt.identifiers import Stamp, origin_device, stamp_hlc, stamp_origin
from node.repositories.values import instant_text
from node.service import Service


def written_by(service: Service, stamp: Stamp) -> str:
    """Return the name of the device that made a stamp."""
    return service.device_name(origin_device(stamp_origin(stamp)))


def written_at(stamp: Stamp) -> str:
    """Return the instant of a stamp, by the clock of its author, as ISO-8601 text."""
    return instant_text(hybrid_milliseconds(stamp_hlc(stamp)))

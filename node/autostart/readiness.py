"""Tells a supervisor that waits for it that the node is ready, or stops: the protocol of sd_notify(3)."""

import logging
import socket
from collections.abc import Mapping
from typing import Literal

_LOG = logging.getLogger(__name__)


def tell_supervisor(state: Literal["READY=1", "STOPPING=1"], environment: Mapping[str, str]) -> None:
    """Send one datagram to `NOTIFY_SOCKET`, if somebody listens there; a node runs on without having been heard."""
    address = environment.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
        try:
            # A leading @ stands for the zero byte of the abstract namespace.
            connection.sendto(state.encode(), "\0" + address[1:] if address[0] == "@" else address)
        except OSError as error:
            _LOG.warning("the supervisor cannot be told", extra={"state": state, "reason": error.strerror})

"""How long and how often a pairing code may be tried: five minutes, one device, three failed handshakes.

All instants are seconds of one monotonic clock, given by the caller.
"""

from sync.errors import ProtocolError

WINDOW_SECONDS = 300.0
#: A pairing that claimed the window in time may take this long for people to compare digits and find a passphrase.
CONFIRMATION_SECONDS = 300.0
HANDSHAKES_FAILED_MAX = 3


class PairingClosed(ProtocolError):
    """The code cannot be used, or not any more; the message says why, to the person who showed it."""


class PairingWindow:
    """One showing of one code. Handshakes are attempts; the first that succeeds claims the window for good."""

    __slots__ = ("_claimed", "_closed_because", "_ends_at", "_failed")

    def __init__(self, *, opened_at: float) -> None:
        self._ends_at = opened_at + WINDOW_SECONDS
        self._failed = 0
        self._claimed = False
        self._closed_because: str | None = None

    @property
    def ends_at(self) -> float:
        """When the window closes by itself."""
        return self._ends_at

    def check_open(self, now: float) -> None:
        """Raise PairingClosed unless a device may begin a handshake now."""
        self.check_going_on(now)
        if self._claimed:
            raise PairingClosed("This code was already used by a device; show a new code for another one.")

    def check_going_on(self, now: float) -> None:
        """Raise PairingClosed unless the pairing that claimed the window may go on now."""
        if self._closed_because is None and now >= self._ends_at:
            self.close("The time for this code is over; show a new one.")
        if self._closed_because is not None:
            raise PairingClosed(self._closed_because)

    def handshake_failed(self) -> None:
        """Count a handshake that did not prove knowledge of the code; the third closes the window."""
        self._failed += 1
        if self._failed >= HANDSHAKES_FAILED_MAX:
            self.close("Three attempts with a wrong code were made; show a new code if it was you.")

    def claim(self, now: float) -> None:
        """Take the window for the handshake that has just succeeded. Raises PairingClosed if that cannot be.

        A second device that knows the code means that somebody else has read it: the window closes for both.
        """
        self.check_going_on(now)
        if self._claimed:
            self.close("Two devices used this code at once, so somebody else may have read it; show a new one.")
        self.check_open(now)
        self._claimed = True
        self._ends_at = now + CONFIRMATION_SECONDS

    def close(self, because: str) -> None:
        """Close the window, for good; the first reason stays."""
        if self._closed_because is None:
            self._closed_because = because

"""Judges from what is heard on a connection whether its other end is still there. Instants are monotonic seconds."""

# A ping goes out after this long without a word, and half of it later a connection on which nothing came is gone.
# Applying the largest batch takes seconds in which a node answers nobody.
HEARTBEAT_SECONDS = 30.0
ANSWER_SECONDS = HEARTBEAT_SECONDS / 2
_TOKEN_BYTES = 4


class Liveness:
    """One connection's signs of life.

    What arrives may have been on its way for long; only the answer to a ping proves that the way is open now.
    """

    def __init__(self, now: float) -> None:
        self._heard_at = now
        self._asked_at: float | None = None
        self._asked = 0
        self._answered = 0

    def heard(self, now: float) -> None:
        """Something came."""
        self._heard_at = now

    def quiet_seconds(self, now: float) -> float:
        """Return for how long nothing came."""
        return now - self._heard_at

    def answered(self, token: bytes) -> None:
        """A pong came; one that answers an earlier ping, or none, proves nothing."""
        if token == self._asked.to_bytes(_TOKEN_BYTES, "big"):
            self._answered = self._asked

    def ask(self, now: float) -> bytes:
        """Return the contents of a new ping."""
        self._asked = (self._asked + 1) % 2 ** (8 * _TOKEN_BYTES)
        self._asked_at = now
        return self._asked.to_bytes(_TOKEN_BYTES, "big")

    def is_ping_due(self, now: float) -> bool:
        """Tell whether nothing was heard for so long that it is time to ask."""
        asked_at = self._asked_at if self._asked_at is not None else self._heard_at
        return now - max(self._heard_at, asked_at) > HEARTBEAT_SECONDS

    def is_over(self, now: float) -> bool:
        """Tell whether a ping went out and nothing at all came since, for too long."""
        return self.is_silent() and self._asked_at is not None and now - self._asked_at > ANSWER_SECONDS

    def is_silent(self) -> bool:
        """Tell whether nothing came since the last ping."""
        return self._asked_at is not None and self._heard_at <= self._asked_at and self.is_unanswered()

    def is_unanswered(self) -> bool:
        """Tell whether the last ping was not answered."""
        return self._answered != self._asked

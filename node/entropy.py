"""The port through which the node draws randomness, and the operating system's source behind it."""

import os
from typing import Protocol


class Entropy(Protocol):
    """Unpredictable bytes."""

    def take(self, count: int) -> bytes:
        """Return `count` fresh random bytes."""


class SystemEntropy:
    """The operating system's random source."""

    def take(self, count: int) -> bytes:
        """Return `count` bytes fit for keys."""
        return os.urandom(count)

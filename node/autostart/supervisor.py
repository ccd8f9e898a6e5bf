"""What is asked of a system's supervisor, whichever it is, and which of them this system has."""

import os
import sys
from pathlib import Path
from typing import Protocol

from platformdirs import user_config_path

from node.autostart.launchd import Launchd
from node.autostart.state import State
from node.autostart.supervised import Supervised
from node.autostart.systemd import Systemd
from node.errors import SupervisorError


class Supervisor(Protocol):
    """One system's way of keeping programs running."""

    @property
    def name(self) -> str:
        """What people call it."""

    def file_of(self, label: str) -> Path:
        """Return where the description of a node lies, or would."""

    def described(self, supervised: Supervised) -> bytes:
        """Return the description of a node."""

    def require_reachable(self) -> None:
        """Raise `SupervisorError` with advice if it cannot be asked."""

    def start(self, label: str) -> None:
        """Read the description, start the node now and at each login; raises `SupervisorError`."""

    def stop(self, label: str) -> None:
        """Stop the node and start it no more; raises `SupervisorError` unless it is gone."""

    def removed(self, label: str) -> None:
        """Hear that the description is gone."""

    def state(self, label: str) -> State:
        """Return how the node stands; raises `SupervisorError`."""


def supervisor_of_this_system() -> Supervisor:
    """Return the supervisor of this system; raises `SupervisorError` if it has none that is known here."""
    match sys.platform:
        case "linux":
            return Systemd(user_config_path("systemd") / "user")
        case "darwin":
            return Launchd(Path.home() / "Library" / "LaunchAgents", os.getuid())
        case other:
            raise SupervisorError(
                f"Services are made for systemd and launchd; on {other}, start `nuthatch run` yourself."
            )

"""A person's own systemd: told by `systemctl --user`, described by a unit in their configuration."""

import getpass
from pathlib import Path

from node.autostart.state import State
from node.autostart.supervised import Supervised
from node.autostart.systemd_unit import unit_text
from node.autostart.tool import Finished, run_tool
from node.errors import SupervisorError

_UNREACHABLE = (
    "systemd does not answer for you ({reason}): there is no login session, or this is a container. "
    "`nuthatch service install --print` shows the unit, to be used in another way."
)
_ACTIVE = frozenset({"active", "reloading", "activating"})


class Systemd:
    """Units in one directory; a `Supervisor`."""

    name = "systemd"

    def __init__(self, units_directory: Path) -> None:
        self._units_directory = units_directory

    def file_of(self, label: str) -> Path:
        """Return the unit's path."""
        return self._units_directory / _unit(label)

    def described(self, supervised: Supervised) -> bytes:
        """Return the unit."""
        return unit_text(supervised).encode()

    def require_reachable(self) -> None:
        """Raise `SupervisorError` if no systemd runs for this person."""
        asked = _systemctl("show-environment")
        if asked.exit_code != 0:
            raise SupervisorError(_UNREACHABLE.format(reason=asked.reason))

    def start(self, label: str) -> None:
        """Enable the unit and start it; returns once the node said that it is ready."""
        _succeed(_systemctl("daemon-reload"), label)
        _succeed(_systemctl("enable", _unit(label)), label)
        _succeed(_systemctl("restart", _unit(label)), label)

    def stop(self, label: str) -> None:
        """Stop and disable the unit."""
        _succeed(_systemctl("disable", "--now", _unit(label)), label)

    def removed(self, label: str) -> None:
        """Let systemd forget the unit, and that it failed if it did."""
        _succeed(_systemctl("daemon-reload"), label)
        _systemctl("reset-failed", _unit(label))  # says no more than that there was nothing to reset

    def state(self, label: str) -> State:
        """Return what systemd says of the unit."""
        shown = _systemctl("show", "--property=ActiveState,SubState,UnitFileState,Result", _unit(label))
        if shown.exit_code != 0:
            raise SupervisorError(_UNREACHABLE.format(reason=shown.reason))
        said = dict(line.split("=", 1) for line in shown.output.splitlines() if "=" in line)
        running = said.get("ActiveState") in _ACTIVE
        failed = said.get("ActiveState") == "failed"
        return State(
            enabled=said.get("UnitFileState") == "enabled",
            running=running,
            says=f"{said.get('ActiveState', 'unknown')} ({said.get('Result' if failed else 'SubState', 'unknown')})",
            advice=_see_journal(label) if failed else _linger_advice() if running else "",
        )


def _unit(label: str) -> str:
    return f"{label}.service"


def _systemctl(*arguments: str) -> Finished:
    return run_tool("systemctl", "--user", "--no-pager", *arguments)


def _succeed(finished: Finished, label: str) -> None:
    if finished.exit_code != 0:
        raise SupervisorError(f"systemd did not do it: {finished.reason}. {_see_journal(label)}")


def _see_journal(label: str) -> str:
    return f"What the node said: journalctl --user --unit {_unit(label)}"


def _linger_advice() -> str:
    asked = run_tool("loginctl", "show-user", getpass.getuser(), "--property=Linger", "--value")
    if asked.exit_code != 0 or asked.output.strip() == "yes":
        return ""
    return "It runs while you are logged in. To start with the computer: loginctl enable-linger"

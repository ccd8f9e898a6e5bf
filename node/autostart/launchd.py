"""A person's own launchd: told by `launchctl`, described by an agent in their library."""

from pathlib import Path

from node.autostart.launchd_agent import agent_label, agent_plist
from node.autostart.state import State
from node.autostart.supervised import Supervised
from node.autostart.tool import Finished, run_tool
from node.errors import SupervisorError

# launchctl answers so for a service that it does not know (launchctl error 113).
_UNKNOWN_SERVICE = 113


class Launchd:
    """Agents in one directory, of one person's graphical session; a `Supervisor`."""

    name = "launchd"

    def __init__(self, agents_directory: Path, user_id: int) -> None:
        self._agents_directory = agents_directory
        self._domain = f"gui/{user_id}"

    def file_of(self, label: str) -> Path:
        """Return the agent's path."""
        return self._agents_directory / f"{agent_label(label)}.plist"

    def described(self, supervised: Supervised) -> bytes:
        """Return the agent."""
        return agent_plist(supervised)

    def require_reachable(self) -> None:
        """Raise `SupervisorError` if the person has no graphical session."""
        asked = run_tool("launchctl", "print", self._domain)
        if asked.exit_code != 0:
            raise SupervisorError(
                f"launchd does not answer for you ({asked.reason}); log in at the screen, or see "
                "`nuthatch service install --print`."
            )

    def start(self, label: str) -> None:
        """Load the agent, which starts it now and at each login."""
        self._unload(label)
        loaded = run_tool("launchctl", "bootstrap", self._domain, str(self.file_of(label)))
        if loaded.exit_code != 0:
            raise SupervisorError(f"launchd did not do it: {loaded.reason}.")

    def stop(self, label: str) -> None:
        """Unload the agent."""
        self._unload(label)

    def removed(self, label: str) -> None:
        """Nothing is left that launchd would have to forget."""

    def state(self, label: str) -> State:
        """Return what launchd says of the agent."""
        shown = self._print(label)
        if shown.exit_code == _UNKNOWN_SERVICE:
            return State(enabled=False, running=False, says="not loaded")
        if shown.exit_code != 0:
            raise SupervisorError(f"launchd does not answer for you ({shown.reason}).")
        # The node's own state is the one at the first level: `state = running` among many nested ones.
        states = [line for line in shown.output.splitlines() if line.startswith("\tstate = ")]
        said = states[0].partition(" = ")[2] if states else "unknown"
        return State(enabled=True, running=said == "running", says=said)

    def _print(self, label: str) -> Finished:
        return run_tool("launchctl", "print", f"{self._domain}/{agent_label(label)}")

    def _unload(self, label: str) -> None:
        if self._print(label).exit_code == _UNKNOWN_SERVICE:
            return
        unloaded = run_tool("launchctl", "bootout", f"{self._domain}/{agent_label(label)}")
        if unloaded.exit_code != 0:
            raise SupervisorError(f"launchd did not do it: {unloaded.reason}.")

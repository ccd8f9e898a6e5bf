"""launchd is told by launchctl what is meant, and what it answers is understood."""

from pathlib import Path

import pytest

from node.autostart.launchd import Launchd
from node.errors import SupervisorError

# Answers as launchctl gives them: 113 for a service that it does not know, nested states in what it prints.
STAND_IN = """#!/bin/sh
echo "$*" >> "$(dirname "$0")/calls"
here=$(dirname "$0")
case "$1 $2" in
  "print gui/501") [ ! -e "$here/no session" ] || { echo "Bootstrap failed: 125: no session" >&2; exit 125; };;
  "print gui/501/org.nuthatch.nuthatch")
    [ -e "$here/loaded" ] || { echo "Could not find service" >&2; exit 113; }
    printf 'gui/501/org.nuthatch.nuthatch = {\\n\\tactive count = 1\\n\\tstate = running\\n'
    printf '\\tendpoints = {\\n\\t\\tstate = asleep\\n\\t}\\n}\\n';;
  "bootstrap gui/501") [ ! -e "$here/refuses" ] || { echo "Bootstrap failed: 5: Input/output error." >&2; exit 5; }
    touch "$here/loaded";;
  "bootout gui/501/org.nuthatch.nuthatch") rm "$here/loaded";;
  *) exit 64;;
esac
"""


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "launchctl").write_text(STAND_IN)
    (folder / "launchctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def test_an_agent_is_loaded_seen_running_and_unloaded(tools: Path) -> None:
    launchd = Launchd(tools / "LaunchAgents", 501)
    launchd.require_reachable()
    assert (launchd.state("nuthatch").enabled, launchd.state("nuthatch").says) == (False, "not loaded")
    launchd.start("nuthatch")
    launchd.start("nuthatch")
    state = launchd.state("nuthatch")
    assert (state.enabled, state.running, state.says) == (True, True, "running")
    launchd.stop("nuthatch")
    launchd.stop("nuthatch")
    assert not launchd.state("nuthatch").running
    told = [call for call in (tools / "calls").read_text().splitlines() if not call.startswith("print")]
    agent = f"{tools}/LaunchAgents/org.nuthatch.nuthatch.plist"
    assert told == [
        f"bootstrap gui/501 {agent}",
        "bootout gui/501/org.nuthatch.nuthatch",
        f"bootstrap gui/501 {agent}",
        "bootout gui/501/org.nuthatch.nuthatch",
    ]


def test_what_launchd_refuses_is_told(tools: Path) -> None:
    launchd = Launchd(tools, 501)
    (tools / "refuses").touch()
    with pytest.raises(SupervisorError, match="launchd did not do it: Bootstrap failed: 5: Input/output error"):
        launchd.start("nuthatch")
    (tools / "no session").touch()
    with pytest.raises(SupervisorError, match="log in at the screen"):
        launchd.require_reachable()


def test_a_system_without_the_tool_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SupervisorError, match="There is no launchctl on this system"):
        Launchd(tmp_path, 501).require_reachable()

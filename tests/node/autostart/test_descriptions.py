"""What supervisors are told about a node: exactly the golden files, read back as it was meant."""

import os
import plistlib
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.autostart.launchd_agent import agent_plist
from node.autostart.readiness import tell_supervisor
from node.autostart.supervised import Supervised, label_of, program, supervised_node
from node.autostart.systemd_unit import unit_text
from node.errors import UsageError
from node.home import Home
from tests.support.stand_in_systemd import command_line

GOLDEN = Path(__file__).parent / "golden"
NODE = Supervised(
    label="nuthatch",
    command=("/opt/nuthatch/bin/nuthatch", "--home", '/home/ana/My "memory" 100% $HOME', "run"),
    home_directory=Path("/home/ana/memory"),
)
# What a path may hold: anything but control characters and halves of characters.
PATHS = st.text(st.characters(min_codepoint=0x20, exclude_characters="\x7f", exclude_categories=["Cs"]), min_size=1)


def test_the_systemd_unit_is_the_golden_one() -> None:
    assert unit_text(NODE) == (GOLDEN / "nuthatch.service").read_text()


def test_the_launchd_agent_is_the_golden_one() -> None:
    assert agent_plist(NODE).decode() == (GOLDEN / "org.nuthatch.nuthatch.plist").read_text()


@settings(derandomize=True, max_examples=200)
@given(arguments=st.lists(PATHS, min_size=1, max_size=4))
def test_a_unit_starts_exactly_the_command_that_it_was_made_of(arguments: list[str]) -> None:
    supervised = Supervised(label="x", command=("/bin/program", *arguments), home_directory=Path("/home"))
    assert command_line(unit_text(supervised)) == list(supervised.command)


@settings(derandomize=True, max_examples=50)
@given(argument=PATHS.filter(lambda text: text.isprintable()))
def test_an_agent_starts_exactly_the_command_that_it_was_made_of(argument: str) -> None:
    supervised = Supervised(label="x", command=("/bin/program", argument), home_directory=Path("/home"))
    assert plistlib.loads(agent_plist(supervised))["ProgramArguments"] == ["/bin/program", argument]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_finds_no_fault_in_the_unit_and_would_find_one(tmp_path: Path) -> None:
    supervised = Supervised(label="x", command=(*program(), "--home", "/a b", "run"), home_directory=tmp_path)
    assert _faults(tmp_path, unit_text(supervised)) == ""
    assert "Unknown key" in _faults(tmp_path, unit_text(supervised).replace("RestrictRealtime", "RestrictRealtimes"))


def _faults(folder: Path, unit: str) -> str:
    file = folder / "nuthatch-checked.service"
    file.write_text(unit)
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--user", str(file)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "XDG_RUNTIME_DIR": str(folder)},
    )
    return checked.stderr


@pytest.mark.parametrize("character", ["\n", "\0", "\x1b", "\x7f"])
def test_a_path_that_could_end_a_line_of_the_unit_is_refused(character: str) -> None:
    with pytest.raises(UsageError, match="control character"):
        supervised_node(Home(Path(f"/home/a{character}ExecStartPre=/bin/x")), Path("/home/key"))


def test_each_home_has_a_service_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    labels = [label_of(Home(tmp_path / name)) for name in ("nuthatch", "one", "other")]
    assert labels[0] == "nuthatch"
    assert len(set(labels)) == 3
    assert all(label.startswith("nuthatch") and label.replace("-", "").isalnum() for label in labels)


@pytest.mark.parametrize("abstract", [False, True])
def test_the_supervisor_hears_that_the_node_is_ready(tmp_path: Path, *, abstract: bool) -> None:
    name = f"@nuthatch-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as hears:
        hears.bind("\0" + name[1:] if abstract else name)
        hears.settimeout(5)
        tell_supervisor("READY=1", {"NOTIFY_SOCKET": name})
        assert hears.recv(100) == b"READY=1"


def test_a_supervisor_that_does_not_listen_stops_no_node(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tell_supervisor("READY=1", {})
    assert not caplog.records
    tell_supervisor("READY=1", {"NOTIFY_SOCKET": str(tmp_path / "nobody")})
    assert [record.message for record in caplog.records] == ["the supervisor cannot be told"]

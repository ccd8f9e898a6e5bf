"""The node as a service of the person's session: installed, running, told to stop, and what opens the device for it.

A stand-in takes systemd's place: it obeys the unit, so the node that is spoken with here was started from it.
"""

import shutil
import signal
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress
from os import kill
from pathlib import Path

import pytest

from node.cli.application import run_command_line
from node.keys.key_file import unlock_key_file
from tests.support import stand_in_systemd
from tests.support.canaries import files_under, sightings
from tests.support.program import nuthatch, succeeds

PASSPHRASE = "canary-dugong-58RX"
GIVEN = PASSPHRASE + "\n"


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A session with a supervisor of its own; whatever it started ends with the test."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("systemctl", "loginctl"):
        text = Path(stand_in_systemd.__file__).read_text()
        (folder / name).write_text(f"#!{sys.executable}\n{text}")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    yield folder
    for file in folder.glob("*.pid"):
        with suppress(ProcessLookupError):
            kill(int(file.read_text()), signal.SIGKILL)


@pytest.fixture
async def home(tmp_path: Path, tools: Path) -> Path:
    home = tmp_path / "a home % with $signs"
    await succeeds(home, "init", "--name", "desk", "--passphrase-file", "-", given=GIVEN)
    return home


def read_private(path: str) -> str:
    assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600
    return Path(path).read_text().strip()


async def test_a_service_runs_the_node_until_it_is_uninstalled(home: Path, tmp_path: Path, tools: Path) -> None:
    installed = await succeeds(home, "service", "install", "--passphrase-file", "-", given=GIVEN)
    assert installed["running"] is True
    assert "loginctl enable-linger" in str(installed["advice"])
    assert (await succeeds(home, "status"))["running"] is True
    assert (await succeeds(home, "service"))["says"] == "active (running)"

    unlock_file = str(installed["unlock_file"])
    assert unlock_file in str(installed["cost"])
    unlock_key = read_private(unlock_file)
    unlock_key_file(home / "device.key", passphrase=unlock_key)

    again = await succeeds(home, "service", "install", "--passphrase-file", "-", given=GIVEN)
    assert again["running"] is True
    assert read_private(unlock_file) != unlock_key

    assert (await succeeds(home, "service", "uninstall"))["uninstalled"] is True
    assert (await nuthatch(home, "status")).exit_code == 4
    assert (await nuthatch(home, "service", "status")).exit_code == 4
    assert unlock_file not in files_under([tmp_path])
    assert (await succeeds(home, "service", "uninstall"))["uninstalled"] is False
    assert list((tmp_path / "config" / "systemd" / "user").iterdir()) == []
    refused = await nuthatch(home, "list", "--passphrase-file", "-", given=unlock_key + "\n")
    assert (refused.exit_code, "taken back" in refused.error) == (3, True)
    await succeeds(home, "list", "--passphrase-file", "-", given=GIVEN)


async def test_the_passphrase_is_written_down_nowhere(home: Path, tmp_path: Path, tools: Path) -> None:
    await succeeds(home, "service", "install", "--passphrase-file", "-", given=GIVEN)
    found = files_under([tmp_path])
    assert any(place.endswith(".service") for place in found)
    assert sightings({"the passphrase": PASSPHRASE.encode()}, found) == []
    unlock_key = next((tmp_path / "config" / "nuthatch").glob("*.unlock")).read_text().strip()
    elsewhere = {place: content for place, content in found.items() if not place.endswith(".unlock")}
    assert sightings({"the unlock key": unlock_key.encode()}, elsewhere) == []


async def test_a_passphrase_file_serves_if_it_is_private_and_not_in_the_home(
    home: Path, tmp_path: Path, tools: Path
) -> None:
    file = tmp_path / "kept passphrase"
    file.write_text(GIVEN)
    file.chmod(0o644)
    install = ("service", "install", "--unlock-with", "passphrase-file", "--passphrase-file")
    readable = await nuthatch(home, *install, str(file))
    assert (readable.exit_code, "chmod 600" in readable.error) == (5, True)
    file.chmod(0o600)
    inside = home / "opens"
    shutil.copy(file, inside)
    within = await nuthatch(home, *install, str(inside))
    assert (within.exit_code, "every copy of the home would open itself" in within.error) == (5, True)
    assert (await nuthatch(home, *install, "-", given=GIVEN)).exit_code == 2
    assert (await succeeds(home, *install, str(file)))["unlocked_with"] == "passphrase-file"
    assert (await succeeds(home, "status"))["running"] is True
    assert (await succeeds(home, "service", "uninstall"))["uninstalled"] is True
    assert file.exists()


async def test_a_wrong_passphrase_installs_nothing(home: Path, tmp_path: Path, tools: Path) -> None:
    before = files_under([home])
    wrong = await nuthatch(home, "service", "install", "--passphrase-file", "-", given="wrong\n")
    assert wrong.exit_code == 3
    assert files_under([home]) == before
    assert not (tmp_path / "config" / "systemd").exists()


async def test_a_node_that_does_not_start_leaves_no_service_behind(home: Path, tmp_path: Path, tools: Path) -> None:
    await succeeds(home, "config", "set", "run.listen", "203.0.113.7:1")
    failed = await nuthatch(home, "service", "install", "--passphrase-file", "-", given=GIVEN)
    assert failed.exit_code == 1
    assert "systemd did not do it: Job for nuthatch-" in failed.error
    assert "journalctl --user --unit nuthatch-" in failed.error
    assert b"Cannot listen on 203.0.113.7:1" in (tools / "journal").read_bytes()
    assert list((tmp_path / "config" / "systemd" / "user").iterdir()) == []
    assert not list((tmp_path / "config" / "nuthatch").iterdir())
    assert b'"service_slot":null' in (home / "device.key").read_bytes().replace(b" ", b"")


async def test_without_a_session_the_unit_can_still_be_shown(
    home: Path, tools: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tools / "no session").touch()
    refused = await nuthatch(home, "service", "install", "--passphrase-file", "-", given=GIVEN)
    assert (refused.exit_code, "there is no login session" in refused.error) == (1, True)
    assert "--print" in refused.error
    printed = await succeeds(home, "service", "install", "--print")
    assert str(printed["text"]).startswith("# Made by `nuthatch service install`")
    assert run_command_line(["--home", str(home), "service", "install", "--print"]) == 0
    assert capfd.readouterr().out == printed["text"]

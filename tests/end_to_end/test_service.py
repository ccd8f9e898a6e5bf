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
from node.errors import WrongPassphraseError
from node.keys.key_file import unlock_key_file
from tests.support import stand_in_systemd
from tests.support.canaries import files_under, sightings
from tests.support.in_process import answer, performed
from tests.support.program import ENVIRONMENT

PASSPHRASE = "canary-dugong-58RX"


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file with the passphrase, for commands that ask for it once."""
    file = tmp_path_factory.mktemp("given") / "passphrase"
    file.write_text(PASSPHRASE + "\n")
    return str(file)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, given: str) -> Path:
    """A home that was just made; each test takes a copy."""
    home = tmp_path_factory.mktemp("template") / "home"
    with pytest.MonkeyPatch.context() as patched:
        for variable, value in ENVIRONMENT.items():
            patched.setenv(variable, value)
        answer(home, "init", "--name", "desk", "--passphrase-file", given)
    return home


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A session with a supervisor of its own; whatever it started ends with the test."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("systemctl", "loginctl"):
        text = Path(stand_in_systemd.__file__).read_text()
        (folder / name).write_text(f"#!{sys.executable}\n{text}")
        (folder / name).chmod(0o755)
    for variable, value in ENVIRONMENT.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    yield folder
    for file in folder.glob("*.pid"):
        with suppress(ProcessLookupError):
            kill(int(file.read_text()), signal.SIGKILL)


@pytest.fixture
def home(template: Path, tmp_path: Path, tools: Path) -> Path:
    home = tmp_path / "a home % with $signs"
    shutil.copytree(template, home)
    return home


def install(home: Path, passphrase_file: str | Path, *options: str) -> dict[str, object]:
    return dict(answer(home, "service", "install", "--passphrase-file", str(passphrase_file), *options))


def read_private(path: str) -> str:
    assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600
    return Path(path).read_text().strip()


def test_a_service_runs_the_node_until_it_is_uninstalled(home: Path, tmp_path: Path, given: str) -> None:
    installed = install(home, given)
    assert installed["running"] is True
    assert "loginctl enable-linger" in str(installed["advice"])
    assert answer(home, "status")["running"] is True
    assert answer(home, "service")["says"] == "active (running)"

    unlock_file = str(installed["unlock_file"])
    assert unlock_file in str(installed["cost"])
    unlock_key = read_private(unlock_file)
    unlock_key_file(home / "device.key", passphrase=unlock_key)
    assert install(home, given)["running"] is True
    assert read_private(unlock_file) != unlock_key
    unlock_key = read_private(unlock_file)

    uninstalled = answer(home, "service", "uninstall")
    assert (uninstalled["uninstalled"], uninstalled["key_removed"]) == (True, True)
    assert performed(home, "status").exit_code == 4
    assert performed(home, "service", "status").exit_code == 4
    assert unlock_file not in files_under([tmp_path])
    assert answer(home, "service", "uninstall")["uninstalled"] is False
    assert list((tmp_path / "config" / "systemd" / "user").iterdir()) == []
    (tmp_path / "stolen").write_text(unlock_key)
    refused = performed(home, "list", "--passphrase-file", str(tmp_path / "stolen"))
    assert (refused.exit_code, "taken back" in refused.error) == (3, True)
    answer(home, "list", "--passphrase-file", given)


def test_the_passphrase_is_written_down_nowhere(home: Path, tmp_path: Path, given: str) -> None:
    install(home, given)
    found = files_under([tmp_path])
    assert any(place.endswith(".service") for place in found)
    assert sightings({"the passphrase": PASSPHRASE.encode()}, found) == []
    unlock_key = next((tmp_path / "config" / "nuthatch").glob("*.unlock")).read_text().strip()
    elsewhere = {place: content for place, content in found.items() if not place.endswith(".unlock")}
    assert sightings({"the unlock key": unlock_key.encode()}, elsewhere) == []


def test_a_passphrase_file_serves_if_it_is_private_and_not_in_the_home(home: Path, tmp_path: Path, given: str) -> None:
    file = tmp_path / "kept passphrase"
    shutil.copy(given, file)
    file.chmod(0o644)
    with_file = ("service", "install", "--unlock-with", "passphrase-file", "--passphrase-file")
    readable = performed(home, *with_file, str(file))
    assert (readable.exit_code, "chmod 600" in readable.error) == (5, True)
    file.chmod(0o600)
    shutil.copy(file, home / "opens")
    within = performed(home, *with_file, str(home / "opens"))
    assert (within.exit_code, "every copy of the home would open itself" in within.error) == (5, True)
    assert performed(home, *with_file, "-").exit_code == 2
    unlock_file = str(install(home, given)["unlock_file"])
    assert unlock_file in files_under([tmp_path])
    assert answer(home, *with_file, str(file))["unlocked_with"] == "passphrase-file"
    assert answer(home, "status")["running"] is True
    assert unlock_file not in files_under([tmp_path])
    uninstalled = answer(home, "service", "uninstall")
    assert (uninstalled["uninstalled"], uninstalled["key_removed"]) == (True, False)
    assert file.exists()


def test_a_wrong_passphrase_leaves_the_service_that_runs_alone(home: Path, tmp_path: Path, given: str) -> None:
    (tmp_path / "wrong").write_text("wrong\n")
    unlock_file = str(install(home, given)["unlock_file"])
    before = read_private(unlock_file)
    assert performed(home, "service", "install", "--passphrase-file", str(tmp_path / "wrong")).exit_code == 3
    assert answer(home, "service")["running"] is True
    assert read_private(unlock_file) == before


def test_a_wrong_passphrase_installs_nothing(home: Path, tmp_path: Path) -> None:
    (tmp_path / "wrong").write_text("wrong\n")
    before = files_under([home])
    assert performed(home, "service", "install", "--passphrase-file", str(tmp_path / "wrong")).exit_code == 3
    assert {**files_under([home]), str(home / "lock"): b""} == {**before, str(home / "lock"): b""}
    assert not (tmp_path / "config" / "systemd").exists()


def test_a_node_that_does_not_start_leaves_no_service_behind(
    home: Path, tmp_path: Path, tools: Path, given: str
) -> None:
    answer(home, "config", "set", "run.listen", "203.0.113.7:1")
    failed = performed(home, "service", "install", "--passphrase-file", given)
    assert failed.exit_code == 1
    assert "systemd did not do it: Job for nuthatch-" in failed.error
    assert "journalctl --user --unit nuthatch-" in failed.error
    assert b"Cannot listen on 203.0.113.7:1" in (tools / "journal").read_bytes()
    assert "Cannot listen on 203.0.113.7:1" in (home / "node.log").read_text()
    assert list((tmp_path / "config" / "systemd" / "user").iterdir()) == []
    assert not list((tmp_path / "config" / "nuthatch").iterdir())
    assert b'"service_slot":null' in (home / "device.key").read_bytes().replace(b" ", b"")


def test_the_key_is_worthless_even_if_the_supervisor_cannot_be_told(home: Path, tools: Path, given: str) -> None:
    unlock_key = read_private(str(install(home, given)["unlock_file"]))
    (tools / "no session").touch()
    told = performed(home, "service", "uninstall")
    assert (told.exit_code, "there is no login session" in told.error) == (1, True)
    with pytest.raises(WrongPassphraseError, match="taken back"):
        unlock_key_file(home / "device.key", passphrase=unlock_key)
    (tools / "no session").unlink()
    assert answer(home, "service", "uninstall")["uninstalled"] is True


def test_without_a_session_the_unit_can_still_be_shown(
    home: Path, tools: Path, given: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (tools / "no session").touch()
    refused = performed(home, "service", "install", "--passphrase-file", given)
    assert (refused.exit_code, "there is no login session" in refused.error) == (1, True)
    assert "--print" in refused.error
    printed = answer(home, "service", "install", "--print")
    assert str(printed["text"]).startswith("# Made by `nuthatch service install`")
    assert run_command_line(["--home", str(home), "service", "install", "--print"]) == 0
    assert capfd.readouterr().out == printed["text"]

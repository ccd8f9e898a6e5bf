"""What can be seen of a home from outside: modes, files, owner, room, and a home that is not one."""

import os
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from node.autostart.installation import unlock_file_of
from node.composition import init_home
from node.config import NodeConfig, PassphraseCost
from node.doctor.home_checks import home_findings, no_home
from node.entropy import SystemEntropy
from node.home import Home
from node.keys.key_file import add_service_slot, remove_service_slot
from node.requests import Finding


class _Usage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.fixture(scope="module")
def sound_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home as `init` leaves it."""
    directory = tmp_path_factory.mktemp("doctor") / "home"
    cheap = PassphraseCost.INTERACTIVE
    config = NodeConfig(home_directory=directory, device_cost=cheap, owner_cost=cheap)
    init_home(config, name="laptop", passphrase="a passphrase", owner_passphrase="a passphrase too")
    return directory


@pytest.fixture
def home(sound_home: Path, tmp_path: Path) -> Home:
    """A copy of it."""
    shutil.copytree(sound_home, tmp_path / "home")
    (tmp_path / "home").chmod(0o700)
    return Home(tmp_path / "home")


def by_name(home: Home) -> dict[str, Finding]:
    """Return the findings by name."""
    return {finding.name: finding for finding in home_findings(home)}


def test_a_home_as_it_is_made_is_well(home: Home) -> None:
    assert {finding.state for finding in home_findings(home)} == {"good"}


@pytest.fixture
def unlock_file(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the unlock key of the home's service lies, once it has one."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    unlock_file_of(home).parent.mkdir(parents=True)
    return unlock_file_of(home)


def test_a_service_that_opens_the_device_is_told_and_its_key_has_to_be_private(home: Home, unlock_file: Path) -> None:
    assert "service" not in by_name(home)
    unlock_file.write_text(add_service_slot(home.key_file, passphrase="a passphrase", entropy=SystemEntropy()))
    unlock_file.chmod(0o600)
    assert by_name(home)["service"].state == "good"
    unlock_file.chmod(0o644)
    found = by_name(home)["service"]
    assert found.state == "bad"
    os.system(found.mend)  # noqa: S605  the command is what is tested
    assert by_name(home)["service"].state == "good"


def test_half_of_a_service_is_told_with_what_ends_it(home: Home, unlock_file: Path) -> None:
    add_service_slot(home.key_file, passphrase="a passphrase", entropy=SystemEntropy())
    assert (by_name(home)["service"].state, "uninstall" in by_name(home)["service"].mend) == ("notice", True)
    remove_service_slot(home.key_file)
    unlock_file.write_text("stale")
    unlock_file.chmod(0o600)
    assert (by_name(home)["service"].state, "uninstall" in by_name(home)["service"].mend) == ("notice", True)


def test_a_directory_open_to_others_is_found_with_the_command_that_closes_it(home: Home) -> None:
    home.directory.chmod(0o750)
    found = by_name(home)["home"]
    assert found.state == "bad"
    os.system(found.mend)  # noqa: S605  the command is what is tested
    assert by_name(home)["home"].state == "good"


@pytest.mark.parametrize("name", ["device.key", "store.db", "owner.key", "store.db.mark"])
def test_a_file_open_to_others_is_found_with_the_command_that_closes_it(home: Home, name: str) -> None:
    (home.directory / name).chmod(0o640)
    found = by_name(home)["files"]
    assert (found.state, name in found.says) == ("bad", True)
    os.system(found.mend)  # noqa: S605  the command is what is tested
    assert by_name(home)["files"].state == "good"


@pytest.mark.parametrize("content", [b"", b"{}", b'{"version":1', b'{"version":9,"device_id":"AA=="}'])
def test_a_damaged_key_file_is_found(home: Home, content: bytes) -> None:
    home.key_file.write_bytes(content)
    assert by_name(home)["key"].state == "bad"


def test_an_owner_that_cannot_be_asked_is_found(home: Home) -> None:
    with home.locked():
        assert by_name(home)["owner"].state == "notice"
        home.api_file.write_text("{}")
        assert by_name(home)["owner"].says == "A node runs on it."
    assert by_name(home)["owner"].state == "notice"


def test_half_made_files_are_found_with_the_command_that_removes_them(home: Home) -> None:
    for name in ("store.db.new", ".device.key.0011aabb"):
        (home.directory / name).touch(mode=0o600)
    found = by_name(home)["leftovers"]
    os.system(found.mend)  # noqa: S605  the command is what is tested
    assert "leftovers" not in by_name(home)


def test_a_home_inside_a_folder_that_another_program_copies_is_found(home: Home, tmp_path: Path) -> None:
    (tmp_path / ".stfolder").mkdir()
    assert by_name(home)["place"].state == "bad"


@pytest.mark.parametrize(("free_bytes", "state"), [(10**6, "bad"), (10**8, "notice"), (10**12, "good")])
def test_a_full_disk_is_found(home: Home, monkeypatch: pytest.MonkeyPatch, free_bytes: int, state: str) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: _Usage(2 * free_bytes, free_bytes, free_bytes))
    assert by_name(home)["disk"].state == state


def test_a_directory_without_a_device_is_told_from_one_that_lost_its_key_file(home: Home, tmp_path: Path) -> None:
    assert "nuthatch init" in no_home(Home(tmp_path / "nowhere")).mend
    home.key_file.unlink()
    assert "device.key" in no_home(home).mend

"""Settings as a person makes them: explained, changed, refused with what was probably meant, and followed."""

import stat
from pathlib import Path

import pytest

from node.cli.application import run_command_line
from tests.support.canaries import files_under
from tests.support.household import found_realm, make_device
from tests.support.in_process import answer, performed
from tests.support.program import ENVIRONMENT, nuthatch, objects


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in ENVIRONMENT.items():
        monkeypatch.setenv(variable, value)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home whose passphrase lies beside it."""
    (tmp_path / "opens").write_text("secret\n")
    answer(tmp_path / "home", "init", "--name", "desk", "--passphrase-file", str(tmp_path / "opens"))
    return tmp_path / "home"


def test_a_setting_is_made_shown_and_taken_back(tmp_path: Path) -> None:
    made = answer(tmp_path, "config", "set", "run.peers", "desk:4711", "[::1]:9")
    assert objects(made["settings"])[0]["value"] == ["desk:4711", "[::1]:9"]
    shown = {str(one["name"]): one for one in objects(answer(tmp_path, "config")["settings"])}
    assert shown["run.peers"]["said_by"] == "config.toml"
    assert shown["run.listen"]["said_by"] == "default"
    assert shown["passphrase.device_cost"]["said_by"] == "NUTHATCH_PASSPHRASE_COST"
    assert answer(tmp_path, "config", "unset", "run.peers")["removed"] is True
    assert answer(tmp_path, "config", "unset", "run.peers")["removed"] is False
    assert answer(tmp_path, "config", "set", "run.peers")["settings"] != []
    assert (tmp_path / "config.toml").read_text().endswith("[run]\npeers = []\n")


def test_what_cannot_be_set_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    misspelt = performed(tmp_path, "config", "set", "run.lisen", "0.0.0.0:1")
    assert (misspelt.exit_code, "Did you mean run.listen?" in misspelt.error) == (2, True)
    wrong = performed(tmp_path, "config", "set", "run.listen", "here", "there")
    assert (wrong.exit_code, "it takes one value, not 2" in wrong.error) == (2, True)
    assert performed(tmp_path, "config", "unset", "run.lisen").exit_code == 2
    assert files_under([tmp_path]) == {"the paths": b""}


def test_a_misspelt_setting_stops_every_command_and_doctor_says_what_mends_it(home: Path) -> None:
    unlock = ("--passphrase-file", str(home.parent / "opens"))
    (home / "config.toml").write_text('[run]\nlisen = "0.0.0.0:1"\n')
    (home / "config.toml").chmod(0o600)
    stopped = performed(home, "list", *unlock)
    assert (stopped.exit_code, "Did you mean run.listen?" in stopped.error) == (2, True)
    examined = performed(home, "doctor")
    assert examined.exit_code == 1
    finding = objects(examined.last["findings"])[-1]
    assert (finding["name"], finding["state"]) == ("settings", "bad")
    assert "nuthatch config unset" in str(finding["mend"])
    answer(home, "config", "unset", "run.lisen")
    answer(home, "list", *unlock)


def test_a_passphrase_file_that_is_set_answers_for_the_person(home: Path) -> None:
    answer(home, "config", "set", "passphrase.file", "../opens")
    answer(home, "list")


def test_settings_are_drawn_with_their_explanations(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["--home", str(tmp_path), "config", "set", "log.level", "debug"]) == 0
    assert run_command_line(["--home", str(tmp_path), "config", "show"]) == 0
    drawn = " ".join(capsys.readouterr().out.split())
    assert 'log.level = "debug" from config.toml, else "warning"' in drawn
    assert "What a running node tells on standard error" in drawn
    assert run_command_line(["--home", str(tmp_path), "config", "path"]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "config.toml")


async def test_a_running_node_follows_its_file_and_keeps_a_private_log(tmp_path: Path) -> None:
    device = make_device(tmp_path, "desk", "secret")
    home = device.home.directory
    home.mkdir(mode=0o700)
    (home / "config.toml").write_text('[run]\napi = "127.0.0.2:0"\n')
    (home / "config.toml").chmod(0o600)
    try:
        await found_realm(device)
        assert b'"127.0.0.2:' in (home / "api.json").read_bytes()
        assert stat.S_IMODE(device.home.log_file.stat().st_mode) == 0o600
        assert "INFO node.running: the node runs" in device.home.log_file.read_text()
        # Mode and owner of everything in the home is part of what the doctor examines.
        assert (await nuthatch(home, "doctor")).exit_code == 0
    finally:
        await device.crash()

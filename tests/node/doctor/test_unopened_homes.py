"""What the command says of a home that cannot be opened: findings and an exit code, never a traceback."""

import shutil
from pathlib import Path

import pytest

from node.composition import init_home
from node.doctor.opening_checks import refusal_finding
from node.errors import ConfigError, HostError, NewerStoreError, NotRunningError, StoreLockedError, TransportError
from node.home import Home
from tests.support.program import Outcome, nuthatch
from tests.support.two_devices import OWNER_PASSPHRASE, PASSPHRASE, config_of


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home as `init` leaves it."""
    directory = tmp_path_factory.mktemp("doctor") / "home"
    init_home(config_of(directory), name="laptop", passphrase=PASSPHRASE, owner_passphrase=OWNER_PASSPHRASE)
    return directory


@pytest.fixture
def home(sound: Path, tmp_path: Path) -> Home:
    """A copy of it."""
    shutil.copytree(sound, tmp_path / "home")
    return Home(tmp_path / "home")


async def doctor(home: Home, passphrase: str = PASSPHRASE) -> Outcome:
    """Run the command."""
    outcome = await nuthatch(home.directory, "doctor", "--scrub", "--passphrase-file", "-", given=passphrase)
    assert "Traceback" not in outcome.errors
    return outcome


def broken(outcome: Outcome) -> set[str]:
    """Return the names of what is broken."""
    findings = outcome.last["findings"]
    assert isinstance(findings, list)
    return {finding["name"] for finding in findings if finding["state"] == "bad"}


async def test_a_sound_home_ends_with_exit_code_0_and_a_wrong_passphrase_with_3(home: Home) -> None:
    outcome = await doctor(home)
    assert (outcome.exit_code, broken(outcome)) == (0, set())
    assert (await doctor(home, "another passphrase")).exit_code == 3


async def test_a_place_without_a_device_ends_with_exit_code_1(tmp_path: Path) -> None:
    outcome = await doctor(Home(tmp_path))
    assert (outcome.exit_code, broken(outcome)) == (1, {"home"})


@pytest.mark.parametrize("keep_bytes", [0, 100, 4096, 50_000, 300_000])
async def test_a_truncated_store_is_a_finding(home: Home, keep_bytes: int) -> None:
    home.store_file.write_bytes(home.store_file.read_bytes()[:keep_bytes])
    outcome = await doctor(home)
    assert outcome.exit_code == 1
    assert broken(outcome) & {"store", "pages"}


async def test_a_store_that_is_gone_is_a_finding(home: Home) -> None:
    home.store_file.unlink()
    outcome = await doctor(home)
    assert (outcome.exit_code, broken(outcome)) == (1, {"store"})


@pytest.mark.parametrize(
    ("error", "name", "mend"),
    [
        (StoreLockedError("Another process owns it."), "store", "Wait"),
        (NotRunningError("No node runs."), "store", "nuthatch run"),
        (TransportError("The node stopped answering."), "node", "Stop the node"),
        (NewerStoreError("A newer version wrote it."), "store", "Update"),
        (ConfigError("The key file is damaged."), "key", "backup"),
    ],
)
def test_what_keeps_a_home_shut_is_told_with_what_opens_it(error: HostError, name: str, mend: str) -> None:
    finding = refusal_finding(error)
    assert (finding.state, finding.name, finding.says) == ("bad", name, str(error))
    assert mend in finding.mend

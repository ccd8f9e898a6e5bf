"""Nothing that a person says, names or holds secret is readable in a home, a log or on the network."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from node.keys.key_file import unlock_key_file
from node.keys.owner_key import unlock_owner_key
from tests.support.canaries import files_under, sightings, spellings
from tests.support.household import Household
from tests.support.program import nuthatch, objects, succeeds

pytestmark = pytest.mark.asyncio(loop_scope="module")

PASSPHRASE = "quokka-passphrase-7KQ2"
LAPTOP_NAME, PHONE_NAME = "laptop-zebu-91XW", "phone-okapi-58RT"
MEMORY, EDITED, FORGOTTEN = "memory-ibex-34PL", "edited-saiga-77BN", "forgotten-kudu-12GH"
TAG, NAMESPACE, MESSAGE = "tag-eland-66VC", "namespace-oryx-45MM", "message-nyala-83DD"
TEXTS = {
    "the passphrase": PASSPHRASE,
    "the laptop's name": LAPTOP_NAME,
    "the phone's name": PHONE_NAME,
    "a memory": MEMORY,
    "an edited memory": EDITED,
    "a forgotten memory": FORGOTTEN,
    "a tag": TAG,
    "a namespace": NAMESPACE,
    "a message": MESSAGE,
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def household(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Household]:
    """Two devices that have said, renamed, edited and forgotten things to each other."""
    household = Household(tmp_path_factory.mktemp("secrecy"), PASSPHRASE, ("laptop", "phone"))
    for device, name in zip(household.devices, (LAPTOP_NAME, PHONE_NAME), strict=True):
        device.name = name
    try:
        await household.move_in()
        await live(household)
        yield household
    finally:
        await household.move_out()


async def live(household: Household) -> None:
    laptop, phone = (device.home.directory for device in household.devices)
    await succeeds(laptop, "remember", f"The word is {MEMORY}.", "--tag", TAG, "--namespace", NAMESPACE)
    edited = str((await succeeds(phone, "remember", "To be edited."))["id"])
    gone = str((await succeeds(phone, "remember", f"Forget {FORGOTTEN}."))["id"])
    statement = "INSERT INTO conversations (title) VALUES (?)"
    await succeeds(laptop, "sql", statement, "--param", f'"about {MESSAGE}"')
    await household.in_sync()
    await succeeds(laptop, "edit", edited, "--text", f"It reads {EDITED} now.")
    await succeeds(laptop, "forget", gone)
    await household.in_sync()
    found = objects((await succeeds(phone, "recall", EDITED))["results"])
    assert found[0]["id"] == edited


def secrets(household: Household) -> dict[str, bytes]:
    """Return what must not be found, with the keys themselves taken out of the unlocked key files."""
    found = {name: text.encode() for name, text in TEXTS.items()}
    for device in household.devices:
        keys = unlock_key_file(device.home.key_file, passphrase=PASSPHRASE)
        found[f"{device.name}: signing seed"] = keys.device_keys.sign_seed
        found[f"{device.name}: noise secret"] = keys.device_keys.noise_secret
        found[f"{device.name}: sealing secret"] = keys.device_keys.seal_secret
        found[f"{device.name}: master key"] = keys.master_key.secret
        found[f"{device.name}: database key"] = keys.master_key.database_key
        if device.home.owner_key_file.exists():
            found["owner seed"] = unlock_owner_key(
                device.home.owner_key_file,
                passphrase=PASSPHRASE,
                device_id=keys.device_id,
                master_key=keys.master_key,
            )
    assert "owner seed" in found
    return found


def left_behind(household: Household) -> dict[str, bytes]:
    """Return every file of the homes, every log, and what the nodes wrote to their standard output."""
    found = files_under(device.home.directory for device in household.devices)
    assert any(place.endswith("store.db") and len(content) > 4096 for place, content in found.items())
    for device in household.devices:
        assert b"link open" in found[str(device.home.log_file)]
        assert b" DEBUG " in found[str(device.home.log_file)]
        found[str(device.log_file)] = device.log_file.read_bytes()
        found[f"what the node of {device.home.directory} told"] = bytes(device.told)
        assert b'"in_sync":true' in device.told
    return found


async def test_while_the_nodes_run_no_file_and_no_log_holds_a_secret(household: Household) -> None:
    assert sightings(secrets(household), left_behind(household)) == []


async def test_no_captured_frame_holds_a_secret(household: Household) -> None:
    frames = {f"cable {number}": bytes(cable.carried) for number, cable in enumerate(household.cables)}
    assert all(len(carried) > 5_000 for carried in frames.values())
    assert sightings(secrets(household), frames) == []


async def test_a_failed_command_says_no_secret(household: Household, tmp_path: Path) -> None:
    home, log = household.devices[0].home.directory, tmp_path / "log"
    wrong = tmp_path / "wrong"
    wrong.write_text(f"{PASSPHRASE}-but-wrong")
    for arguments in (
        ("pair", "--owner-passphrase-file", str(wrong)),
        ("sql", "SELECT * FROM nowhere WHERE content = ?", "--param", f'"{MEMORY}"'),
        ("import", "--format", "jsonl", str(household.devices[0].passphrase_file)),
        ("run", "--passphrase-file", str(household.devices[0].passphrase_file)),
    ):
        assert (await nuthatch(home, *arguments, log=log)).exit_code != 0
    assert sightings(secrets(household), {"what it said": log.read_bytes()}) == []


async def test_after_a_power_cut_the_files_hold_no_secret(household: Household) -> None:
    expected = secrets(household)
    await household.power_cut()
    assert sightings(expected, left_behind(household)) == []


@pytest.mark.parametrize("secret", [b"memory-ibex-34PL", bytes(range(200, 232))], ids=["text", "key"])
@pytest.mark.parametrize("shift", [0, 1, 2])
async def test_the_search_finds_a_planted_secret_in_every_spelling(secret: bytes, shift: int) -> None:
    around = b"x" * shift
    leaks = {
        "raw": around + secret + b"y",
        "hex": (around + secret).hex().encode(),
        "base64": base64.b64encode(around + secret + b"y"),
        "base64url": base64.urlsafe_b64encode(around + secret),
    }
    if secret.isascii():
        leaks["UTF-16"] = (around + secret).decode().encode("utf-16")
    for place, content in leaks.items():
        assert sightings({"secret": secret}, {place: content}), place
    assert sightings({"secret": secret}, {"elsewhere": b"nothing of the kind" * 50}) == []
    assert len(spellings(secret)) >= 9

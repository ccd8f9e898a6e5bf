"""A device joins only with the right code, the same digits on both screens and two people who say yes."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from node.demo.device import Device
from node.requests import CodeShown
from tests.support.household import (
    compared_digits,
    found_realm,
    make_device,
    open_window,
    pair_devices,
    start_joining,
)
from tests.support.program import nuthatch, objects, succeeds

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sponsor(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Device]:
    device = make_device(tmp_path_factory.mktemp("pairing"), "laptop", "sponsor's passphrase")
    try:
        await found_realm(device)
        yield device
    finally:
        await device.crash()


@pytest.fixture
def newcomer(tmp_path: Path) -> Device:
    return make_device(tmp_path, "phone", "newcomer's passphrase")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def closed_window(sponsor: Device) -> CodeShown:
    """The code of a window that its `pair` command left."""
    pairing, shown = await open_window(sponsor)
    pairing.kill()
    await pairing.ended()
    return shown


async def join(newcomer: Device, code: str, peer: str) -> tuple[int, str]:
    """Run `join` where it must fail; return its exit code and sentence. No home may be left behind."""
    outcome = await nuthatch(
        newcomer.home.directory,
        *("join", code, "--name", "phone", "--passphrase-file", str(newcomer.passphrase_file), "--peer", peer),
    )
    assert not newcomer.home.exists()
    return outcome.exit_code, outcome.error


async def device_names(sponsor: Device) -> list[object]:
    listed = await succeeds(sponsor.home.directory, "devices")
    return [device["name"] for device in objects(listed["devices"])]


def mistyped(code: str) -> str:
    """Exchange the last character for another one of the alphabet."""
    return code[:-1] + ("A" if code[-1] != "A" else "B")


async def test_a_mistyped_code_is_recognised_before_anything_is_sent(
    newcomer: Device, closed_window: CodeShown
) -> None:
    exit_code, sentence = await join(newcomer, mistyped(closed_window.typed), "127.0.0.1:9")
    assert exit_code == 2
    assert "code" in sentence


async def test_nobody_there_is_said(newcomer: Device, closed_window: CodeShown) -> None:
    exit_code, sentence = await join(newcomer, closed_window.typed, "127.0.0.1:9")
    assert exit_code == 1
    assert sentence


async def test_a_code_of_a_closed_window_is_refused(
    sponsor: Device, newcomer: Device, closed_window: CodeShown
) -> None:
    assert (await join(newcomer, closed_window.code, sponsor.listen))[0] == 5
    pairing, new = await open_window(sponsor)
    try:
        assert new.code != closed_window.code
        assert (await join(newcomer, closed_window.code, sponsor.listen))[0] == 5
    finally:
        pairing.kill()
        await pairing.ended()


@pytest.mark.parametrize("who", ["sponsor", "newcomer"])
async def test_a_no_at_the_digits_adds_nobody(sponsor: Device, newcomer: Device, who: str) -> None:
    pairing, shown = await open_window(sponsor)
    joining = await start_joining(newcomer, shown.code, peer=sponsor.listen)
    await compared_digits(pairing, joining)
    await pairing.say("no" if who == "sponsor" else "yes")
    await joining.say("no" if who == "newcomer" else "yes")
    assert await pairing.ended() == 5
    assert await joining.ended() == 5
    assert not newcomer.home.exists()
    assert await device_names(sponsor) == ["laptop"]


async def test_the_end_of_standard_input_is_a_no(sponsor: Device, newcomer: Device) -> None:
    pairing, shown = await open_window(sponsor)
    joining = await start_joining(newcomer, shown.code, peer=sponsor.listen)
    await compared_digits(pairing, joining)
    await pairing.say("maybe")
    pairing.hang_up()
    await joining.say("yes")
    assert await pairing.ended() == 5
    assert await joining.ended() == 5
    assert await device_names(sponsor) == ["laptop"]


async def test_a_code_works_once_and_a_home_joins_once(sponsor: Device, newcomer: Device, tmp_path: Path) -> None:
    await succeeds(sponsor.home.directory, "remember", "Here before the phone.")
    pairing, shown = await open_window(sponsor)
    joining = await start_joining(newcomer, shown.code, peer=sponsor.listen)
    await compared_digits(pairing, joining)
    await joining.say("yes")
    await pairing.say("yes")
    assert await joining.ended() == 0
    assert await pairing.ended() == 0
    assert await device_names(sponsor) == ["laptop", "phone"]

    again = await nuthatch(
        newcomer.home.directory,
        *("join", shown.code, "--name", "x", "--passphrase-file", str(newcomer.passphrase_file)),
    )
    assert again.exit_code == 5
    assert str(newcomer.home.directory) in again.error

    (tmp_path / "third").mkdir()
    third = make_device(tmp_path / "third", "tablet", "third passphrase")
    exit_code, _ = await join(third, shown.code, sponsor.listen)
    assert exit_code == 5
    assert await device_names(sponsor) == ["laptop", "phone"]


async def test_a_device_joined_by_the_typed_code_has_everything_before_its_node_runs(
    sponsor: Device, tmp_path: Path
) -> None:
    tablet = make_device(tmp_path, "tablet", "third passphrase")
    synced = await pair_devices(sponsor, tablet, peer=sponsor.listen, typed=True)
    assert synced.rows >= 1
    results = await succeeds(
        tablet.home.directory, "recall", "before the phone", "--passphrase-file", str(tablet.passphrase_file)
    )
    assert [result["text"] for result in objects(results["results"])] == ["Here before the phone."]

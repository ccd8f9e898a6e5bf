"""Two people at two terminals pair their devices: what they see, what they type, and what a camera reads."""

import re
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pexpect
import pytest
import pytest_asyncio

from node.cli.qr_picture import PIXELS_PER_MODULE
from node.demo.device import Device
from tests.support.household import found_realm, make_device
from tests.support.person import spawned, without_colours
from tests.support.program import succeeds
from tests.support.qr_reader import read_qr
from tests.support.terminal_picture import dark_halves, dark_pixels, shrunk

pytestmark = pytest.mark.asyncio(loop_scope="module")
PASSPHRASE = "sponsor's passphrase"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def laptop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Device]:
    device = make_device(tmp_path_factory.mktemp("by-hand"), "laptop", PASSPHRASE)
    try:
        await found_realm(device)
        await succeeds(device.home.directory, "remember", "The spare key is with Ana.")
        yield device
    finally:
        await device.crash()


def other_character(character: str) -> str:
    return "7" if character != "7" else "8"


async def test_two_people_pair_by_what_they_see(laptop: Device, tmp_path: Path) -> None:
    picture = tmp_path / "code.png"
    home = ("--home", str(laptop.home.directory))
    with (
        spawned(*home, "pair", "--qr-png", str(picture), lines=60) as sponsor,
        spawned("--home", str(tmp_path / "phone"), "join", "--peer", laptop.listen) as newcomer,
    ):
        sponsor.expect_exact("Owner passphrase: ")
        sponsor.sendline(PASSPHRASE)
        sponsor.expect(r"The code is good for 4:5\d more")
        shown = str(sponsor.before)
        pasted = re.findall(r"nuthatch join (NUT1:[A-Z2-7]+)", without_colours(shown))
        assert read_qr(dark_halves(shown)) == pasted[0]
        assert read_qr(shrunk(dark_pixels(picture.read_bytes()), PIXELS_PER_MODULE)) == pasted[0]
        assert stat.S_IMODE(picture.stat().st_mode) == 0o600
        assert "for you alone; it is removed" in without_colours(shown)
        typed = re.findall(r"((?:[0-9A-Z]{5}-){6}[0-9A-Z]{5})", without_colours(shown))[0]

        newcomer.expect_exact("The code that `nuthatch pair` shows on the other device: ")
        newcomer.sendline(typed[:12] + other_character(typed[12]) + typed[13:])
        newcomer.expect_exact("Group 3 of 7 has a mistake in it")
        newcomer.expect_exact("on the other device: ")
        newcomer.sendline(typed.lower().replace("-", " ").replace("0", "o").replace("1", "l"))
        newcomer.expect(r"What shall this device be called on the others\? \[.+\] ")
        newcomer.sendline("Laptop")
        for question in ("New passphrase for this device: ", "The same again: "):
            newcomer.expect_exact(question)
            newcomer.sendline("new passphrase")
        newcomer.expect_exact("Laptop asks to join. The other device must show the same digits:")
        newcomer.expect_exact("Type yes or no")
        digits_there = [line for line in without_colours(str(newcomer.before)).splitlines() if "█" in line]

        sponsor.expect_exact("It must show these digits:")
        sponsor.expect_exact("Type yes or no")
        asked = without_colours(str(sponsor.before))
        assert [line for line in asked.splitlines() if "█" in line] == digits_there
        assert "0 conversations with 0 messages, 1 memory, 1 row in all, from 20" in " ".join(asked.split())
        assert "You have a device called Laptop already" in asked
        newcomer.sendline("yes")
        sponsor.sendline("YES")

        newcomer.expect_exact("Joined: this is one of your devices now.")
        newcomer.expect_exact("Another device of yours has the same name")
        newcomer.expect(r"Everything is here.*: 1 rows")
        sponsor.expect_exact("belongs to your devices now.")
        sponsor.expect(r"Laptop and this device hold the same 1 rows?, digests equal")
        newcomer.wait()
        sponsor.wait()
    assert (sponsor.exitstatus, newcomer.exitstatus) == (0, 0)
    assert not picture.exists()


async def test_a_picture_overwrites_nothing_and_goes_with_an_interrupted_command(
    laptop: Device, tmp_path: Path
) -> None:
    home = ("--home", str(laptop.home.directory))
    mine = tmp_path / "holiday.png"
    mine.write_text("a photograph")
    with spawned(*home, "pair", "--qr-png", str(mine)) as refused:
        refused.expect(r"exists\s+already;")
        refused.wait()
    assert refused.exitstatus == 2
    assert mine.read_text() == "a photograph"

    picture = tmp_path / "code.png"
    with spawned(*home, "pair", "--qr-png", str(picture), lines=16) as sponsor:
        sponsor.expect_exact("Owner passphrase: ")
        sponsor.sendline(PASSPHRASE)
        sponsor.expect_exact("and this terminal has 100 and 16: ")
        sponsor.expect_exact("The code is good for")
        assert picture.exists()
        sponsor.sendintr()
        sponsor.expect(pexpect.EOF)
        sponsor.wait()
    assert sponsor.exitstatus == 130
    assert not picture.exists()

"""A day in the life of three real processes: imports, kills, a restored backup, edits apart; at its end all are equal.

The tests of this module tell one story: each goes on where the one before ended.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest
import pytest_asyncio

from node.requests import IMPORT, ImportProgress, ImportRequest
from tests.support.conversations import conversation_files, turns_of
from tests.support.household import Household
from tests.support.program import Fields, nuthatch, objects, rows, succeeds

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.day]

LAPTOP, PHONE, TABLET = range(3)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def household(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Household]:
    household = Household(tmp_path_factory.mktemp("a-long-day"), "correct horse battery staple")
    try:
        await household.move_in()
        yield household
    finally:
        await household.move_out()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return conversation_files(tmp_path_factory.mktemp("conversations"))


def home(household: Household, number: int) -> Path:
    return household.devices[number].home.directory


async def agreed(household: Household) -> dict[str, tuple[object, object]]:
    """Wait until every device is in sync with every other; return rows and digest by stream, equal on all."""
    reports = await household.in_sync()
    held = [{stream.name: (stream.rows, stream.digest) for stream in report.streams} for report in reports]
    assert held[0]
    assert held[0] == held[1] == held[2]
    return {name: (number, digest) for name, (number, digest) in held[0].items()}


async def texts(household: Household, number: int, condition: str) -> list[str]:
    found = rows(await succeeds(home(household, number), "sql", f"SELECT content FROM memories WHERE {condition}"))
    return sorted(str(row[0]) for row in found)


async def run_apart(household: Household, number: int, *arguments: str) -> Fields:
    """Run a command on a home whose node does not run."""
    device = household.devices[number]
    return await succeeds(device.home.directory, *arguments, "--passphrase-file", str(device.passphrase_file))


async def test_in_the_morning_a_node_is_killed_while_it_imports_and_nothing_of_it_is_lost(
    household: Household, files: list[Path]
) -> None:
    laptop = household.devices[LAPTOP]
    request = ImportRequest(format="locomo", path=str(files[0]))
    async with laptop.reached() as caller, aclosing(caller.stream(IMPORT, request)) as importing:
        told = await anext(importing)
        await laptop.crash()
    assert isinstance(told, ImportProgress)
    await household.power_cut()
    await household.start()
    status = await succeeds(home(household, LAPTOP), "status")
    assert sum(int(str(stream["rows"])) for stream in objects(status["streams"])) >= told.done
    for number, file in enumerate(files[:3]):
        await succeeds(home(household, number), "import", str(file))
    await agreed(household)
    turns = sum(turns_of(file) for file in files[:3])
    for number in range(3):
        counted = rows(await succeeds(home(household, number), "sql", "SELECT count(*) FROM messages"))[0][0]
        assert counted == turns


async def test_a_phone_set_back_to_last_weeks_backup_loses_nothing_that_another_device_holds(
    household: Household, tmp_path: Path
) -> None:
    phone = household.devices[PHONE]
    directory = phone.home.directory
    await succeeds(directory, "remember", "Written before the backup.", "--namespace", "backup")
    forgotten = str((await succeeds(directory, "remember", "Forgotten later.", "--namespace", "backup"))["id"])
    await agreed(household)
    await household.power_cut()
    shutil.copytree(directory, tmp_path / "backup")
    await household.start()
    await succeeds(directory, "remember", "Written after the backup.", "--namespace", "backup")
    await succeeds(home(household, LAPTOP), "forget", forgotten)
    await agreed(household)

    await household.power_cut()
    shutil.rmtree(directory)
    shutil.copytree(tmp_path / "backup", directory)
    await run_apart(household, PHONE, "remember", "Written after the restore.", "--namespace", "backup")
    await household.start()
    await agreed(household)
    for number in range(3):
        assert await texts(household, number, "namespace = 'backup'") == [
            "Written after the backup.",
            "Written after the restore.",
            "Written before the backup.",
        ]
        assert (await nuthatch(home(household, number), "show", forgotten)).exit_code != 0


async def test_a_phone_that_was_copied_to_another_place_runs_beside_its_original(
    household: Household, tmp_path: Path
) -> None:
    """Two copies of one device must never write two changes under one number."""
    original = home(household, PHONE)
    await household.power_cut()
    copy = tmp_path / "copy"
    shutil.copytree(original, copy)
    await run_apart(household, PHONE, "remember", "Written on the original.", "--namespace", "clone")
    passphrase = str(household.devices[PHONE].passphrase_file)
    await succeeds(copy, "remember", "Written on the copy.", "--namespace", "clone", "--passphrase-file", passphrase)
    # The copy takes the original's place for an hour, then the original comes back.
    aside = tmp_path / "aside"
    original.rename(aside)
    copy.rename(original)
    await household.start()
    await agreed(household)
    await household.power_cut()
    original.rename(copy)
    aside.rename(original)
    await household.start()
    await agreed(household)
    for number in range(3):
        expected = ["Written on the copy.", "Written on the original."]
        assert await texts(household, number, "namespace = 'clone'") == expected


async def test_a_phone_whose_whole_machine_was_set_back_finds_out_from_the_others(household: Household) -> None:
    """Store and mark go back together, in place, as a machine's snapshot does: nothing on the phone can tell."""
    phone = household.devices[PHONE]
    directory = phone.home.directory
    await succeeds(directory, "remember", "Seen by the snapshot.", "--namespace", "machine")
    await agreed(household)
    await household.power_cut()
    snapshot = {path: path.read_bytes() for path in directory.glob("store.db*")}
    await household.start()
    await succeeds(directory, "remember", "Written after the snapshot.", "--namespace", "machine")
    await agreed(household)

    await household.power_cut()
    for path in directory.glob("store.db*"):
        path.write_bytes(snapshot.get(path, b""))
    for turn in range(3):
        await run_apart(household, PHONE, "remember", f"Written once more, {turn}.", "--namespace", "machine")
    await household.start()
    await agreed(household)
    for number in range(3):
        assert await texts(household, number, "namespace = 'machine'") == [
            "Seen by the snapshot.",
            "Written after the snapshot.",
            *(f"Written once more, {turn}." for turn in range(3)),
        ]
    notices = (await succeeds(directory, "status"))["notices"]
    assert isinstance(notices, list)
    assert any("unknown here" in str(notice) for notice in notices)


async def test_at_noon_one_memory_is_written_on_three_devices_apart_and_no_word_is_lost(household: Household) -> None:
    kept = str((await succeeds(home(household, LAPTOP), "remember", "Bread and milk.", "--namespace", "noon"))["id"])
    await agreed(household)
    await household.power_cut()
    for number, text, title in (
        (LAPTOP, "Rye bread and milk.", "Shopping"),
        (PHONE, "Bread and oat milk.", "List"),
        (TABLET, "Bread and milk. Coffee, too.", "Errands"),
    ):
        await run_apart(household, number, "edit", kept, "--text", text)
        await run_apart(household, number, "sql", f"UPDATE memories SET title = '{title}' WHERE namespace = 'noon'")
    await household.start()
    await agreed(household)
    for number in range(3):
        assert await texts(household, number, "namespace = 'noon'") == ["Rye bread and oat milk. Coffee, too."]
    listed = [await succeeds(home(household, number), "conflicts", "list") for number in range(3)]
    losing = [sorted(str(one["key"]) for one in objects(answer["conflicts"])) for answer in listed]
    assert len(losing[0]) == 2, "two of three titles lost, and are kept"
    assert losing[0] == losing[1] == losing[2]
    await succeeds(home(household, PHONE), "conflicts", "resolve", losing[0][0], "--keep", "other")
    await agreed(household)
    for number in range(3):
        answer = await succeeds(home(household, number), "conflicts", "list")
        assert objects(answer["conflicts"]) == [], "a choice made by one who saw all settles it everywhere"


async def test_in_the_evening_every_device_was_killed_while_all_of_them_wrote_and_all_agree(
    household: Household,
) -> None:
    async def write(number: int, count: int) -> list[str]:
        kept: list[str] = []
        for turn in range(count):
            outcome = await nuthatch(
                home(household, number), "remember", f"Thought {turn} of {number}.", "--namespace", "evening"
            )
            if outcome.exit_code != 0:
                break
            kept.append(f"Thought {turn} of {number}.")
        return kept

    acknowledged: list[str] = []
    for victim in range(3):
        writing = [asyncio.create_task(write(number, 3)) for number in range(3)]
        await asyncio.wait(writing, return_when=asyncio.FIRST_COMPLETED, timeout=2)
        await household.devices[victim].crash()
        for part in await asyncio.gather(*writing):
            acknowledged += part
        await household.power_cut()
        await household.start()
    held = await agreed(household)
    for number in range(3):
        shown = await texts(household, number, "namespace = 'evening'")
        assert set(acknowledged) <= set(map(str, shown)), "an acknowledged memory is gone"
    assert {"conversations", "memories"} <= set(held)
    statuses = await asyncio.gather(*(succeeds(home(household, number), "status") for number in range(3)))
    assert all(not objects(status["streams"])[0].get("pending_in") for status in statuses)

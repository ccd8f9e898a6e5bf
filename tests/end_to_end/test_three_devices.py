"""Three devices import real conversations, are cut off, edited apart, killed and joined again, and end equal."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from tests.support.conversations import conversation_files, turns_of
from tests.support.household import Household
from tests.support.program import Fields, nuthatch, objects, rows, succeeds

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.long]

# The tests of this module tell one story: each goes on where the one before ended.


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def household(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Household]:
    household = Household(tmp_path_factory.mktemp("three-devices"), "correct horse battery staple")
    try:
        await household.move_in()
        yield household
    finally:
        await household.move_out()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return conversation_files(tmp_path_factory.mktemp("conversations"))


def homes(household: Household) -> list[Path]:
    return [device.home.directory for device in household.devices]


async def count(home: Path, table: str) -> object:
    return rows(await succeeds(home, "sql", f"SELECT count(*) FROM {table}"))[0][0]


def digests(streams: Sequence[Fields]) -> dict[str, tuple[object, object]]:
    """Return rows and digest by stream, as the program reports them."""
    return {str(stream["name"]): (stream["rows"], stream["digest"]) for stream in streams}


async def agreed(household: Household) -> dict[str, tuple[object, object]]:
    """Wait until every device is in sync with every other; return what all of them hold."""
    reports = await household.in_sync()
    held = [digests(msgspec.to_builtins(report.streams)) for report in reports]
    assert held[0]
    assert held[0] == held[1] == held[2]
    return held[0]


async def test_conversations_imported_on_different_devices_reach_all_of_them(
    household: Household, files: list[Path]
) -> None:
    for number, file in enumerate(files):
        home = homes(household)[number % 3]
        imported = await succeeds(home, "import", str(file))
        assert imported["unchanged"] == imported["skipped"] == 0
        assert int(str(imported["added"])) > turns_of(file)
    held = await agreed(household)
    assert {"conversations", "memories"} <= set(held)
    turns = sum(turns_of(file) for file in files)
    assert turns > 50
    for home in homes(household):
        assert await count(home, "messages") == turns
        assert await count(home, "conversations") == len(files)


async def test_importing_again_on_another_device_changes_nothing(household: Household, files: list[Path]) -> None:
    before = await agreed(household)
    imported = await succeeds(homes(household)[1], "import", str(files[0]))
    assert imported["added"] == 0
    assert imported["unchanged"] != 0
    assert await agreed(household) == before


async def test_a_memory_kept_on_one_device_is_recalled_on_the_others(household: Household) -> None:
    laptop, phone, tablet = homes(household)
    kept = await succeeds(
        laptop, "remember", "The boiler's number is 0800-PILOT.", "--tag", "house", "--namespace", "home"
    )
    await agreed(household)
    for home in (phone, tablet):
        results = objects((await succeeds(home, "recall", "boiler's number?", "-k", "3"))["results"])
        assert results[0]["id"] == kept["id"]
        assert results[0]["table"] == "memories"
        assert results[0]["text"] == "The boiler's number is 0800-PILOT."


async def test_devices_edited_apart_agree_after_a_power_cut(household: Household) -> None:
    laptop = homes(household)[0]
    kept = str((await succeeds(laptop, "remember", "Dentist on Monday.", "--tag", "draft"))["id"])
    forgotten = await some_message(laptop)
    await agreed(household)
    await household.power_cut()

    on_laptop, on_phone, on_tablet = (unlocked(household, number) for number in range(3))
    dentist = "WHERE content LIKE 'Dentist on%'"
    await asyncio.gather(
        on_laptop("edit", kept, "--text", "Dentist on Monday at nine."),
        on_phone("sql", f"UPDATE memories SET use_count = use_count + 2, tags = '[\"health\"]' {dentist}"),
    )
    await asyncio.gather(
        on_laptop("sql", f"UPDATE memories SET use_count = use_count + 3 {dentist}"),
        on_phone("edit", forgotten, "--text", "corrected without knowing"),
        on_tablet("edit", kept, "--text", "Dentist on Tuesday."),
    )
    await on_tablet("forget", forgotten)
    apart = await asyncio.gather(on_laptop("status"), on_phone("status"), on_tablet("status"))
    assert len({str(digests(objects(status["streams"]))) for status in apart}) == 3
    assert not any(peer["in_sync"] for status in apart for peer in objects(status["peers"]))

    await household.start()
    statuses = await asyncio.gather(*(succeeds(home, "status", "--wait", "40") for home in homes(household)))
    held = [digests(objects(status["streams"])) for status in statuses]
    assert held[0] == held[1] == held[2]
    assert all(peer["in_sync"] for status in statuses for peer in objects(status["peers"]))
    records = await asyncio.gather(*(succeeds(home, "show", kept) for home in homes(household)))
    assert records[0] == records[1] == records[2]
    fields = records[0]["fields"]
    assert isinstance(fields, dict)
    assert fields["content"] == "Dentist on Tuesday at nine."
    assert fields["use_count"] == 5
    assert fields["tags"] == ["health"]
    for gone in await asyncio.gather(*(nuthatch(home, "show", forgotten) for home in homes(household))):
        assert gone.exit_code != 0
        assert forgotten in gone.error


async def test_an_import_does_not_bring_back_what_was_forgotten(household: Household, files: list[Path]) -> None:
    home = homes(household)[0]
    before = await count(home, "messages")
    imported = await asyncio.gather(*(succeeds(home, "import", str(file)) for file in files))
    assert sum(int(str(result["skipped"])) for result in imported) >= 1
    assert sum(int(str(result["added"])) for result in imported) == 0
    assert await count(home, "messages") == before


async def test_an_export_is_the_same_on_every_device_and_can_be_read_back(household: Household, tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.jsonl" for number in range(3)]
    await asyncio.gather(
        *(
            succeeds(home, "export", "--format", "jsonl", "--output", str(file))
            for home, file in zip(homes(household), files, strict=True)
        )
    )
    exports = [sorted(line for line in file.read_bytes().splitlines() if b'"nuthatch"' not in line) for file in files]
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in files)
    assert exports[0] == exports[1] == exports[2]
    assert len(exports[0]) > 100
    again = await succeeds(homes(household)[1], "import", str(files[0]))
    assert again["added"] == again["skipped"] == 0


async def test_a_cut_connection_is_noticed_and_mended(household: Household) -> None:
    for cable in household.cables:
        await cable.pull()
    _, phone, tablet = homes(household)
    await succeeds(phone, "remember", "Written while nobody was there.")
    outcome = await nuthatch(phone, "status", "--wait", "0.2")
    assert outcome.exit_code == 1
    assert all(not peer["in_sync"] and peer["why"] for peer in objects(outcome.last["peers"]))
    for cable in household.cables:
        cable.plug()
    await agreed(household)
    results = objects((await succeeds(tablet, "recall", "nobody was there"))["results"])
    assert results[0]["text"] == "Written while nobody was there."


async def some_message(home: Path) -> str:
    """Return the id of a message, in the spelling that commands take."""
    results = objects((await succeeds(home, "recall", "the", "-k", "50"))["results"])
    return next(str(result["id"]) for result in results if result["table"] == "messages")


def unlocked(household: Household, number: int) -> Callable[..., Awaitable[Fields]]:
    """Return what runs a command on a home whose node does not run."""
    device = household.devices[number]

    def run(*arguments: str) -> Awaitable[Fields]:
        return succeeds(device.home.directory, *arguments, "--passphrase-file", str(device.passphrase_file))

    return run

"""Two devices write apart; the person sees both versions, chooses, takes it back, looks at the log and forgets."""

import asyncio
from pathlib import Path

import msgspec

from node.demo.device import Device
from node.requests import (
    EDIT,
    RECALL,
    REMEMBER,
    SQL,
    Caller,
    EditRequest,
    RecallRequest,
    RememberRequest,
    SqlRequest,
)
from tests.support.household import Household

Answer = dict[str, object]
ANSWERS: msgspec.json.Decoder[Answer] = msgspec.json.Decoder(Answer)


async def asked(device: Device, command: str, *arguments: str) -> Answer:
    """Run a command that answers once and return its answer."""
    running = await device.command(command, *arguments)
    answer = await running.next_event(ANSWERS)
    await running.finish()
    return answer


async def name_it(caller: Caller, memory: str, title: str) -> None:
    statement = f"UPDATE memories SET title = '{title}' WHERE id = x'{memory.replace('-', '')}'"
    await caller.call(SQL, SqlRequest(statement=statement))


async def live_through_it(household: Household) -> None:
    laptop, phone = household.devices
    async with laptop.reached() as caller:
        memory = (await caller.call(REMEMBER, RememberRequest(text="The key is under the third pot."))).id
    await household.in_sync()
    for cable in household.cables:
        await cable.pull()
    async with laptop.reached() as caller:
        await name_it(caller, memory, "Oak")
    async with phone.reached() as caller:
        await name_it(caller, memory, "Elm")
        await caller.call(EDIT, EditRequest(id=memory, text="The key is under the fourth pot."))
    for cable in household.cables:
        cable.plug()
    reports = await household.in_sync()
    assert [report.conflicts for report in reports] == [1, 1]

    inbox = await asked(laptop, "conflicts")
    assert inbox["open"] == 1
    (conflict,) = msgspec.convert(inbox["conflicts"], list[Answer])
    key = str(conflict["key"])
    resolved = await asked(laptop, "conflicts", "resolve", key[:8], "--keep", "other")
    assert resolved["value"] == "Oak"
    await household.in_sync()
    assert (await asked(phone, "conflicts", "list"))["open"] == 0
    assert (await asked(phone, "conflicts", "show", key))["choice"] == "other"
    assert (await asked(phone, "conflicts", "undo", key))["restored"] is True
    await household.in_sync()
    assert (await asked(laptop, "show", memory))["fields"]["title"] == "Elm"  # type: ignore[index]

    entries = msgspec.convert((await asked(laptop, "log", memory))["entries"], list[Answer])
    assert {entry["device"] for entry in entries} == {"laptop", "phone"}
    assert entries[-1]["what"] == "created"
    assert (await asked(laptop, "forget", memory, "--dry-run"))["rows_by_table"] == {"memories": 1}
    assert (await asked(laptop, "forget", memory))["conflicts"] == 1
    await household.in_sync()
    async with phone.reached() as caller:
        assert (await caller.call(RECALL, RecallRequest(query="key pot"))).results == []
    last = msgspec.convert((await asked(phone, "log", memory))["entries"], list[Answer])
    assert [(entry["what"], entry["device"]) for entry in last] == [("forgotten", "laptop")]


def test_conflicts_history_and_forgetting_work_across_two_devices(tmp_path: Path) -> None:
    async def story() -> None:
        household = Household(tmp_path, "a passphrase of the device", ("laptop", "phone"))
        try:
            await household.move_in()
            await live_through_it(household)
        finally:
            await household.move_out()

    asyncio.run(story())

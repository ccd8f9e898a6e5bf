"""A row that the disk changed on one device is found there and comes back from another, over the wire."""

from pathlib import Path

import pytest

from node.composition import init_home
from node.errors import DamagedRowError
from node.home import Home
from node.keys.key_file import unlock_key_file
from node.requests import (
    DOCTOR,
    LIST,
    REMEMBER,
    SHOW,
    STATUS,
    Caller,
    DoctorRequest,
    Examined,
    ListRequest,
    RememberRequest,
    ShowRequest,
    StatusReport,
    StatusRequest,
)
from tests.support.damage import tamper
from tests.support.two_devices import (
    NEW_PASSPHRASE,
    OWNER_PASSPHRASE,
    PASSPHRASE,
    Persons,
    code_of,
    config_of,
    join,
    node,
    pairing_at,
)

WAIT_SECONDS = 20.0


async def in_sync(caller: Caller) -> StatusReport:
    """Return the status once the other device agrees."""
    status = await caller.call(STATUS, StatusRequest(wait_seconds=WAIT_SECONDS))
    assert [peer.in_sync for peer in status.peers] == [True], status.peers
    return status


async def broken(caller: Caller, request: DoctorRequest) -> dict[str, str]:
    """Return what is broken, and what was mended."""
    async for event in caller.stream(DOCTOR, request):
        if isinstance(event, Examined):
            told: dict[str, str] = {}
            for finding in event.findings:
                if finding.state == "bad" or finding.name == "mended":
                    told[finding.name] = f"{told.get(finding.name, '')} {finding.says}".strip()
            return told
    raise AssertionError("an examination ends with its findings")


# What a newcomer got as batches its own log proves; of more than 64 batches it got the rows alone.
@pytest.mark.parametrize(
    ("memories", "mended"), [(70, "taken out; Laptop holds them"), (30, "rebuilt from this device's own log")]
)
@pytest.mark.parametrize("statement", ["UPDATE memories SET content = 'text 77'", "DELETE FROM _row_memories"])
async def test_a_damaged_row_comes_back_from_the_other_device_or_from_the_own_log(
    tmp_path: Path, statement: str, memories: int, mended: str
) -> None:
    laptop, phone = config_of(tmp_path / "laptop"), Home(tmp_path / "phone")
    init_home(laptop, name="Laptop", passphrase=PASSPHRASE, owner_passphrase=OWNER_PASSPHRASE)
    async with node(laptop) as (client, ready):
        for number in range(memories):
            await client.call(REMEMBER, RememberRequest(text=f"text {number}"))
        pairing = pairing_at(client)
        await join(phone, (await code_of(pairing)).code, Persons(client, pairing).compare)
        key = unlock_key_file(phone.key_file, passphrase=NEW_PASSPHRASE).master_key.database_key
        tamper(phone.store_file, f"{statement} WHERE id IN (SELECT id FROM memories WHERE content = 'text 7')", key=key)
        async with node(config_of(phone.directory), NEW_PASSPHRASE, ready.listen) as (damaged, _):
            # Both say that they agree, for digests are of what was written: only the disk tells otherwise.
            await in_sync(damaged)
            assert "rows" in await broken(damaged, DoctorRequest(scrub=True))
            found = await broken(damaged, DoctorRequest(repair=True))
            assert mended in found["mended"]
            await in_sync(damaged)
            assert await broken(damaged, DoctorRequest(scrub=True)) == {}
            digests = [
                [(stream.name, stream.rows, stream.digest) for stream in (await in_sync(caller)).streams]
                for caller in (client, damaged)
            ]
            assert digests[0] == digests[1]
            for caller in (client, damaged):
                (row_id,) = await ids_of(caller, "text 7")
                assert (await caller.call(SHOW, ShowRequest(id=row_id))).fields["content"] == "text 7"


async def ids_of(caller: Caller, text: str) -> list[str]:
    """Return the ids of the memories that say exactly this."""
    memories = (await caller.call(LIST, ListRequest(limit=100))).memories
    return [memory.id for memory in memories if memory.text == text]


async def test_a_damaged_record_is_not_shown(tmp_path: Path) -> None:
    laptop = config_of(tmp_path / "laptop")
    init_home(laptop, name="Laptop", passphrase=PASSPHRASE, owner_passphrase=OWNER_PASSPHRASE)
    async with node(laptop) as (client, _):
        row_id = (await client.call(REMEMBER, RememberRequest(text="text"))).id
    home = Home(laptop.home_directory)
    key = unlock_key_file(home.key_file, passphrase=PASSPHRASE).master_key.database_key
    tamper(home.store_file, "UPDATE memories SET content = 'another'", key=key)
    async with node(laptop) as (client, _):
        with pytest.raises(DamagedRowError, match=row_id):
            await client.call(SHOW, ShowRequest(id=row_id))

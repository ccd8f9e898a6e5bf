"""Two real devices over real sockets on loopback: joining, and meeting again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from node.composition import open_home
from node.config import NodeConfig
from node.errors import UsageError
from node.home import Home
from node.joining import Joined, SasShown, Synced
from node.operations.table import LocalCaller
from node.requests import (
    LIST,
    REMEMBER,
    STATUS,
    Delivered,
    ListRequest,
    Paired,
    RememberRequest,
    StatusReport,
    StatusRequest,
)
from tests.support.two_devices import (
    NEW_PASSPHRASE,
    Persons,
    code_of,
    config_of,
    device_names,
    join,
    never_asked,
    node,
    pairing_at,
)


async def test_a_device_joins_by_scanned_code_and_holds_everything(laptop: NodeConfig, phone: Home) -> None:
    async with node(laptop) as (client, _):
        for number in range(3):
            await client.call(REMEMBER, RememberRequest(text=f"memory {number}"))
        pairing = pairing_at(client)
        persons = Persons(client, pairing)
        first, joined, *_, synced = await join(phone, (await code_of(pairing)).code, persons.compare)
        paired = await anext(pairing)
        assert isinstance(first, SasShown)
        assert isinstance(joined, Joined)
        assert isinstance(synced, Synced)
        assert synced.rows == 3
        assert persons.asked is not None
        assert persons.asked.name == "Phone"
        assert not persons.asked.name_taken
        assert (persons.asked.readable.memories, persons.asked.readable.rows) == (3, 3)
        assert paired == Paired(device_id=joined.device_id, name="Phone", rows=3)
        delivered = await anext(pairing)
        assert isinstance(delivered, Delivered)
        assert (delivered.name, delivered.rows) == ("Phone", 3)
        with pytest.raises(StopAsyncIteration):
            await anext(pairing)
        assert sorted(await device_names(client)) == ["Laptop", "Phone"]
        laptop_status = await client.call(STATUS, StatusRequest())
    async with opened(config_of(phone.directory)) as caller:
        phone_status = await caller.call(STATUS, StatusRequest())
        assert len((await caller.call(LIST, ListRequest())).memories) == 3
    assert phone_status.realm_id == laptop_status.realm_id
    assert digests(phone_status) == digests(laptop_status)


@asynccontextmanager
async def opened(config: NodeConfig) -> AsyncIterator[LocalCaller]:
    with open_home(config, passphrase=NEW_PASSPHRASE) as service:
        yield LocalCaller(service)


def digests(report: StatusReport) -> dict[str, tuple[int, str]]:
    return {stream.name: (stream.rows, stream.digest) for stream in report.streams}


async def test_a_typed_code_needs_an_address_and_works_with_one(laptop: NodeConfig, phone: Home) -> None:
    async with node(laptop) as (client, ready):
        pairing = pairing_at(client)
        typed = (await code_of(pairing)).typed
        with pytest.raises(UsageError, match="--peer"):
            await join(phone, typed, never_asked)
        await join(phone, typed.lower().replace("-", " "), Persons(client, pairing).compare, ready.listen)
        assert sorted(await device_names(client)) == ["Laptop", "Phone"]


async def test_a_joined_device_finds_the_one_it_joined_through_without_being_told_again(
    laptop: NodeConfig, phone: Home
) -> None:
    async with node(laptop) as (client, ready):
        pairing = pairing_at(client)
        await join(phone, (await code_of(pairing)).code, Persons(client, pairing).compare)
        async with node(config_of(phone.directory), NEW_PASSPHRASE) as (at_phone, _):
            (peer,) = (await at_phone.call(STATUS, StatusRequest(wait_seconds=20))).peers
            assert (peer.name, peer.connected, peer.in_sync) == ("Laptop", True, True)
        assert ready.listen not in (phone.directory / "device.key").read_text()


async def test_both_devices_keep_in_sync_after_they_were_started_again(laptop: NodeConfig, phone: Home) -> None:
    async with node(laptop) as (client, _):
        pairing = pairing_at(client)
        await join(phone, (await code_of(pairing)).code, Persons(client, pairing).compare)
    async with (
        node(laptop) as (at_laptop, ready),
        node(config_of(phone.directory), NEW_PASSPHRASE, ready.listen) as (at_phone, _),
    ):
        for number, client in enumerate((at_laptop, at_phone)):
            await client.call(STATUS, StatusRequest(wait_seconds=20))
            await client.call(REMEMBER, RememberRequest(text=f"written apart {number}"))
        reports = [await client.call(STATUS, StatusRequest(wait_seconds=20)) for client in (at_laptop, at_phone)]
        assert all(peer.in_sync and peer.connected for report in reports for peer in report.peers)
        while len((await at_laptop.call(LIST, ListRequest())).memories) < 2:
            await at_laptop.call(STATUS, StatusRequest(wait_seconds=20))
        assert digests(await at_laptop.call(STATUS, StatusRequest())) == digests(
            await at_phone.call(STATUS, StatusRequest())
        )

"""A typed code says no address: the device that shows it is found on the network, or the person is told why not."""

import asyncio
from dataclasses import replace

import pytest

from node.api.client import connect
from node.config import NodeConfig
from node.discovery.interfaces import Interface, interfaces
from node.errors import TransportError, UsageError
from node.home import Home
from node.joining import Joined, SasShown, Synced, join_realm
from node.running import Ready, run_node
from tests.support.two_devices import (
    CHEAP,
    NEW_PASSPHRASE,
    OTHER_CODE,
    PASSPHRASE,
    Persons,
    code_of,
    device_names,
    never_asked,
    pairing_at,
)


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what is asked and announced on this machine."""
    monkeypatch.setattr("node.discovery.pairing_search.interfaces", _loopback)


def _loopback() -> tuple[Interface, ...]:
    return tuple(interface for interface in interfaces() if interface.loopback)


async def test_a_typed_code_without_an_address_finds_the_device_that_shows_it(laptop: NodeConfig, phone: Home) -> None:
    stop = asyncio.Event()
    running = run_node(replace(laptop, discovery=True), passphrase=PASSPHRASE, stop=stop, listen="127.0.0.1:0")
    assert isinstance(await anext(running), Ready)

    async def watch() -> None:
        async for _ in running:
            pass

    watching = asyncio.create_task(watch())
    try:
        async with connect(Home(laptop.home_directory)) as client:
            pairing = pairing_at(client)
            shown = await code_of(pairing)
            persons = Persons(client, pairing)
            events = [
                event
                async for event in join_realm(
                    phone,
                    code=shown.typed.lower().replace(" ", ""),
                    name="Phone",
                    passphrase=NEW_PASSPHRASE,
                    confirm=persons.compare,
                    discovery=True,
                    cost=CHEAP,
                )
            ]
            kinds = [type(event) for event in events]
            assert kinds[0] is SasShown
            assert Joined in kinds
            assert kinds[-1] is Synced
            assert sorted(await device_names(client)) == ["Laptop", "Phone"]
    finally:
        stop.set()
        await watching


async def joining(phone: Home, *, discovery: bool) -> None:
    async for _ in join_realm(
        phone,
        code=OTHER_CODE,
        name="Phone",
        passphrase=NEW_PASSPHRASE,
        confirm=never_asked,
        discovery=discovery,
        cost=CHEAP,
    ):
        raise AssertionError("nobody shows this code")


async def test_when_nobody_shows_the_code_the_person_is_told_what_to_do(
    phone: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.discovery.places.SEARCH_SECONDS", 0.2)
    with pytest.raises(TransportError) as told:
        await joining(phone, discovery=True)
    assert str(told.value) == (
        "No device that shows this code was found on this network. Keep `nuthatch pair` open on the other device, in "
        "the same network; or add --peer HOST:PORT with the address where it listens."
    )
    assert not phone.directory.exists()


async def test_without_any_network_the_person_is_told_that(phone: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.discovery.pairing_search.interfaces", tuple)
    monkeypatch.setattr("node.discovery.places.SEARCH_SECONDS", 0.05)
    with pytest.raises(TransportError, match="This device is on no network on which others could be found"):
        await joining(phone, discovery=True)


async def test_where_discovery_is_off_a_typed_code_needs_an_address(phone: Home) -> None:
    with pytest.raises(UsageError, match="add --peer HOST:PORT"):
        await joining(phone, discovery=False)

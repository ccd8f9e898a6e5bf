"""A port that strangers crowd stays open for everybody else."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from node.transport.address import Address
from node.transport.door import Door, Room
from tests.support.nodes import PATIENCE_SECONDS, SteppedClock, until

ROOM = Room(strangers_max=4, per_address_max=2, seconds=5.0)


class Port:
    """A door on loopback, and who stands in it."""

    def __init__(self) -> None:
        self.clock = SteppedClock()
        self.door = Door(self._serving, clock=self.clock, room=ROOM)
        self.address = Address("127.0.0.1", 0)
        self.accepted: list[asyncio.Transport] = []
        self.present: list[str] = []
        self.writers: list[asyncio.StreamWriter] = []

    async def come(self, *hosts: str) -> list[asyncio.StreamReader]:
        """Connect from these addresses of loopback, one after the other, each once the one before was let in."""
        readers = []
        for host in hosts:
            already = len(self.accepted)
            reader, writer = await asyncio.open_connection(
                self.address.host, self.address.port, local_addr=(f"127.0.0.{host}", 0)
            )
            self.writers.append(writer)
            await until(lambda already=already: len(self.accepted) > already)  # type: ignore[misc]
            readers.append(reader)
        return readers

    def _serving(self) -> asyncio.Protocol:
        return _Serving(self)


class _Serving(asyncio.Protocol):
    def __init__(self, port: Port) -> None:
        self._port = port
        self._host = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._host = str(transport.get_extra_info("peername")[0]).removeprefix("127.0.0.")
        self._port.accepted.append(transport)
        self._port.present.append(self._host)

    def connection_lost(self, exc: Exception | None) -> None:
        self._port.present.remove(self._host)


@pytest.fixture
async def port() -> AsyncIterator[Port]:
    port = Port()
    port.address = await port.door.open(Address("127.0.0.1", 0))
    yield port
    port.door.close()
    for writer in port.writers:
        writer.close()


async def is_cut(reader: asyncio.StreamReader) -> bool:
    """Wait for the end of a connection."""
    try:
        return await asyncio.wait_for(reader.read(), PATIENCE_SECONDS) == b""
    except ConnectionResetError:
        return True


async def test_of_too_many_from_one_address_the_oldest_goes(port: Port) -> None:
    first, *_ = await port.come("1", "1", "1")
    assert await is_cut(first)
    await until(lambda: port.present == ["1", "1"])


async def test_of_too_many_in_all_the_oldest_of_the_most_crowded_address_goes(port: Port) -> None:
    _, first_of_two, *_ = await port.come("1", "2", "2", "3", "4")
    assert await is_cut(first_of_two)
    await until(lambda: sorted(port.present) == ["1", "2", "3", "4"])


async def test_where_each_has_an_address_of_its_own_the_oldest_goes(port: Port) -> None:
    first, *_ = await port.come("1", "2", "3", "4", "5")
    assert await is_cut(first)
    await until(lambda: port.present == ["2", "3", "4", "5"])


async def test_who_is_proven_is_not_counted_and_never_cut(port: Port) -> None:
    proven, *_ = await port.come("1")
    port.door.proven(port.accepted[0])
    await port.come(*"1112345")
    port.clock.ahead_seconds = 3600.0
    await until(lambda: port.present == ["1"])
    assert port.door.stranger_count() == 0
    port.writers[0].write(b"still here")
    assert not proven.at_eof()


async def test_a_stranger_has_only_seconds_whatever_it_says(port: Port) -> None:
    early, *_ = await port.come("1")
    port.clock.ahead_seconds = 3.0
    await port.come("2")
    port.writers[0].write(b"talking all the time")
    port.clock.ahead_seconds = 6.0
    assert await is_cut(early)
    assert port.present == ["2"]


async def test_who_has_gone_takes_no_place(port: Port) -> None:
    await port.come("1", "1")
    port.writers[0].close()
    await until(lambda: port.door.stranger_count() == 1)
    await port.come("1")
    assert port.present == ["1", "1"]


async def test_a_flood_is_told_in_one_line_a_minute(port: Port, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="node.transport.door"):
        await port.come(*"1111111")
        assert [record.message for record in caplog.records] == ["strangers cut off"]
        port.clock.ahead_seconds = 61.0
        await port.come("1")
        assert len(caplog.records) == 2


async def test_without_making_room_the_newest_would_wait_outside(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checks above notice a door that lets everybody stay."""
    monkeypatch.setattr(Door, "_who_goes", lambda _door, _host: None)
    await port.come("1", "1", "1")
    assert port.present == ["1", "1", "1"]

"""The demonstration's cable carries every byte both ways, and none while it is pulled out."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from node.demo.cable import Cable


async def shout_back(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer everything in capitals until the caller stops."""
    while chunk := await reader.read(1024):
        writer.write(chunk.upper())
        await writer.drain()
    writer.close()


@pytest_asyncio.fixture
async def echo_address() -> AsyncIterator[str]:
    server = await asyncio.start_server(shout_back, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    yield f"{host}:{port}"
    server.close()


async def dial(cable: Cable) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = cable.address.rpartition(":")
    return await asyncio.open_connection(host, int(port))


async def test_bytes_pass_both_ways_and_are_kept(echo_address: str) -> None:
    async with Cable(echo_address) as cable:
        reader, writer = await dial(cable)
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"HELLO"
        assert bytes(cable.carried) == b"helloHELLO"
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()


async def test_pulling_the_cable_breaks_connections_and_lets_no_new_ones_through(echo_address: str) -> None:
    async with Cable(echo_address) as cable:
        reader, writer = await dial(cable)
        writer.write(b"a")
        assert await reader.readexactly(1) == b"A"
        await cable.pull()
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        refused, refused_writer = await dial(cable)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await refused.readexactly(1)
        cable.plug()
        again, again_writer = await dial(cable)
        again_writer.write(b"b")
        assert await again.readexactly(1) == b"B"
        assert bytes(cable.carried) == b"aAbB"
        for end in (writer, refused_writer, again_writer):
            end.transport.abort()

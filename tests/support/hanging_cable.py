"""A connection that can hang: both ends stay open and nothing comes through, as when a network goes without a word."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from node.transport.address import parse_address


class HangingCable:
    """Forwards TCP connections; `hang` silences those that exist, and `silence` those to come as well."""

    def __init__(self) -> None:
        self.address = ""
        self.connections = 0
        self._carrying: set[asyncio.Task[None]] = set()
        self._hung: set[asyncio.Task[None]] = set()
        self._silent = False

    def hang(self) -> None:
        """Let every connection that exists hang for good."""
        self._hung |= self._carrying

    def silence(self, *, on: bool) -> None:
        """Let new connections hang, too; or no longer."""
        self._silent = on

    async def accept(self, destination: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection until either end closes it."""
        task = asyncio.current_task()
        assert task is not None
        self.connections += 1
        self._carrying.add(task)
        if self._silent:
            self._hung.add(task)
        far, ends = parse_address(destination), [writer]
        try:
            far_reader, far_writer = await asyncio.open_connection(far.host, far.port)
            ends.append(far_writer)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._carry(task, reader, far_writer))
                group.create_task(self._carry(task, far_reader, writer))
        except asyncio.CancelledError:
            pass  # cut
        finally:
            self._carrying.discard(task)
            for end in ends:
                end.transport.abort()

    async def _carry(
        self, task: "asyncio.Task[None]", reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with suppress(OSError):
            while chunk := await reader.read(1 << 16):
                if task not in self._hung:
                    writer.write(chunk)
                    await writer.drain()
            if task not in self._hung:
                writer.write_eof()

    async def cut(self) -> None:
        """End every connection."""
        for task in list(self._carrying):
            task.cancel()
        await asyncio.gather(*self._carrying, return_exceptions=True)


@asynccontextmanager
async def hanging_cable(destination: str) -> AsyncIterator[HangingCable]:
    """Lay a cable to a node."""
    cable = HangingCable()
    server = await asyncio.start_server(
        lambda reader, writer: cable.accept(destination, reader, writer), "127.0.0.1", 0
    )
    host, port = server.sockets[0].getsockname()
    cable.address = f"{host}:{port}"
    try:
        yield cable
    finally:
        server.close()
        await cable.cut()
        await server.wait_closed()

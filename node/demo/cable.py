"""A network cable between two nodes on loopback: it counts and keeps what it carries, and can be pulled out."""

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self

_CHUNK_BYTES = 1 << 16


class Cable:
    """Forwards TCP connections made to `address` to another address, as long as it is plugged in.

    While it is out, connections that exist break and new ones are closed at once, as if the other end were gone.
    """

    def __init__(self, destination: str) -> None:
        self._host, self._port = _host_and_port(destination)
        self._server: asyncio.Server | None = None
        self._plugged_in = True
        self._carrying: set[asyncio.Task[None]] = set()
        self.carried = bytearray()
        self.address = ""

    async def __aenter__(self) -> Self:
        """Lay the cable: `address` is where to dial from now on."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        self.address = f"{host}:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Take the cable away."""
        if self._server is not None:
            self._server.close()
        await self.pull()

    async def pull(self) -> None:
        """Pull the cable out: every connection over it breaks."""
        self._plugged_in = False
        for task in self._carrying:
            task.cancel()
        await asyncio.gather(*self._carrying, return_exceptions=True)

    def plug(self) -> None:
        """Put the cable back in."""
        self._plugged_in = True

    def lead_to(self, destination: str) -> None:
        """Let new connections end at another address, since a node that starts again listens somewhere else."""
        self._host, self._port = _host_and_port(destination)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._carrying.add(task)
        try:
            if self._plugged_in:
                await self._connect(reader, writer)
        except asyncio.CancelledError:
            pass  # pulled out
        finally:
            self._carrying.discard(task)
            writer.transport.abort()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(self._host, self._port)
        except OSError:
            return  # nobody listens there: the caller sees its connection close
        try:
            async with asyncio.TaskGroup() as directions:
                directions.create_task(self._carry(reader, far_writer))
                directions.create_task(self._carry(far_reader, writer))
        finally:
            far_writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Whichever way an end goes away, the connection is over; what it carried until then is counted.
        with suppress(OSError):
            while chunk := await reader.read(_CHUNK_BYTES):
                self.carried += chunk
                writer.write(chunk)
                await writer.drain()
            writer.write_eof()


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)

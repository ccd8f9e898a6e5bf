"""A cable that counts: forwards TCP between two devices and reads the lengths of the WebSocket frames that pass.

It understands nothing but the framing (RFC 6455 section 5.2), so what it counts does not depend on what the program
says of itself.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum

BINARY_OPCODE = 2
# Noise XX: one message there, one back, one there.
HANDSHAKE_MESSAGES = 3
_MASK_BYTES = 4


class Direction(Enum):
    """Which way a frame went."""

    FROM_DIALLER = "from the device that dialled"
    TO_DIALLER = "to the device that dialled"


@dataclass(frozen=True, slots=True)
class Frame:
    """One WebSocket frame: its opcode, and its length with its header."""

    direction: Direction
    opcode: int
    frame_bytes: int


class FrameReader:
    """Finds the frames in one direction of a connection, after the HTTP head that it begins with."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._head_passed = False

    def feed(self, data: bytes) -> list[tuple[int, int]]:
        """Take what passed; return opcode and length of each frame that is complete by now."""
        self._buffer += data
        if not self._head_passed:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return []
            del self._buffer[: end + 4]
            self._head_passed = True
        frames: list[tuple[int, int]] = []
        while (length := self._frame_bytes()) is not None and len(self._buffer) >= length:
            frames.append((self._buffer[0] & 0x0F, length))
            del self._buffer[:length]
        return frames

    def _frame_bytes(self) -> int | None:
        if len(self._buffer) < 2:
            return None
        mask_bytes = _MASK_BYTES if self._buffer[1] & 0x80 else 0
        payload_bytes = self._buffer[1] & 0x7F
        extended = {126: 2, 127: 8}.get(payload_bytes, 0)
        if len(self._buffer) < 2 + extended:
            return None
        if extended:
            payload_bytes = int.from_bytes(self._buffer[2 : 2 + extended])
        return 2 + extended + mask_bytes + payload_bytes


@dataclass(slots=True)
class Connection:
    """One connection that passed through the tap."""

    frames: list[Frame] = field(default_factory=list)
    close: Callable[[], None] = lambda: None

    def after_handshake(self) -> list[Frame]:
        """Return the binary frames after the Noise handshake."""
        return [frame for frame in self.frames if frame.opcode == BINARY_OPCODE][HANDSHAKE_MESSAGES:]


class Tap:
    """Listens on loopback and passes everything on to one address."""

    def __init__(self, target: str) -> None:
        host, port = target.rsplit(":", 1)
        self._host, self._port = host, int(port)
        self.connections: list[Connection] = []
        self._server: asyncio.Server | None = None

    async def start(self) -> str:
        """Listen; return host:port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def cut(self) -> None:
        """Cut every connection, as a pulled cable does."""
        for connection in self.connections:
            connection.close()

    async def stop(self) -> None:
        """Cut everything and listen no more."""
        self.cut()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection()
        self.connections.append(connection)
        far_reader, far_writer = await asyncio.open_connection(self._host, self._port)

        def cut() -> None:
            for end in (writer, far_writer):
                end.transport.abort()

        connection.close = cut
        await asyncio.gather(
            self._pass(reader, far_writer, connection, Direction.FROM_DIALLER),
            self._pass(far_reader, writer, connection, Direction.TO_DIALLER),
        )

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: Connection, direction: Direction
    ) -> None:
        frames = FrameReader()
        # A cut cable is what the measurement does on purpose.
        with suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                connection.frames += [Frame(direction, opcode, length) for opcode, length in frames.feed(data)]
                writer.write(data)
                await writer.drain()
        writer.close()

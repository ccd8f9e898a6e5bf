"""Standard input, read line by line, so that a passphrase, a text and an answer can follow one another."""

import os
from threading import Thread
from typing import TYPE_CHECKING

from node.cli.interruption import person_answers

if TYPE_CHECKING:
    pass

_CHUNK_BYTES = 1 << 16


class StandardInput:
    """Lines of a file descriptor.

    Reads go to the descriptor itself: Python's own buffered standard input may not be read from a thread that is
    still waiting when the process ends.
    """

    def __init__(self, descriptor: int = 0) -> None:
        self._descriptor = descriptor
        self._rest = b""
        self._ended = False

    def is_terminal(self) -> bool:
        """Say whether a person sits at the other end."""
        try:
            return os.isatty(self._descriptor)
        except OSError:
            return False

    def line(self) -> bytes | None:
        """Return the next line without its end, or None when there is no more."""
        while b"\n" not in self._rest and not self._ended:
            self._fill()
        if not self._rest:
            return None
        line, _, self._rest = self._rest.partition(b"\n")
        return line.removesuffix(b"\r")

    def everything(self) -> bytes:
        """Return all that has not been read yet."""
        while not self._ended:
            self._fill()
        content, self._rest = self._rest, b""
        return content

    async def next_line(self) -> bytes | None:
        """Return the next line without blocking the event loop; a cancelled wait does not hold up the process's end."""
        import asyncio

        loop = asyncio.get_running_loop()
        answer: asyncio.Future[bytes | None] = loop.create_future()

        def deliver(line: bytes | None) -> None:
            if not answer.done():
                answer.set_result(line)

        def read() -> None:
            line = self.line()
            if not loop.is_closed():
                loop.call_soon_threadsafe(deliver, line)

        Thread(target=read, name="standard-input", daemon=True).start()
        return await answer

    def _fill(self) -> None:
        try:
            with person_answers():
                chunk = os.read(self._descriptor, _CHUNK_BYTES)
        except OSError:
            chunk = b""  # a closed or missing standard input has no lines
        self._ended = not chunk
        self._rest += chunk

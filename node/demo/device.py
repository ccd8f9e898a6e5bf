"""A device of the demonstration: a home of its own, driven through the program's own commands and local API."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import msgspec

from node.api.client import connect
from node.errors import HostError
from node.home import Home
from node.requests import Caller
from node.running import Ready

S = TypeVar("S")

# Longer than anything takes on a slow machine; what hangs for longer is a failure.
ANSWER_SECONDS = 60.0
PROGRAM = (sys.executable, "-m", "node")
_ERROR_LINES = 5


class DemoError(HostError):
    """The demonstration did not go as it must."""


class _Failure(msgspec.Struct, frozen=True):
    error: str


class Command:
    """A `nuthatch` command in a process of its own that speaks JSON lines."""

    def __init__(self, process: asyncio.subprocess.Process, what: str, log_file: Path) -> None:
        self._process = process
        self._what = what
        self._log_file = log_file

    async def next_event(self, decoder: "msgspec.json.Decoder[S]") -> S:
        """Return the next line as a value; raises `DemoError` with the command's own sentence if it failed."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                line = await self.read_line()
        except TimeoutError:
            raise DemoError(f"`{self._what}` said nothing for {ANSWER_SECONDS:.0f} seconds.") from None
        if not line:
            raise DemoError(f"`{self._what}` ended before its time. {self._last_words()}")
        if line.startswith(b'{"error":'):
            raise DemoError(f"`{self._what}` failed: {msgspec.json.decode(line, type=_Failure).error}")
        return decoder.decode(line)

    async def read_line(self) -> bytes:
        """Return the next line as it is, however long it takes; nothing once the command has ended."""
        assert self._process.stdout is not None
        return await self._process.stdout.readline()

    async def say(self, answer: str) -> None:
        """Type an answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(answer.encode() + b"\n")
        await self._process.stdin.drain()

    def hang_up(self) -> None:
        """End the command's standard input, as Ctrl-D does."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    async def finish(self) -> None:
        """Wait for the command's good end; raises `DemoError` for another one."""
        _, _ = await asyncio.wait_for(self._process.communicate(), ANSWER_SECONDS)
        if self._process.returncode != 0:
            raise DemoError(f"`{self._what}` ended with exit code {self._process.returncode}. {self._last_words()}")

    def interrupt(self) -> None:
        """Ask the command to stop, as Ctrl-C does."""
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGINT)

    async def ended(self) -> int:
        """Wait until the process is gone; return its exit code."""
        return await self._process.wait()

    def kill(self) -> None:
        """End the process if it still runs; for the way out of a failure."""
        if self._process.returncode is None:
            self._process.kill()

    def _last_words(self) -> str:
        lines = self._log_file.read_text(errors="replace").splitlines()[-_ERROR_LINES:]
        return "Its last words: " + " / ".join(lines) if lines else "It left no message."


class Device:
    """One home and the processes that work on it."""

    def __init__(
        self,
        name: str,
        directory: Path,
        passphrase_file: Path,
        environment: Mapping[str, str],
        program: Sequence[str] = PROGRAM,
    ) -> None:
        self.name = name
        self._program = program
        self.home = Home(directory)
        self.listen = ""
        self.passphrase_file = passphrase_file
        self._environment = {**os.environ, **environment}
        self.log_file = directory.with_suffix(".log")
        self.told = bytearray()
        self._node: Command | None = None
        self._draining: asyncio.Task[None] | None = None

    async def command(self, name: str, *arguments: str, unlock: bool = False) -> Command:
        """Start a command on this device's home."""
        given = (*arguments, "--passphrase-file", str(self.passphrase_file)) if unlock else arguments
        with self.log_file.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *self._program,
                "--home",
                str(self.home.directory),
                "--json",
                name,
                *given,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=self._environment,
            )
        return Command(process, f"nuthatch {name}", self.log_file)

    async def pair(self) -> Command:
        """Open a pairing window on the running node."""
        return await self.command("pair", "--owner-passphrase-file", str(self.passphrase_file))

    async def start(self, peers: Sequence[str] = (), *, listen: str = "127.0.0.1:0") -> None:
        """Run this device's node until `stop`."""
        dialled = [argument for peer in peers for argument in ("--peer", peer)]
        self._node = await self.command("run", "--listen", listen, *dialled, unlock=True)
        ready = await self._node.next_event(msgspec.json.Decoder(Ready))
        self.listen = ready.listen
        self._draining = asyncio.create_task(self._drain(self._node))

    async def stop(self) -> None:
        """Stop the node in good order."""
        node, self._node = self._node, None
        if node is not None and self._draining is not None:
            node.interrupt()
            await self._draining  # what it says last is read until its output ends
            self._draining = None
            await node.finish()

    async def crash(self) -> None:
        """End the node at once if it runs, as a power cut does: nothing is written or said any more."""
        node, self._node = self._node, None
        if node is not None:
            node.kill()
            await node.ended()
        if self._draining is not None:
            await self._draining  # its input has ended
            self._draining = None

    @asynccontextmanager
    async def reached(self) -> AsyncIterator[Caller]:
        """Reach the running node through its local API."""
        async with connect(self.home) as client:
            yield client

    async def _drain(self, node: Command) -> None:
        """Read what the node tells, or its output would fill up and the node would wait for a reader."""
        while line := await node.read_line():
            self.told += line

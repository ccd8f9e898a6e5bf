"""A node that a supervisor started tells it when it is ready and when it stops, as sd_notify(3) says."""

import asyncio
import os
import signal
import socket
from pathlib import Path

from tests.support.household import make_device
from tests.support.program import CONSOLE_SCRIPT, ENVIRONMENT, succeeds

PATIENCE_SECONDS = 30.0


async def test_the_supervisor_hears_of_the_nodes_beginning_and_end(tmp_path: Path) -> None:
    device = make_device(tmp_path, "desk", "secret")
    home, unlock = str(device.home.directory), ("--passphrase-file", str(device.passphrase_file))
    await succeeds(device.home.directory, "init", "--name", "desk", *unlock)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as hears:
        hears.bind(str(tmp_path / "notify"))
        hears.setblocking(False)
        node = await asyncio.create_subprocess_exec(
            CONSOLE_SCRIPT, "--home", home, "run", "--listen", "127.0.0.1:0", *unlock,
            stdout=asyncio.subprocess.DEVNULL,
            env={**os.environ, **ENVIRONMENT, "NOTIFY_SOCKET": str(tmp_path / "notify")},
        )  # fmt: skip
        try:
            assert await _heard(hears) == b"READY=1"
            assert device.home.api_file.exists()
            node.send_signal(signal.SIGTERM)
            assert await _heard(hears) == b"STOPPING=1"
            assert await asyncio.wait_for(node.wait(), PATIENCE_SECONDS) == 0
        finally:
            if node.returncode is None:
                node.kill()
                await node.wait()


async def _heard(hears: socket.socket) -> bytes:
    return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(hears, 100), PATIENCE_SECONDS)

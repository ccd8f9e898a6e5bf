"""What a crash of the node could leave on the disk."""

import asyncio
import os
import resource
from pathlib import Path

import msgspec
import pytest

from node.running import Ready
from tests.support.household import make_device
from tests.support.program import CONSOLE_SCRIPT, ENVIRONMENT, succeeds

PATIENCE_SECONDS = 30.0


@pytest.mark.skipif(not Path("/proc/self/limits").exists(), reason="only Linux tells the limits of another process")
@pytest.mark.skipif(resource.getrlimit(resource.RLIMIT_CORE)[1] == 0, reason="nothing can dump core here anyway")
async def test_a_running_node_can_leave_no_core_dump(tmp_path: Path) -> None:
    device = make_device(tmp_path, "desk", "secret")
    unlock = ("--passphrase-file", str(device.passphrase_file))
    await succeeds(device.home.directory, "init", "--name", "desk", *unlock)
    node = await asyncio.create_subprocess_exec(
        CONSOLE_SCRIPT, "--home", str(device.home.directory), "--json", "run", "--listen", "127.0.0.1:0", *unlock,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, **ENVIRONMENT},
    )  # fmt: skip
    try:
        assert node.stdout is not None
        first = await asyncio.wait_for(node.stdout.readline(), PATIENCE_SECONDS)
        msgspec.json.decode(first, type=Ready)
        assert core_limits(node.pid) == ["0", "0"]
    finally:
        node.terminate()
        await node.communicate()


def core_limits(pid: int) -> list[str]:
    """Return the soft and the hard limit of the size of a process's core dump."""
    limits = Path(f"/proc/{pid}/limits").read_text().splitlines()
    (core,) = (line.split() for line in limits if line.startswith("Max core file size"))
    return core[4:6]

"""Reaches whoever owns a home: the running node, or else this process itself."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from node.config import NodeConfig
from node.home import Home
from node.requests import Caller

PassphraseSource = Callable[[], str]

# A node that starts, or another command without one, owns the home before it can be reached; neither takes this long.
SETTLING_SECONDS = 5.0
POLL_SECONDS = 0.02


@asynccontextmanager
async def reach(config: NodeConfig, *, passphrase: PassphraseSource) -> AsyncIterator[Caller]:
    """Perform operations through the running node, or, if none runs, on the home opened by this process.

    `passphrase` is asked only in the second case. Raises what `connect` and `open_home` raise.
    """
    home = Home(config.home_directory)
    home.require()
    await _settled(home)
    # A command needs one of the two, and each loads some hundred modules.
    if home.is_owned() and home.api_file.exists():
        from node.api.client import connect

        async with connect(home) as client:
            yield client
    else:
        from node.composition import open_home
        from node.operations.table import LocalCaller

        with home.locked():
            pass  # An owner that cannot be reached is told before a passphrase is asked for.
        with open_home(config, passphrase=passphrase()) as service:
            yield LocalCaller(service)


async def _settled(home: Home) -> None:
    """Wait a little until the home is free or its owner can be reached; whoever comes next tells what is wrong."""
    with suppress(TimeoutError):
        async with asyncio.timeout(SETTLING_SECONDS):
            while home.is_owned() and not home.api_file.exists():  # noqa: ASYNC110  another process owns it
                await asyncio.sleep(POLL_SECONDS)

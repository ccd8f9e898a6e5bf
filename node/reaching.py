"""Reaches whoever owns a home: the running node, or else this process itself."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from node.config import NodeConfig
from node.home import Home
from node.requests import Caller

PassphraseSource = Callable[[], str]


@asynccontextmanager
async def reach(config: NodeConfig, *, passphrase: PassphraseSource) -> AsyncIterator[Caller]:
    """Perform operations through the running node, or, if none runs, on the home opened by this process.

    `passphrase` is asked only in the second case. Raises what `connect` and `open_home` raise.
    """
    home = Home(config.home_directory)
    home.require()
    # A command needs one of the two, and each loads some hundred modules.
    if home.is_owned():
        from node.api.client import connect

        async with connect(home) as client:
            yield client
    else:
        from node.composition import open_home
        from node.operations.table import LocalCaller

        with open_home(config, passphrase=passphrase()) as service:
            yield LocalCaller(service)

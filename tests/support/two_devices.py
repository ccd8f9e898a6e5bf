"""Two real devices and what the persons at their screens do, for tests of pairing."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from node.api.client import Client, connect
from node.config import NodeConfig, PassphraseCost
from node.home import Home
from node.joining import JoinEvent, join_realm
from node.requests import (
    DEVICES,
    PAIR,
    PAIR_ANSWER,
    CodeShown,
    ConfirmAsked,
    DevicesRequest,
    PairAnswerRequest,
    PairEvent,
    PairRequest,
)
from node.running import Ready, run_node
from sync.pairing_code import PairingCode

PASSPHRASE = "a passphrase of the device"
OWNER_PASSPHRASE = "a passphrase of the owner"
NEW_PASSPHRASE = "a passphrase of the newcomer"
CHEAP = PassphraseCost.INTERACTIVE
#: Well formed, and shown by nobody.
OTHER_CODE = PairingCode(secret=bytes(16)).typed


def config_of(directory: Path) -> NodeConfig:
    return NodeConfig(home_directory=directory, device_cost=CHEAP, owner_cost=CHEAP)


@asynccontextmanager
async def node(config: NodeConfig, passphrase: str = PASSPHRASE, *peers: str) -> AsyncIterator[tuple[Client, Ready]]:
    """Run a node and reach it as a command does."""
    stop = asyncio.Event()
    events = run_node(config, passphrase=passphrase, stop=stop, listen="127.0.0.1:0", peers=peers)
    ready = await anext(events)
    assert isinstance(ready, Ready)

    async def watch() -> None:
        async for _ in events:
            pass

    watching = asyncio.create_task(watch())
    try:
        async with connect(Home(config.home_directory)) as client:
            yield client, ready
    finally:
        stop.set()
        await watching


def pairing_at(client: Client, passphrase: str = OWNER_PASSPHRASE) -> AsyncGenerator[PairEvent, None]:
    return client.stream(PAIR, PairRequest(owner_passphrase=passphrase))


async def code_of(pairing: AsyncGenerator[PairEvent, None]) -> CodeShown:
    code = await anext(pairing)
    assert isinstance(code, CodeShown)
    return code


@dataclass
class Persons:
    """What the persons at both screens do; the one at the laptop is asked through the node's API."""

    client: Client
    pairing: AsyncGenerator[PairEvent, None]
    at_laptop: bool = True
    at_phone: bool = True
    asked: ConfirmAsked | None = None

    async def compare(self, sas: str) -> bool:
        asked = await anext(self.pairing)
        assert isinstance(asked, ConfirmAsked)
        assert asked.sas == sas
        self.asked = asked
        await self.client.call(PAIR_ANSWER, PairAnswerRequest(accept=self.at_laptop))
        return self.at_phone


async def join(
    home: Home, code: str, confirm: Callable[[str], Awaitable[bool]], *peers: str, name: str = "Phone"
) -> list[JoinEvent]:
    events = join_realm(home, code=code, name=name, passphrase=NEW_PASSPHRASE, confirm=confirm, peers=peers, cost=CHEAP)
    async with aclosing(events):
        return [event async for event in events]


async def never_asked(sas: str) -> bool:
    raise AssertionError("the person was asked although the code was not accepted")


async def device_names(client: Client) -> list[str]:
    return [device.name for device in (await client.call(DEVICES, DevicesRequest())).devices if device.active]


async def expect_no_device(client: Client, home: Home) -> None:
    """Nothing came of it: no second device in the roster, no file at the newcomer, and the node answers."""
    assert await device_names(client) == ["Laptop"]
    assert not home.directory.exists()

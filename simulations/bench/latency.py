"""How long after `remember` on one device `recall` finds the memory on another.

Two nodes run as `nuthatch run` does, in processes of their own, with messages already in their stores; the measuring
program asks both through their local APIs, as an assistant would. The clock starts before the request to remember is
sent and stops when an answer to a recall, asked again and again, holds the new memory's id.
"""

import asyncio
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from node.clock import SystemClock
from node.composition import create_home_store
from node.config import PassphraseCost
from node.demo.device import Device
from node.entropy import SystemEntropy
from node.home import Home
from node.keys.key_file import UnlockedKeys, new_keys, write_key_file
from node.requests import RECALL, REMEMBER, STATUS, Caller, RecallRequest, RememberRequest, StatusRequest
from node.schemas import CORE_COMPONENTS
from node.store.authoring import Author
from node.store.opening import open_store
from node.store.store import Store
from simulations.bench.messages import begin_conversation, insert_messages, transactions
from simulations.bench.realm import DEVICES, BenchRealm, found_realm
from simulations.bench.samples import Figure, figure

GOAL_MILLISECONDS_P50 = 25.0
GOAL_MILLISECONDS_P99 = 100.0
PASSPHRASE = "a passphrase of the benchmark"
SYNC_SECONDS_MAX = 120.0
FOUND_SECONDS_MAX = 10.0
# A person or an assistant does not write back to back; a node that idles must not be slower for it.
PAUSE_SECONDS = 0.02
_WARM_UP = 5


def measure(*, memories: int, messages: int) -> list[Figure]:
    """Return median and 99th percentile over so many memories, with so many messages in the stores."""
    milliseconds = asyncio.run(_measure(memories, messages))
    name = f"remember on A → recall on B, {messages:,} messages"
    return [
        figure(f"{name}, p50", "ms", milliseconds, goal=GOAL_MILLISECONDS_P50, better="less"),
        figure(f"{name}, p99", "ms", milliseconds, goal=GOAL_MILLISECONDS_P99, better="less", percentile=99),
    ]


async def _measure(memories: int, messages: int) -> list[float]:
    with TemporaryDirectory(prefix="nuthatch-bench-") as name:
        directory = Path(name)
        passphrase_file = directory / "passphrase"
        passphrase_file.write_text(PASSPHRASE)
        realm = found_realm(SystemClock().now_milliseconds())
        devices = [Device(name, directory / name, passphrase_file, {}) for name in DEVICES]
        for number, device in enumerate(devices):
            _make_home(device.home, realm, number, messages if number == 0 else 0)
        sender, receiver = devices
        try:
            await receiver.start()
            await sender.start(peers=[receiver.listen])
            async with sender.reached() as near, receiver.reached() as far:
                await _in_sync(near)
                for number in range(_WARM_UP):
                    await _seconds_until_found(near, far, f"warmup{number}")
                return [1000 * await _seconds_until_found(near, far, f"memory{number}") for number in range(memories)]
        finally:
            for device in devices:
                await device.crash()


def _make_home(home: Home, realm: BenchRealm, device: int, messages: int) -> None:
    """Make a home as `init` and `join` leave it, at the least cost of a passphrase, and fill its store."""
    clock, entropy = SystemClock(), SystemEntropy()
    keys = new_keys(realm.keys[device], realm.realm_id, entropy)
    home.create_directory()
    create_home_store(home, keys, realm.statements, clock, entropy)
    write_key_file(home.key_file, keys, passphrase=PASSPHRASE, cost=PassphraseCost.INTERACTIVE, entropy=entropy)
    if messages:
        store = _open_store(home, keys, realm.author(device))
        for rows in transactions(begin_conversation(store), messages):
            with store.transaction() as transaction:
                insert_messages(transaction, rows)
        store.close()


def _open_store(home: Home, keys: UnlockedKeys, author: Author) -> Store:
    return open_store(
        home.store_file,
        key=keys.master_key.database_key,
        author=author,
        components=CORE_COMPONENTS,
        clock=SystemClock(),
        entropy=SystemEntropy(),
    )


async def _in_sync(caller: Caller) -> None:
    """Wait until the peer has caught up; raises RuntimeError with what the node says if it does not."""
    give_up_at = time.monotonic() + SYNC_SECONDS_MAX
    while True:
        report = await caller.call(STATUS, StatusRequest())
        if all(peer.in_sync for peer in report.peers):
            return
        if time.monotonic() > give_up_at:
            raise RuntimeError(f"Not in sync after {SYNC_SECONDS_MAX:.0f} seconds: {report.peers}")
        await asyncio.sleep(0.05)


async def _seconds_until_found(near: Caller, far: Caller, word: str) -> float:
    """Remember a text with a word that no other has, and ask the other device for it until it answers."""
    await asyncio.sleep(PAUSE_SECONDS)
    started_at = time.perf_counter()
    remembered = await near.call(REMEMBER, RememberRequest(text=f"The measured memory is called {word}."))
    async with asyncio.timeout(FOUND_SECONDS_MAX):
        while True:
            recalled = await far.call(RECALL, RecallRequest(query=word, limit=1))
            if any(result.id == remembered.id for result in recalled.results):
                return time.perf_counter() - started_at

"""Watching a node as a program does: its events through a restart, and its figures, without a word of content."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import aiohttp
import msgspec
import pytest
import pytest_asyncio

from node.demo.device import Command, Device
from node.requests import LIST, REMEMBER, ListRequest, RememberRequest
from tests.node.test_metrics import parsed
from tests.support.canaries import sightings
from tests.support.household import found_realm, make_device
from tests.support.program import Fields, nuthatch, objects, succeeds

pytestmark = pytest.mark.asyncio(loop_scope="module")

CANARY, DEVICE_NAME = "memory-gnu-77PX", "desk-tapir-19KD"
EVENT: msgspec.json.Decoder[Fields] = msgspec.json.Decoder(dict[str, object])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def device(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Device]:
    """A device whose node runs; a test that stops it starts it again."""
    device = make_device(tmp_path_factory.mktemp("watching"), DEVICE_NAME, "secret")
    await found_realm(device)
    yield device
    await device.crash()


async def remember(device: Device, *tags: str) -> None:
    async with device.reached() as caller:
        await caller.call(REMEMBER, RememberRequest(text=CANARY, tags=list(tags)))


@asynccontextmanager
async def events(device: Device, *options: str) -> AsyncIterator[Command]:
    command = await device.command("events", *options)
    try:
        yield command
    finally:
        command.kill()
        await command.ended()


async def told(command: Command, count: int) -> Sequence[Fields]:
    return [await command.next_event(EVENT) for _ in range(count)]


async def test_events_are_followed_through_a_restart_until_enough_were_told(device: Device) -> None:
    async with events(device, "--count", "5") as following:
        assert await told(following, 1) == [{"event": "following"}]
        await remember(device)
        changed: Fields = {"event": "changed", "local": True, "changes_by_table": {"memories": 1}}
        assert await told(following, 1) == [changed]
        await device.crash()
        assert await told(following, 1) == [{"event": "lost"}]
        await device.start()
        assert await told(following, 1) == [{"event": "following"}]
        await remember(device)
        assert await told(following, 1) == [changed]
        assert await following.ended() == 0


async def test_only_the_kinds_that_are_wanted_are_told_and_ctrl_c_is_a_good_end(device: Device) -> None:
    async with events(device) as everything, events(device, "--kind", "notice", "--kind", "lost") as some:
        await told(everything, 1)
        await remember(device)
        assert (await told(everything, 1))[0]["event"] == "changed"
        everything.interrupt()
        assert await everything.ended() == 0
        await device.stop()
        assert await told(some, 1) == [{"event": "lost"}]
    await device.start()


async def test_without_a_node_following_fails_unless_it_is_to_wait(device: Device) -> None:
    await device.stop()
    home = device.home.directory
    assert (await nuthatch(home, "events")).exit_code == 4
    unknown = await nuthatch(home, "events", "--kind", "weather")
    assert (unknown.exit_code, "there are following, changed" in unknown.error) == (2, True)
    async with events(device, "--wait") as waiting:
        await device.start()
        assert await told(waiting, 1) == [{"event": "following"}]


async def test_figures_are_served_to_who_has_the_token_and_hold_no_word_of_the_person(device: Device) -> None:
    home = device.home.directory
    await remember(device, CANARY)
    async with device.reached() as caller:
        rows = len((await caller.call(LIST, ListRequest())).memories)
    address = msgspec.json.decode((home / "api.json").read_bytes(), type=dict[str, str])["address"]
    token = (home / "api.token").read_text()
    async with aiohttp.ClientSession() as session:
        async with session.get(f"http://{address}/metrics") as refused:
            assert refused.status == 403
        headers = {"Authorization": f"Bearer {token}"}
        async with session.get(f"http://{address}/metrics", headers=headers) as served:
            assert served.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
            text = await served.text()
    samples = parsed(text)
    stream = (("stream", "memories"),)
    assert samples["nuthatch_rows", stream] == rows
    assert samples["nuthatch_peers", ()] == 0
    assert samples["nuthatch_conflicts_open", ()] == 0
    assert samples["nuthatch_frames_total", (("direction", "in"),)] == 0
    assert samples["nuthatch_apply_seconds_bucket", (("le", "+Inf"),)] == 0
    assert samples["nuthatch_store_bytes", ()] > 4096
    frontier = {labels: value for (name, labels), value in samples.items() if name == "nuthatch_frontier_seq"}
    assert max(frontier.values()) == rows
    assert sightings({"a memory": CANARY.encode(), "the name": DEVICE_NAME.encode()}, {"/metrics": text.encode()}) == []
    # Every figure says what it is and of which kind.
    assert text.count("# HELP ") == text.count("# TYPE ") > 20


async def test_the_command_prints_the_same_figures_also_without_a_node(device: Device) -> None:
    home, unlock = device.home.directory, ("--passphrase-file", str(device.passphrase_file))
    with_node = await succeeds(home, "metrics")
    await device.stop()
    without = await succeeds(home, "metrics", *unlock)
    await device.start()
    names = [{str(figure["name"]) for figure in objects(answer["figures"])} for answer in (with_node, without)]
    assert names[0] - names[1] >= {"nuthatch_peers", "nuthatch_pending_batches", "nuthatch_apply_seconds"}
    assert names[1] >= {"nuthatch_rows", "nuthatch_frontier_seq", "nuthatch_store_bytes"}

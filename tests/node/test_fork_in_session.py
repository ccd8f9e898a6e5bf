"""Real nodes over loopback: a device set back without a trace settles its fork by itself, and all agree again."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import pytest

from node.store.incarnation_mark import mark_path
from node.store.incarnations import Cause
from tests.support.nodes import Node, live_realm, make_node, running, until
from tests.support.realm_factory import FoundedRealm


@dataclass(slots=True)
class Story:
    """Three devices of one realm; device 0 was written in two pasts."""

    realm: FoundedRealm
    directory: Path

    def node(self, device: int, *peers: Node) -> Node:
        """Return a node that keeps connections to `peers`, which run."""
        return make_node(self.realm, device, self.directory, peers=[peer.runtime.listen_address for peer in peers])

    def files(self) -> tuple[Path, Path]:
        """Return the store of device 0 and its mark."""
        store = self.directory / "device-0.db"
        return store, mark_path(store)


async def meet(story: Story, *texts_by_device: tuple[int, str]) -> None:
    """Let devices 0 and 1 write and agree, then stop."""
    first = story.node(1)
    async with running(first):
        second = story.node(0, first)
        async with running(second):
            for device, text in texts_by_device:
                (second if device == 0 else first).remember(text)
            await until(lambda: first.in_sync_with(second) and second.in_sync_with(first))


@pytest.fixture
async def story(tmp_path: Path) -> Story:
    """Device 0 wrote `before`, met device 1, wrote `lost`, met it again, and was set back to before that."""
    story = Story(live_realm(3), tmp_path)
    await meet(story, (0, "before"), (1, "of the witness"))
    image = [path.read_bytes() for path in story.files()]
    await meet(story, (0, "lost 1"), (0, "lost 2"))
    for path, content in zip(story.files(), image, strict=True):
        path.write_bytes(content)
    return story


ALL = {"before", "of the witness", "lost 1", "lost 2", "new 1", "new 2", "new 3"}


@pytest.mark.parametrize("count", [1, 2, 3])
async def test_both_pasts_come_together_whichever_is_longer(story: Story, count: int) -> None:
    device = story.node(0)
    async with running(device):
        for number in range(1, count + 1):
            device.remember(f"new {number}")
        assert device.store.last_minted().cause is Cause.CREATED
        witness = story.node(1, device)
        async with running(witness):
            await until(lambda: device.in_sync_with(witness) and witness.in_sync_with(device))
            expected = ALL - {f"new {number}" for number in range(count + 1, 4)}
            assert device.texts() == witness.texts() == expected
            assert device.store.last_minted().cause is Cause.FORKED
            device.remember("afterwards")
            await until(lambda: "afterwards" in witness.texts())


async def test_a_third_device_that_got_the_other_past_follows(story: Story) -> None:
    device = story.node(0)
    async with running(device):
        device.remember("new 1")
        device.remember("new 2")
        device.remember("new 3")
        third = story.node(2, device)
        async with running(third):
            await until(lambda: device.in_sync_with(third))
            witness = story.node(1, device, third)
            async with running(witness):
                nodes = (device, third, witness)
                await until(lambda: all(node.in_sync_with_all() for node in nodes))
                assert [node.texts() for node in nodes] == [ALL] * 3
                assert not any(node.store.chains.open_forks() for node in nodes)


async def test_where_the_author_is_away_both_versions_are_kept_and_the_first_difference_is_named(
    story: Story,
) -> None:
    device = story.node(0)
    async with running(device):
        device.remember("new 1")
        device.remember("new 2")
        third = story.node(2, device)
        async with running(third):
            await until(lambda: device.in_sync_with(third))
    third = story.node(2)
    async with running(third):
        witness = story.node(1, third)
        async with running(witness):
            await until(lambda: bool(third.store.chains.open_forks() and witness.store.chains.open_forks()))
            here, there = third.store.chains.open_forks()[0], witness.store.chains.open_forks()[0]
            assert (here.seq, here.ours, here.theirs) == (there.seq, there.theirs, there.ours)
            assert here.seq == 2
            await until(lambda: "two versions" in witness.why(third) and "from number 2 on" in witness.why(third))
            assert third.texts() == ALL - {"lost 1", "lost 2", "new 3"}
            await asyncio.sleep(0)
            assert not any("defect" in str(event) for event in (*third.events, *witness.events))


async def test_without_the_settling_the_devices_never_agree(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted bug: the finding is not acted upon."""
    monkeypatch.setattr("node.replication.Replication._settle", lambda self, found: None)
    device = story.node(0)
    async with running(device):
        device.remember("new 1")
        device.remember("new 2")
        witness = story.node(1, device)
        async with running(witness):
            await until(lambda: "two versions" in device.why(witness))
            assert not device.in_sync_with(witness)
            assert "lost 1" not in device.texts()

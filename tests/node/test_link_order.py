"""A peer is at work on what was read while the next is read, and nothing is sealed under keys that are gone."""

import logging
import random
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from aiohttp import web

from node.store.signed_pages import SignedPages
from node.transport.link import EPOCH_ENDED, Link
from tests.support.nodes import Node, live_realm, make_node, running, until

MEMORIES = 72
_LARGE_FRAME_BYTES = 10_000


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what a listening node that sends a snapshot does: pages that it reads, large frames that leave it."""
    told: list[str] = []
    read, send = SignedPages.read, web.WebSocketResponse.send_bytes

    def told_read(*arguments: object) -> object:
        told.append("read")
        return read(*arguments)  # type: ignore[arg-type]

    async def told_send(socket: web.WebSocketResponse, data: bytes, *arguments: object) -> None:
        if len(data) > _LARGE_FRAME_BYTES:
            told.append("send")
        await send(socket, data, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(SignedPages, "read", told_read)
    monkeypatch.setattr(web.WebSocketResponse, "send_bytes", told_send)
    return told


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Node, Node]:
    """Two nodes that have not met; the first has some pages of memories."""
    realm = live_realm(2)
    old, newcomer = make_node(realm, 0, tmp_path), make_node(realm, 1, tmp_path)
    draw = random.Random(7)
    for _ in range(MEMORIES):
        old.remember(draw.randbytes(30_000).hex())
    return old, newcomer


async def join(old: Node, newcomer: Node) -> None:
    """Let the second node fetch everything."""
    async with running(old, newcomer):
        newcomer.runtime.dial(old.runtime.listen_address)
        await until(lambda: newcomer.in_sync_with_all() and len(newcomer.texts()) == MEMORIES)


def reads_in_a_row(steps: list[str]) -> int:
    """Return how often a page was read while the one before had not left yet, in part at least."""
    relevant = steps[steps.index("read") :]
    assert relevant.count("read") >= 4
    return sum(one == next_one == "read" for one, next_one in pairwise(relevant))


async def test_a_page_leaves_before_the_next_is_read(pair: tuple[Node, Node], steps: list[str]) -> None:
    await join(*pair)
    assert reads_in_a_row(steps) == 0


async def test_pages_that_hold_each_other_up_would_be_noticed(
    pair: tuple[Node, Node], steps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Link, "_lets_frames_go", lambda _: False)
    await join(*pair)
    assert reads_in_a_row(steps) > 0


async def test_nothing_is_sealed_where_the_keys_end_while_a_reading_waits_and_the_link_begins_anew(
    pair: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    old, newcomer = pair
    replication = old.runtime.replication
    waits = Link._lets_frames_go
    ended: list[bool] = []

    def waits_without_keys(link: Link) -> bool:
        waiting = waits(link)
        if waiting and not ended and link.closed_because is None:
            ended.append(True)
            replication.membership = replace(replication.membership, sending=None)
        elif link.closed_because == EPOCH_ENDED:
            replication.reload_membership()
        return waiting

    monkeypatch.setattr(Link, "_lets_frames_go", waits_without_keys)
    with caplog.at_level(logging.INFO):
        await join(old, newcomer)
    reasons = [getattr(record, "reason", "") for record in caplog.records if record.message == "link closed"]
    assert EPOCH_ENDED in reasons
    assert not any(record.levelno >= logging.ERROR for record in caplog.records)

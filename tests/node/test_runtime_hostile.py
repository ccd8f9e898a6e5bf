"""A node's open port against strangers, browsers and broken peers: it refuses, names the reason, and lives."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest

from node.errors import ConfigError, TransportError
from node.runtime import Runtime
from node.transport.address import Address, parse_address
from node.transport.dialer import connect
from node.transport.listener import PAIRING_PATH, SYNC_PATH, is_peer_host
from sync.channel import Channel
from sync.limits import FRAME_BYTES_MAX, HANDSHAKE_SECONDS, STRANGER_SECONDS, STRANGERS_PER_ADDRESS_MAX
from sync.messages import Bundle, Hello, State
from sync.session_handshake import SessionHandshake, SessionSecrets
from tests.support.nodes import (
    PATIENCE_SECONDS,
    Node,
    SteppedClock,
    live_realm,
    make_node,
    now_milliseconds,
    running,
    until,
)
from tests.support.realm_factory import FoundedRealm, SeededEntropy


@pytest.fixture
async def node_and_realm(tmp_path: Path) -> AsyncIterator[tuple[Node, FoundedRealm]]:
    realm = live_realm(2)
    node = make_node(realm, 0, tmp_path)
    async with running(node):
        yield node, realm


def url(node: Node, path: str = SYNC_PATH) -> str:
    return f"http://{node.runtime.listen_address}{path}"


async def assert_alive(node: Node, realm: FoundedRealm, directory: Path) -> None:
    """A proper member still gets through and receives what was written meanwhile."""
    node.remember("still here")
    friend = make_node(realm, 1, directory, peers=[node.runtime.listen_address])
    async with running(friend):
        await until(lambda: "still here" in friend.texts())


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Host": "rebound.example:80"}, {"Host": ""}],
)
async def test_a_browser_is_refused(node_and_realm: tuple[Node, FoundedRealm], headers: dict[str, str]) -> None:
    node, _ = node_and_realm
    async with aiohttp.ClientSession() as client:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.ws_connect(url(node), headers=headers)
    assert refused.value.status == 403


@pytest.mark.parametrize("path", ["/", "/v1/sync/..", "/v2/sync", PAIRING_PATH])
async def test_other_paths_do_not_exist(node_and_realm: tuple[Node, FoundedRealm], path: str) -> None:
    async with aiohttp.ClientSession() as client, client.get(url(node_and_realm[0], path)) as response:
        assert response.status == 404


@pytest.mark.parametrize("first", [b"", b"garbage", bytes(48), bytes(FRAME_BYTES_MAX), bytes(70_000)])
async def test_garbage_gets_silence_and_the_node_lives(
    node_and_realm: tuple[Node, FoundedRealm], first: bytes, tmp_path: Path
) -> None:
    node, realm = node_and_realm
    async with connect(parse_address(node.runtime.listen_address)) as websocket:
        await websocket.send_bytes(first)
        message = await websocket.receive()
        assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
    await until(lambda: node.runtime.link_count() == 0)
    await assert_alive(node, realm, tmp_path)


async def test_text_frames_are_refused(node_and_realm: tuple[Node, FoundedRealm]) -> None:
    node, _ = node_and_realm
    async with connect(parse_address(node.runtime.listen_address)) as websocket:
        await websocket.send_str("hello")
        assert (await websocket.receive()).type is aiohttp.WSMsgType.CLOSE


async def test_bytes_that_are_not_http_do_no_harm(node_and_realm: tuple[Node, FoundedRealm], tmp_path: Path) -> None:
    node, realm = node_and_realm
    address = parse_address(node.runtime.listen_address)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(bytes(range(256)) * 50)
    await writer.drain()
    assert b"400" in await reader.readline()
    writer.close()
    await assert_alive(node, realm, tmp_path)


async def test_a_refused_connection_ends_with_its_answer(node_and_realm: tuple[Node, FoundedRealm]) -> None:
    address = parse_address(node_and_realm[0].runtime.listen_address)
    for request in (
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET /v1/sync HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    ):
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(request)
        answer = await asyncio.wait_for(reader.read(), PATIENCE_SECONDS)
        assert b"Connection: close" in answer
        assert b"Server" not in answer
        writer.close()


async def test_a_stranger_that_asks_slowly_or_for_nothing_is_cut_off(tmp_path: Path) -> None:
    clock = SteppedClock()
    node = make_node(live_realm(2), 0, tmp_path, clock=clock)
    async with running(node):
        address = parse_address(node.runtime.listen_address)
        streams = []
        for begun in (b"", b"GET /v1/sync HTTP/1.1\r\nHost: 127", b"GET / HTTP/1.1\r\nHost: [::1]\r\nA: 1\r\n"):
            reader, writer = await asyncio.open_connection(address.host, address.port)
            writer.write(begun)
            streams.append((reader, writer))
        await until(lambda: node.runtime.stranger_count() == 3)
        clock.ahead_seconds = STRANGER_SECONDS + 1
        for reader, writer in streams:
            with suppress(ConnectionResetError):
                assert await asyncio.wait_for(reader.read(), PATIENCE_SECONDS) == b""
            writer.close()
        await until(lambda: node.runtime.stranger_count() == 0)


async def test_a_stranger_that_does_not_shake_hands_is_closed(tmp_path: Path) -> None:
    clock = SteppedClock()
    node = make_node(live_realm(2), 0, tmp_path, clock=clock)
    async with running(node), connect(parse_address(node.runtime.listen_address)) as websocket:
        await until(lambda: node.runtime.link_count() == 1)
        clock.ahead_seconds = HANDSHAKE_SECONDS + 1
        assert (await websocket.receive()).type is aiohttp.WSMsgType.CLOSE


async def test_a_member_gets_through_while_strangers_crowd_the_port(
    node_and_realm: tuple[Node, FoundedRealm], tmp_path: Path
) -> None:
    node, realm = node_and_realm
    address = parse_address(node.runtime.listen_address)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client:
        crowd = [await client.ws_connect(url(node)) for _ in range(2 * STRANGERS_PER_ADDRESS_MAX)]
        silent = [
            await asyncio.open_connection(address.host, address.port) for _ in range(STRANGERS_PER_ADDRESS_MAX - 1)
        ]
        await until(lambda: node.runtime.link_count() <= 1)
        await assert_alive(node, realm, tmp_path)
        assert node.runtime.stranger_count() <= STRANGERS_PER_ADDRESS_MAX
        for stranger in crowd:
            await stranger.close()
        for _, writer in silent:
            writer.close()


async def test_a_member_that_is_connected_takes_no_strangers_place(
    node_and_realm: tuple[Node, FoundedRealm], tmp_path: Path
) -> None:
    node, realm = node_and_realm
    friend = make_node(realm, 1, tmp_path, peers=[node.runtime.listen_address])
    async with running(friend), aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client:
        await until(lambda: friend.in_sync_with(node))
        assert node.runtime.stranger_count() == 0
        for _ in range(3 * STRANGERS_PER_ADDRESS_MAX):
            await client.ws_connect(url(node))
        assert friend.in_sync_with(node)
        assert node.runtime.stranger_count() <= STRANGERS_PER_ADDRESS_MAX


async def hostile_member(realm: FoundedRealm, websocket: aiohttp.ClientWebSocketResponse) -> Channel:
    """Complete the handshake as device 1 and return the channel."""
    membership = realm.membership(1)
    handshake = SessionHandshake(
        initiator=True,
        secrets=SessionSecrets(
            noise_secret=realm.devices[1].noise_secret,
            ephemeral_secret=SeededEntropy("hostile").take(32),
            discovery_secrets=membership.discovery_secrets(),
        ),
    )
    await websocket.send_bytes(handshake.start()[0])
    for frame in handshake.receive(await websocket.receive_bytes()):
        await websocket.send_bytes(frame)
    return handshake.channel()


async def test_a_member_that_sends_nonsense_loses_its_link_and_nothing_is_applied(
    node_and_realm: tuple[Node, FoundedRealm], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    node, realm = node_and_realm
    with caplog.at_level(logging.WARNING):
        async with connect(parse_address(node.runtime.listen_address)) as websocket:
            channel = await hostile_member(realm, websocket)
            for message in (
                Hello(version=1, now_milliseconds=now_milliseconds(), summary=bytes(32)),
                State(roster_digest=realm.state().digest, positions=[]),
                Bundle(number=1, envelope=b"not an envelope"),
            ):
                for frame in channel.seal(message):
                    await websocket.send_bytes(frame)
            await until(lambda: node.runtime.link_count() == 0)
    warning = next(record for record in caplog.records if record.message == "peer broke the protocol")
    assert warning.__dict__["peer"] == realm.devices[1].device_id.hex()[:12]
    assert node.texts() == set()
    await assert_alive(node, realm, tmp_path)


async def test_a_port_in_use_is_a_clear_error(node_and_realm: tuple[Node, FoundedRealm], tmp_path: Path) -> None:
    node, realm = node_and_realm
    second = make_node(realm, 1, tmp_path, listen=node.runtime.listen_address)
    try:
        with pytest.raises(TransportError, match="Choose another address"):
            await second.runtime.start()
    finally:
        await second.runtime.stop()
        second.store.close()


async def test_a_store_that_fails_ends_the_link_and_not_the_node(
    node_and_realm: tuple[Node, FoundedRealm], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    node, realm = node_and_realm
    friend = make_node(realm, 1, tmp_path)
    friend.remember("cannot be applied")
    node.store.close()
    async with running(friend):
        friend.runtime.dial(node.runtime.listen_address)
        await until(lambda: any(record.message == "link failed" for record in caplog.records))
        await until(lambda: node.runtime.link_count() == 0)


@pytest.mark.parametrize("text", ["", "host", "host:", ":80", "host:99999", "host:-1", "::1:80", "host:8o"])
def test_what_is_not_an_address_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_address(text)


def test_an_address_reads_as_it_is_written() -> None:
    for text in ("127.0.0.1:4711", "[::1]:4711", "attic.local:4711"):
        assert str(parse_address(text)) == text
    assert parse_address("[::1]:80") == Address("::1", 80)


@pytest.mark.parametrize(
    ("host", "peer"),
    [
        ("127.0.0.1:80", True),
        ("192.168.1.7", True),
        ("[::1]:80", True),
        ("localhost:80", True),
        ("nuthatch.invalid", True),
        ("nuthatch.invalid.evil.example", False),
        ("127.0.0.1.evil.example:80", False),
        ("", False),
    ],
)
def test_only_hosts_that_no_name_server_can_rebind_are_peers(host: str, peer: bool) -> None:
    assert is_peer_host(host) is peer


async def test_a_device_is_found_by_name_too(node_and_realm: tuple[Node, FoundedRealm], tmp_path: Path) -> None:
    node, realm = node_and_realm
    port = parse_address(node.runtime.listen_address).port
    friend = make_node(realm, 1, tmp_path, peers=[f"localhost:{port}"])
    async with running(friend):
        await until(friend.in_sync_with_all)


def test_a_node_that_does_not_listen_has_no_address(tmp_path: Path) -> None:
    realm = live_realm(2)
    node = make_node(realm, 0, tmp_path)
    with pytest.raises(TransportError):
        _ = node.runtime.listen_address
    assert isinstance(node.runtime, Runtime)
    node.store.close()

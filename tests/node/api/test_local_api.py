"""The local API over real sockets on loopback: who gets in, and how answers, events and errors arrive."""

import asyncio
import io
import json
import stat
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import cast

import aiohttp
import pytest

from node import errors
from node.api.client import Client, connect
from node.api.endpoint import read_endpoint
from node.api.server import REQUEST_BYTES_MAX, serve_api
from node.entropy import SystemEntropy
from node.errors import (
    ConfigError,
    HostError,
    NotRunningError,
    RefusedError,
    TransportError,
    UsageError,
    WrongPassphraseError,
)
from node.home import Home
from node.requests import (
    EVENTS,
    EXPORT,
    FORGET,
    REMEMBER,
    SQL,
    E,
    EventsRequest,
    ExportLine,
    ExportRequest,
    ForgetRequest,
    Forgotten,
    Notice,
    Operation,
    Q,
    R,
    Remembered,
    RememberRequest,
    SqlRequest,
    SqlResult,
    StreamOperation,
)
from sync.limits import STRANGER_SECONDS, STRANGERS_MAX
from tests.support.nodes import SteppedClock

ERROR_KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, HostError)]


class Script:
    """A `Caller` that does what a test tells it and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[object] = []
        self.error: Exception | None = None
        self.lines: list[str] = []
        self.left = asyncio.Event()

    async def call(self, operation: Operation[Q, R], request: Q) -> R:
        self.asked.append(request)
        if self.error:
            raise self.error
        if isinstance(request, SqlRequest):
            return cast(
                "R", SqlResult(columns=["a"], rows=[[parameter] for parameter in request.parameters], changes=0)
            )
        if isinstance(request, ForgetRequest):
            return cast("R", Forgotten(id=request.id, table="memories"))
        return cast("R", Remembered(id="an id"))

    async def stream(self, operation: StreamOperation[Q, E], request: Q) -> AsyncGenerator[E, None]:
        self.asked.append(request)
        try:
            if isinstance(request, EventsRequest):
                yield cast("E", Notice(text="began"))
                await asyncio.Event().wait()
            for line in self.lines:
                yield cast("E", ExportLine(line=line))
            if self.error:
                raise self.error
        finally:
            self.left.set()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    home.key_file.write_bytes(b"")
    return home


@pytest.fixture
async def script() -> Script:
    return Script()


@pytest.fixture
async def address(home: Home, script: Script) -> AsyncIterator[str]:
    async with serve_api(home, script, address="127.0.0.1:0", entropy=SystemEntropy()) as address:
        yield address


@asynccontextmanager
async def raw_request(
    address: str,
    home: Home,
    *,
    path: str = "/v1/remember",
    method: str = "POST",
    body: bytes = b'{"text":"t"}',
    headers: Mapping[str, str] = MappingProxyType({}),
) -> AsyncIterator[tuple[int, dict[str, object]]]:
    sent = {"Authorization": f"Bearer {read_endpoint(home).token}", **headers}
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"http://{address}{path}", data=io.BytesIO(body), headers=sent) as response,
    ):
        yield response.status, json.loads(await response.read())


async def test_an_answer_is_the_value_that_was_given(home: Home, address: str, script: Script) -> None:
    async with connect(home) as client:
        request = RememberRequest(text="Grüße\n\U0001f426", tags=["a"])
        assert await client.call(REMEMBER, request) == Remembered(id="an id")
    assert script.asked == [request]


async def test_json_values_of_sql_pass_both_ways(home: Home, address: str) -> None:
    values: list[object] = [None, 1, -(2**60), 0.5, "text", {"$base64": "AAE="}]
    async with connect(home) as client:
        answer = await client.call(SQL, SqlRequest(statement="SELECT 1", parameters=values))
    assert answer.rows == [[value] for value in values]


@pytest.mark.parametrize("kind", ERROR_KINDS, ids=lambda kind: kind.__name__)
async def test_every_error_arrives_as_the_class_that_was_raised(
    home: Home, address: str, script: Script, kind: type[HostError]
) -> None:
    script.error = kind("A sentence for the person.")
    async with connect(home) as client:
        with pytest.raises(kind, match=r"A sentence for the person\.") as raised:
            await client.call(FORGET, ForgetRequest(id="x"))
        assert type(raised.value) is kind
        with pytest.raises(kind) as raised_in_stream:
            await collected(client)
        assert type(raised_in_stream.value) is kind


async def collected(client: Client) -> list[str]:
    return [event.line async for event in client.stream(EXPORT, ExportRequest()) if isinstance(event, ExportLine)]


async def test_events_before_an_error_arrive_and_then_the_error(home: Home, address: str, script: Script) -> None:
    script.lines, script.error = ["one", "two"], WrongPassphraseError("No.")
    async with connect(home) as client:
        events = client.stream(EXPORT, ExportRequest())
        assert await anext(events) == ExportLine(line="one")
        assert await anext(events) == ExportLine(line="two")
        with pytest.raises(WrongPassphraseError):
            await anext(events)


async def test_lines_of_any_length_arrive_whole(home: Home, address: str, script: Script) -> None:
    script.lines = ["", "x" * 3_000_000, '{"error":{"kind":"HostError"}}', "\n", "last"]
    async with connect(home) as client:
        assert await collected(client) == script.lines


async def test_a_defect_becomes_an_error_without_its_text_and_the_api_lives(
    home: Home, address: str, script: Script
) -> None:
    script.error = ValueError("canary")
    async with connect(home) as client:
        with pytest.raises(HostError, match="defect") as raised:
            await client.call(FORGET, ForgetRequest(id="x"))
        assert "canary" not in str(raised.value)
        with pytest.raises(HostError, match="defect"):
            await collected(client)
        script.error = None
        assert await client.call(REMEMBER, RememberRequest(text="t")) == Remembered(id="an id")


async def test_leaving_a_stream_ends_it_at_the_node(home: Home, address: str, script: Script) -> None:
    async with connect(home) as client:
        events = client.stream(EVENTS, EventsRequest())
        assert await anext(events) == Notice(text="began")
        assert not script.left.is_set()
        await events.aclose()
    async with asyncio.timeout(5):
        await script.left.wait()


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer wrong"},
        {"Authorization": ""},
        {"Authorization": "Bearer \u00fc"},
        {"Origin": "http://127.0.0.1"},
        {"Origin": "null"},
        {"Host": "attacker.example"},
        {"Host": "attacker.example:80"},
    ],
    ids=str,
)
@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/remember"), ("GET", "/v1/events"), ("GET", "/metrics")])
async def test_who_lacks_the_token_or_comes_from_a_browser_is_refused(
    home: Home, address: str, script: Script, headers: dict[str, str], method: str, path: str
) -> None:
    async with raw_request(address, home, headers=headers, method=method, path=path) as (status, body):
        assert status == 403
        assert cast("dict[str, object]", body["error"])["kind"] == RefusedError.__name__
    assert script.asked == []


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v1/remember", b""),
        ("POST", "/metrics", b""),
        ("GET", "/v1/metrics", b""),
        ("POST", "/v2/remember", b"{}"),
        ("POST", "/v1/nothing", b"{}"),
        ("POST", "/v1/", b"{}"),
        ("POST", "/v1/remember", b""),
        ("POST", "/v1/remember", b"not json"),
        ("POST", "/v1/remember", b'{"text":1}'),
        ("POST", "/v1/remember", b'{"text":"t","colour":"red"}'),
        ("POST", "/v1/remember", b'{"text":"\xff"}'),
        ("POST", "/v1/remember", b"[" * 100_000),
        ("POST", "/v1/export", b'{"format":7}'),
        ("POST", "/v1/remember", b" " * (REQUEST_BYTES_MAX + 1)),
    ],
    ids=lambda value: repr(value)[:24],
)
async def test_a_request_that_makes_no_sense_is_a_usage_error(
    home: Home, address: str, script: Script, method: str, path: str, body: bytes
) -> None:
    async with raw_request(address, home, method=method, path=path, body=body) as (status, answer):
        error = cast("dict[str, object]", answer["error"])
        assert (status, error["kind"], error["exit_code"]) == (400, UsageError.__name__, 2)
    assert script.asked == []


async def test_the_token_file_is_private_and_goes_with_the_node(home: Home, script: Script) -> None:
    async with serve_api(home, script, address="127.0.0.1:0", entropy=SystemEntropy()) as address:
        endpoint = read_endpoint(home)
        assert endpoint.address == address
        assert stat.S_IMODE(home.api_file.stat().st_mode) == 0o600
        assert endpoint.token not in repr(endpoint)
        assert home.token_file.read_text() == endpoint.token
        assert stat.S_IMODE(home.token_file.stat().st_mode) == 0o600
    assert not home.api_file.exists()
    assert not home.token_file.exists()
    with pytest.raises(NotRunningError):
        async with connect(home):
            pass


async def test_a_token_file_left_by_a_crash_does_not_pass_for_a_node(home: Home, script: Script) -> None:
    async with serve_api(home, script, address="127.0.0.1:0", entropy=SystemEntropy()):
        left_over = home.api_file.read_bytes()
    home.api_file.write_bytes(left_over)
    async with connect(home) as client:
        with pytest.raises(NotRunningError):
            await client.call(REMEMBER, RememberRequest(text="t"))


async def test_a_port_in_use_is_told(home: Home, address: str, script: Script, tmp_path: Path) -> None:
    other = Home(tmp_path / "other")
    with pytest.raises(TransportError, match=address):
        async with serve_api(other, script, address=address, entropy=SystemEntropy()):
            pass


@pytest.mark.parametrize("text", ["0.0.0.0:0", "192.0.2.1:80", "example.org:80", "127.0.0.1", ":80", "127.0.0.1:99999"])
async def test_the_api_listens_on_loopback_only(home: Home, script: Script, text: str) -> None:
    with pytest.raises(ConfigError):
        async with serve_api(home, script, address=text, entropy=SystemEntropy()):
            pass


async def test_strangers_on_this_machine_cannot_crowd_the_api(home: Home, address: str, script: Script) -> None:
    host, port = address.rsplit(":", 1)
    crowd = [await asyncio.open_connection(host, int(port)) for _ in range(STRANGERS_MAX + 1)]
    async with connect(home) as client:
        await client.call(REMEMBER, RememberRequest(text="t"))
    ended = [asyncio.create_task(reader.read()) for reader, _ in crowd]
    done, waiting = await asyncio.wait(ended, timeout=5, return_when=asyncio.FIRST_COMPLETED)
    assert done
    for task in waiting:
        task.cancel()
    await asyncio.gather(*ended, return_exceptions=True)
    for _, writer in crowd:
        writer.close()


async def test_a_connection_without_the_token_ends_with_its_answer(home: Home, address: str, script: Script) -> None:
    host, port = address.rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /v1/remember HTTP/1.1\r\nHost: %b\r\nContent-Length: 1000000000\r\n\r\n" % address.encode())
    assert b"Connection: close" in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    writer.close()
    assert script.asked == []


async def test_a_connection_that_never_shows_the_token_is_cut_off(home: Home, script: Script) -> None:
    clock = SteppedClock()
    async with serve_api(home, script, address="127.0.0.1:0", entropy=SystemEntropy(), clock=clock) as address:
        host, port = address.rsplit(":", 1)
        async with connect(home) as client:
            # This one has shown the token, and may stay.
            await client.call(REMEMBER, RememberRequest(text="t"))
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"POST /v1/remember HTTP/1.1\r\nHost: %b\r\nX-Slow: " % address.encode())
            # An answer that was begun later tells that the slow one was accepted, and grows old from now on.
            await client.call(REMEMBER, RememberRequest(text="u"))
            clock.ahead_seconds = STRANGER_SECONDS + 1
            with suppress(ConnectionResetError):
                assert await asyncio.wait_for(reader.read(), 5) == b""
            await client.call(REMEMBER, RememberRequest(text="v"))
        writer.close()
    assert script.asked == [RememberRequest(text=text) for text in "tuv"]

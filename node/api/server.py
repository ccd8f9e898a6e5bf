"""The local API of a running node: JSON over HTTP on loopback, for programs of this device that hold the token.

`POST /v1/<operation>` with the request as JSON answers with the response as JSON, or, for an operation that streams,
with one event a line. `GET /v1/events` tells what happens as server-sent events, `GET /metrics` the figures as
Prometheus reads them. A browser is kept out three times: by the token, by refusing any request that carries an
`Origin`, and by refusing a `Host` that is not this listener (a foreign name that resolves to loopback is the DNS-
rebinding attack).
"""

import hmac
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager

import msgspec
from aiohttp import web

from node.api.endpoint import Endpoint, remove_endpoint, write_endpoint
from node.api.event_stream import answer_with_events
from node.api.exposition import CONTENT_TYPE, exposition
from node.api.wire import encode_error
from node.clock import Clock, SystemClock
from node.entropy import Entropy
from node.errors import ConfigError, HostError, RefusedError, TransportError, UsageError
from node.home import Home
from node.operations.table import OPERATION_BY_NAME, STREAM_BY_NAME
from node.requests import (
    EVENTS,
    METRICS,
    Caller,
    EventsRequest,
    MetricsReport,
    MetricsRequest,
    Operation,
    StreamOperation,
)
from node.transport.address import is_loopback, parse_address
from node.transport.door import Door, Room
from node.transport.listener import protocols_of
from sync.limits import STRANGERS_MAX

_LOG = logging.getLogger(__name__)

# Four times the largest transaction: what a statement's parameters may need as base64 in JSON, with room.
REQUEST_BYTES_MAX = 32 * 2**20
_TOKEN_BYTES = 32
# Everybody on this machine has one address.
_ROOM = Room(per_address_max=STRANGERS_MAX)
_STATUS_BY_EXIT_CODE: Mapping[int, int] = {1: 500, 2: 400, 3: 403, 4: 409, 5: 403}


@asynccontextmanager
async def serve_api(
    home: Home,
    caller: Caller,
    *,
    address: str,
    entropy: Entropy,
    clock: Clock | None = None,
) -> AsyncIterator[str]:
    """Serve the operations of `caller` while the block runs and yield the address that is listened on.

    A connection without the token is a stranger's: one of few, for seconds (`Door`).

    Raises `ConfigError` for an address that is not loopback, `TransportError` if the port is in use.
    """
    wanted = parse_address(address)
    if not is_loopback(wanted.host):
        raise ConfigError(f"The local API listens on this device alone; {wanted.host} is not a loopback address.")
    token = entropy.take(_TOKEN_BYTES).hex()
    handler = _Handler(caller, token)
    application = web.Application(client_max_size=REQUEST_BYTES_MAX)
    application.router.add_route("*", "/{path:.*}", handler.answer)
    runner = web.AppRunner(application, handler_cancellation=True, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    handler.door = door = Door(protocols_of(runner), clock=clock or SystemClock(), room=_ROOM)
    try:
        try:
            handler.address = str(await door.open(wanted))
        except OSError as error:
            raise TransportError(f"The local API cannot listen on {address}: {error.strerror}.") from error
        write_endpoint(home, Endpoint(address=handler.address, token=token))
        yield handler.address
    finally:
        remove_endpoint(home)
        door.close()
        await runner.cleanup()


class _Handler:
    """Checks who asks, then performs what is asked."""

    def __init__(self, caller: Caller, token: str) -> None:
        self.address = ""
        self.door: Door | None = None
        self._caller = caller
        self._authorization = f"Bearer {token}".encode()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one HTTP request; whatever goes wrong becomes an error reply and the node lives."""
        try:
            self._admit(request)
        except RefusedError as error:
            refusal = _error_reply(error)
            refusal.force_close()
            refusal.headers["Connection"] = "close"
            return refusal
        try:
            match request.method, request.path:
                case "GET", "/v1/events":
                    return await answer_with_events(request, self._caller.stream(EVENTS, EventsRequest()))
                case "GET", "/metrics":
                    return _figures(await self._caller.call(METRICS, MetricsRequest()))
                case "POST", path if path.startswith("/v1/"):
                    return await self._perform(request, path.removeprefix("/v1/"))
                case _:
                    raise UsageError("The local API takes POST /v1/<operation>, GET /v1/events and GET /metrics.")
        except HostError as error:
            return _error_reply(error)
        except web.HTTPException as error:
            return _error_reply(UsageError(f"The request was not understood: {error.reason}."))
        except Exception:  # noqa: BLE001  the outermost boundary: a defect in one request must not end the node
            _LOG.exception("a defect ended a local request", extra={"operation": _loggable(request.path)})
            return _error_reply(HostError("The node met a defect in itself; its log tells where."))

    async def _perform(self, request: web.Request, name: str) -> web.StreamResponse:
        _LOG.debug("a program asks", extra={"operation": _loggable(request.path)})
        if operation := OPERATION_BY_NAME.get(name):
            return await self._call(operation, await request.read())
        if stream := STREAM_BY_NAME.get(name):
            return await self._stream(request, stream, await request.read())
        raise UsageError(f"There is no operation {name!r}.")

    def _admit(self, request: web.Request) -> None:
        if "Origin" in request.headers or request.host != self.address:
            raise RefusedError("The local API does not answer browsers.")
        given = request.headers.get("Authorization", "").encode("utf-8", errors="replace")
        if not hmac.compare_digest(given, self._authorization):
            raise RefusedError("The token is wrong; the running node keeps it in api.json in its home.")
        if self.door is not None:
            self.door.proven(request.transport)

    async def _call(self, operation: Operation[msgspec.Struct, msgspec.Struct], body: bytes) -> web.Response:
        response = await self._caller.call(operation, _decoded(body, operation.request))
        return web.Response(body=msgspec.json.encode(response), content_type="application/json")

    async def _stream(
        self, request: web.Request, operation: StreamOperation[msgspec.Struct, object], body: bytes
    ) -> web.StreamResponse:
        decoded = _decoded(body, operation.request)
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        try:
            async with aclosing(self._caller.stream(operation, decoded)) as events:
                async for event in events:
                    await response.write(msgspec.json.encode(event) + b"\n")
        except HostError as error:
            await response.write(encode_error(error) + b"\n")
        except Exception:  # noqa: BLE001  see above; the status line is sent, so the error is the last line
            _LOG.exception("a defect ended a local stream", extra={"operation": operation.name})
            defect = HostError("The node met a defect in itself; its log tells where.")
            await response.write(encode_error(defect) + b"\n")
        await response.write_eof()
        return response


def _decoded(body: bytes, kind: type[msgspec.Struct]) -> msgspec.Struct:
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UsageError(f"The request is malformed: {error}.") from error


def _loggable(path: str) -> str:
    """Return a path that is ours; another one may hold whatever a program put there by mistake."""
    name = path.removeprefix("/v1/")
    return path if name in OPERATION_BY_NAME or name in STREAM_BY_NAME or path == "/metrics" else "unknown"


def _figures(report: MetricsReport) -> web.Response:
    return web.Response(body=exposition(report).encode(), headers={"Content-Type": CONTENT_TYPE})


def _error_reply(error: HostError) -> web.Response:
    status = _STATUS_BY_EXIT_CODE[error.exit_code]
    return web.Response(status=status, body=encode_error(error), content_type="application/json")

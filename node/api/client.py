"""The client of a running node's local API: sends requests and raises the node's errors as the exceptions they were."""

import io
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp
import msgspec

from node import errors
from node.api.endpoint import Endpoint, read_endpoint
from node.api.wire import ErrorBody, ErrorReply
from node.errors import HostError, NotRunningError, TransportError
from node.home import Home
from node.requests import E, Operation, Q, R, StreamOperation

_CONNECT_SECONDS = 5.0

_ERROR_BY_KIND: Mapping[str, type[HostError]] = {
    value.__name__: value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, HostError)
}


class Client:
    """Performs operations on the node that runs on this device; a `Caller`."""

    def __init__(self, session: aiohttp.ClientSession, endpoint: Endpoint) -> None:
        self._session = session
        self._endpoint = endpoint

    async def call(self, operation: Operation[Q, R], request: Q) -> R:
        """Perform an operation on the node; raises the `HostError` that it raised."""
        async with self._post(operation.name, request) as response:
            body = await response.read()
            if response.status != 200:
                raise _rebuilt(body)
            return msgspec.json.decode(body, type=operation.response)

    async def stream(self, operation: StreamOperation[Q, E], request: Q) -> AsyncGenerator[E, None]:
        """Yield the events of an operation as they come; raises the `HostError` that ended it."""
        async with self._post(operation.name, request) as response:
            if response.status != 200:
                raise _rebuilt(await response.read())
            async for line in _lines(response):
                if line.startswith(b'{"error":'):
                    raise _rebuilt(line)
                yield operation.events.decode(line)

    @asynccontextmanager
    async def _post(self, name: str, request: msgspec.Struct) -> AsyncIterator[aiohttp.ClientResponse]:
        try:
            async with self._session.post(
                f"http://{self._endpoint.address}/v1/{name}",
                data=io.BytesIO(msgspec.json.encode(request)),
                headers={"Authorization": f"Bearer {self._endpoint.token}", "Content-Type": "application/json"},
                allow_redirects=False,
            ) as response:
                yield response
        except aiohttp.ClientConnectorError as error:
            raise NotRunningError("No node runs on this home. Start one with `nuthatch run`.") from error
        except (TimeoutError, aiohttp.ClientError) as error:
            raise TransportError("The node stopped answering; see what it printed.") from error


@asynccontextmanager
async def connect(home: Home) -> AsyncIterator[Client]:
    """Reach the node that runs on a home; raises `NotRunningError` if none does."""
    endpoint = read_endpoint(home)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout, trust_env=False, read_bufsize=1 << 20) as session:
        yield Client(session, endpoint)


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Split a body at newlines; a line may be longer than any buffer, since an exported record has no upper size."""
    rest: list[bytes] = []
    async for chunk in response.content.iter_any():
        *complete, tail = chunk.split(b"\n")
        if complete:
            yield b"".join((*rest, complete[0]))
            for line in complete[1:]:
                yield line
            rest = []
        rest.append(tail)
    if any(rest):
        raise TransportError("The node stopped in the middle of its answer; see what it printed.")


def _rebuilt(body: bytes) -> HostError:
    try:
        reply: ErrorBody = msgspec.json.decode(body, type=ErrorReply).error
    except msgspec.MsgspecError:
        return TransportError("Something else than a node answered on the node's port; start the node again.")
    return _ERROR_BY_KIND.get(reply.kind, HostError)(reply.message)

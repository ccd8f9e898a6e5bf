"""What an operation is: a name with a typed request and a typed response, asked of a node over any way.

The same values travel over the local HTTP API and, when no node runs, straight into the service of a command. These
modules know no store and no network, so that a command which only talks to a running node loads neither.

An `Operation` is answered once; a `StreamOperation` answers with a series of events, each a JSON object whose field
`event` names its kind.
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import msgspec

Q = TypeVar("Q", bound=msgspec.Struct)
R = TypeVar("R", bound=msgspec.Struct)
E = TypeVar("E")


@dataclass(frozen=True, slots=True)
class Operation(Generic[Q, R]):
    """A named question with one answer."""

    name: str
    request: type[Q]
    response: type[R]


@dataclass(frozen=True, slots=True)
class StreamOperation(Generic[Q, E]):
    """A named request that answers with events until it is done."""

    name: str
    request: type[Q]
    events: "msgspec.json.Decoder[E]" = field(repr=False)


class Caller(Protocol):
    """Whoever performs operations: a running node behind its local API, or a home opened by this process."""

    async def call(self, operation: Operation[Q, R], request: Q) -> R:
        """Perform an operation; raises the `HostError` that the node raised."""

    def stream(self, operation: StreamOperation[Q, E], request: Q) -> AsyncGenerator[E, None]:
        """Perform an operation that answers with events; raises the `HostError` that the node raised."""


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request refuses fields that it does not know: a misspelt option is an error, not a silent default."""


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """A response may gain fields later, so a reader ignores those it does not know."""


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event"):
    """One line of a stream."""

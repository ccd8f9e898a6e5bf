"""The newcomer's side of pairing: meet a trusted device, prove the code, compare six digits, and fetch everything."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import msgspec

from node.config import PassphraseCost
from node.home import Home


class SasShown(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="sas"):
    """The six digits that both devices must show."""

    sas: str


class Joined(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="joined"):
    """This device belongs to the realm; its home exists."""

    device_id: str
    realm_id: str


class SyncProgress(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="progress"):
    """How many rows have arrived."""

    rows: int


class Synced(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="synced"):
    """Everything is here: frontier and digest equal those of the device that was joined."""

    rows: int
    seconds: float


JoinEvent = SasShown | Joined | SyncProgress | Synced


def join_realm(
    home: Home,
    *,
    code: str,
    name: str,
    passphrase: str,
    confirm: Callable[[str], Awaitable[bool]],
    peers: Sequence[str] = (),
    cost: PassphraseCost,
) -> AsyncIterator[JoinEvent]:
    """Join the realm of the device that shows `code` and make the home, then fetch everything from it.

    `confirm` is awaited with the six digits after `SasShown` was yielded and says whether the person saw the same ones on the
    other device. `peers` (host:port) are tried before the addresses inside the code. Raises `UsageError` for a mistyped code,
    `RefusedError` when the code is old or used, the digits differ or the person there says no, `TransportError` when nobody
    answers; until the digits are confirmed nothing is written.
    """
    raise NotImplementedError

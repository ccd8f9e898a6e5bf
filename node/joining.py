"""The newcomer's side of pairing: meet a trusted device, prove the code, compare six digits, and fetch everything."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, aclosing, suppress

import msgspec

from crdt.identifiers import DeviceId
from node.clock import Clock, SystemClock
from node.composition import create_home_store, creating, new_device_keys, open_service, platform_name
from node.config import PassphraseCost
from node.discovery.places import Places
from node.entropy import Entropy, SystemEntropy
from node.errors import RefusedError, TransportError, UsageError
from node.home import Home
from node.joining_call import Admission, CodeNotTakenError, JoiningCall
from node.keys.key_file import UnlockedKeys, new_keys, write_key_file
from node.keys.passphrase_slot import passphrase_bytes
from node.requests import NodeEvent, StreamComplete, StreamReadable
from node.running import running
from node.service import Service, closing
from node.transport.address import Address, parse_address
from node.transport.dialer import connect_for_pairing
from sync.crockford import MalformedCode
from sync.crypto import KEY_BYTES
from sync.identity import DeviceKeys, UnusableName
from sync.pairing_code import PairingCode, read_code
from sync.pairing_newcomer import PairingNewcomer
from sync.roster import RosterState

# While nothing arrives for this long, the first synchronisation is given up; the node fetches the rest when it runs.
STALLED_SECONDS = 60.0
POLL_SECONDS = 0.05
FAREWELL_SECONDS = 0.25


class SasShown(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="sas"):
    """The six digits that both devices must show, and the name under which this one asks to join."""

    sas: str
    name: str


class Joined(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="joined"):
    """This device belongs to the realm; its home exists. `name_taken`: another device has the same name."""

    device_id: str
    realm_id: str
    name_taken: bool


class SyncProgress(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="progress"):
    """How many rows have arrived."""

    rows: int


class Synced(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="synced"):
    """Everything is here: frontier and digest equal those of the device that was joined."""

    rows: int
    seconds: float


JoinEvent = SasShown | Joined | SyncProgress | StreamReadable | StreamComplete | Synced


async def join_realm(
    home: Home,
    *,
    code: str,
    name: str,
    passphrase: str,
    confirm: Callable[[str], Awaitable[bool]],
    peers: Sequence[str] = (),
    discovery: bool = False,
    cost: PassphraseCost,
    clock: Clock | None = None,
    entropy: Entropy | None = None,
) -> AsyncGenerator[JoinEvent, None]:
    """Join the realm of the device that shows `code` and make the home, then fetch everything from it.

    `confirm` is awaited with the six digits after `SasShown` was yielded and says whether the person saw the same ones
    on the other device. `peers` (host:port) are tried before the addresses inside the code; with `discovery` the device
    is looked for on the local network as well. Raises `UsageError` for a
    mistyped code, `RefusedError` when the code is old or used, the digits differ or somebody says no, `TransportError`
    when nobody answers; until both sides said yes nothing is written.
    """
    clock, entropy = clock or SystemClock(), entropy or SystemEntropy()
    parsed = _read_code(code)
    addresses = _addresses(parsed, peers, discovery=discovery)
    passphrase_bytes(passphrase)
    home.require_free()
    device_keys = new_device_keys(entropy)
    async with AsyncExitStack() as stack:
        places = Places(addresses, parsed.rendezvous if discovery else None, clock)
        call, address, digits = await _first_to_answer(stack, places, parsed, device_keys, name, entropy)
        yield SasShown(sas=digits, name=name)
        admission = await call.admission(confirm(digits))
        keys = await _store(home, device_keys, admission, address, passphrase, cost, clock, entropy)
        await call.bid_farewell(admission)
    yield Joined(
        device_id=keys.device_id.hex(),
        realm_id=keys.realm_id.hex(),
        name_taken=_is_taken(name, admission.joined.state, keys.device_id),
    )
    with home.locked(), closing(open_service(home, keys, clock, entropy)) as service:
        async for event in _fetch(service, address):
            yield event


def _read_code(code: str) -> PairingCode:
    try:
        return read_code(code)
    except MalformedCode as error:
        raise UsageError(str(error)) from error


def _addresses(code: PairingCode, peers: Sequence[str], *, discovery: bool) -> list[Address]:
    addresses = [parse_address(text) for text in dict.fromkeys((*peers, *code.hints))]
    if not addresses and not discovery:
        raise UsageError(
            "A typed code does not say where the other device is, and looking for it is switched off: "
            "add --peer HOST:PORT."
        )
    return addresses


async def _first_to_answer(
    stack: AsyncExitStack,
    places: Places,
    code: PairingCode,
    device_keys: DeviceKeys,
    name: str,
    entropy: Entropy,
) -> tuple[JoiningCall, Address, str]:
    """Return the call to the first device that takes the code, where it is, and the digits to compare."""
    failure: TransportError | None = None
    async with aclosing(places.all()) as each:
        async for address in each:
            try:
                async with AsyncExitStack() as attempt:
                    link = await attempt.enter_async_context(connect_for_pairing(address))
                    call = JoiningCall(_newcomer(code, device_keys, name, entropy), link)
                    digits = await call.digits()
                    await stack.enter_async_context(attempt.pop_all())
                    return call, address, digits
            except TransportError as error:
                # What a device said tells more than that another address is empty.
                if failure is None or isinstance(error, CodeNotTakenError):
                    failure = error
    if isinstance(failure, CodeNotTakenError):
        raise RefusedError(str(failure)) from failure
    if failure is None:
        raise TransportError(places.nobody())
    raise TransportError(
        f"{failure} Are both devices in the same network, and does `nuthatch pair` still wait on the other one?"
    ) from failure


def _is_taken(name: str, roster: RosterState, device_id: DeviceId) -> bool:
    others = (roster.certificate_by_device[other].name for other in roster.active - {device_id})
    return name.casefold() in {other.casefold() for other in others}


def _newcomer(code: PairingCode, device_keys: DeviceKeys, name: str, entropy: Entropy) -> PairingNewcomer:
    try:
        return PairingNewcomer(
            code=code,
            keys=device_keys,
            name=name,
            platform=platform_name(),
            ephemeral_secret=entropy.take(KEY_BYTES),
            nonce=entropy.take(KEY_BYTES),
        )
    except UnusableName as error:
        raise UsageError(str(error)) from error


async def _store(
    home: Home,
    device_keys: DeviceKeys,
    admission: Admission,
    address: Address,
    passphrase: str,
    cost: PassphraseCost,
    clock: Clock,
    entropy: Entropy,
) -> UnlockedKeys:
    """Make the home of the admitted device; the key file comes last, so half a home is never taken for a whole one."""
    joined = admission.joined
    keys = new_keys(
        device_keys,
        joined.realm_id,
        entropy,
        older_discovery_secrets=joined.older_discovery_secrets,
        joined_at=str(address),
    )
    with creating(home):
        create_home_store(home, keys, joined.statements, clock, entropy)
        # In a thread: the link to the sponsor must answer its pings meanwhile.
        await asyncio.to_thread(write_key_file, home.key_file, keys, passphrase=passphrase, cost=cost, entropy=entropy)
    return keys


async def _fetch(service: Service, address: Address) -> AsyncGenerator[JoinEvent, None]:
    """Synchronise with the device that was joined until both provably hold the same."""
    began_at = moved_at = service.clock.monotonic_seconds()
    rows = 0
    async with running(service, listen=None, peers=(str(address),)) as runtime, AsyncExitStack() as stack:
        arrivals = _Arrivals(stack.enter_context(service.events.follow()))
        while not any(peer.connected and peer.in_sync for peer in runtime.peers()):
            for arrival in await arrivals.within(POLL_SECONDS):
                yield arrival
            now = service.clock.monotonic_seconds()
            if _rows(service) != rows:
                rows, moved_at = _rows(service), now
                yield SyncProgress(rows=rows)
            elif now - moved_at > STALLED_SECONDS:
                raise TransportError(
                    "This device joined, but nothing more arrives from the other one. Run `nuthatch run` on both; "
                    "the rest is fetched then."
                )
        # The other device is to see the agreement, too, before this one leaves.
        for arrival in await arrivals.within(FAREWELL_SECONDS):
            yield arrival
    seconds = round(service.clock.monotonic_seconds() - began_at, 3)
    yield Synced(rows=_rows(service), seconds=seconds)


class _Arrivals:
    """What the node tells about streams that have arrived, so that a person may begin to read before all is here."""

    def __init__(self, events: AsyncIterator[NodeEvent]) -> None:
        self._events = events

    async def within(self, seconds: float) -> list[StreamReadable | StreamComplete]:
        """Return what arrives in the next `seconds`."""
        arrived: list[StreamReadable | StreamComplete] = []
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    event = await anext(self._events)
                    if isinstance(event, StreamReadable | StreamComplete):
                        arrived.append(event)
        return arrived


def _rows(service: Service) -> int:
    return sum(state.rows for state in service.store.view().streams.values())

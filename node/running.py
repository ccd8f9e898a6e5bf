"""A node's life: unlock, listen, publish the local API, tell what happens, and stop cleanly."""

import asyncio
import logging
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Literal

import msgspec

from node.api.server import serve_api
from node.collector import settle_collector
from node.composition import open_home
from node.config import NodeConfig
from node.operations.table import LocalCaller
from node.pairing_host import PairingHost
from node.requests import NodeEvent, Notice
from node.runtime import Runtime
from node.service import Service
from node.transport.address import Address, parse_address

if TYPE_CHECKING:
    from node.discovery.local_network import LocalNetwork

_LOG = logging.getLogger(__name__)

_WILDCARDS = ("0.0.0.0", "::")  # noqa: S104  compared with, not listened on
# Nothing is sent to it: connecting a datagram socket only makes the system choose the address it would send from.
_ELSEWHERE = ("192.0.2.1", 9)


class Ready(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="ready"):
    """The node listens for peers and for programs of this device, each at host:port.

    `listen` may stand for every address of this device; `addresses` say where others reach it, best first.
    """

    listen: str
    addresses: list[str]
    api: str


async def run_node(
    config: NodeConfig,
    *,
    passphrase: str,
    stop: asyncio.Event,
    listen: str | None = None,
    api: str | None = None,
    peers: Sequence[str] = (),
) -> AsyncGenerator[Ready | NodeEvent, None]:
    """Run the node of a home until `stop` is set, yielding `Ready` first and then what happens.

    `listen`, `api` and `peers` say otherwise than the settings; `peers` are the addresses to keep calling, host:port.
    Without any, a device calls the one through which it joined.
    Raises what `open_home` raises, `TransportError` for a port in use, `ConfigError` for an address that is none.
    """
    with open_home(config, passphrase=passphrase) as service:
        # Where this device joined, it finds the others again, unless the person names other addresses.
        joined_at = service.keys.joined_at
        known = peers or config.peers or ([joined_at] if joined_at else [])
        async with (
            running(service, listen=listen or config.listen, peers=known, discovery=config.discovery) as runtime,
            serve_api(
                service.home,
                LocalCaller(service),
                address=api or config.api,
                entropy=service.entropy,
                clock=service.clock,
            ) as api_address,
        ):
            _LOG.info("the node runs", extra={"listen": runtime.listen_address, "api": api_address})
            with service.events.follow() as events:
                listening = runtime.listen_address
                yield Ready(listen=listening, addresses=reachable_addresses(parse_address(listening)), api=api_address)
                stopping = asyncio.create_task(stop.wait())
                try:
                    while (event := await _next_unless(stopping, events)) is not None:
                        yield event
                finally:
                    stopping.cancel()
                    _LOG.info("the node stops")


@asynccontextmanager
async def running(
    service: Service, *, listen: str | None, peers: Sequence[str], discovery: bool = False
) -> AsyncIterator[Runtime]:
    """Connect a service to the other devices while the block runs; without `listen` it only calls `peers`.

    With `discovery` it announces where it listens on the local networks and looks for the others there.
    """
    runtime: Runtime
    local: LocalNetwork | None = None
    host = PairingHost(
        service,
        hints=lambda: reachable_addresses(parse_address(runtime.listen_address)),
        roster_changed=lambda: runtime.roster_changed(),
        announce=lambda rendezvous: local.announce_pairing(rendezvous) if local is not None else None,
    )
    runtime = Runtime(
        store=service.store,
        keys=service.keys.device_keys,
        realm_id=service.keys.realm_id,
        clock=service.clock,
        entropy=service.entropy,
        listen=listen,
        peers=peers,
        pairing=host.serve,
        older_discovery_secrets=service.keys.older_discovery_secrets,
        on_event=service.events.publish,
    )
    await runtime.start()
    if discovery and listen is not None:
        local = await _discovering(service, runtime)
    settle_collector()
    service.links, service.pairing = runtime, host
    try:
        yield runtime
    finally:
        service.links = service.pairing = None
        if local is not None:
            await local.stop()
        await runtime.stop()


async def _discovering(service: Service, runtime: Runtime) -> "LocalNetwork":
    # Some hundred modules that a node without discovery does not need.
    from node.discovery.local_network import LocalNetwork

    local = LocalNetwork(
        membership=lambda: runtime.replication.membership,
        older_discovery_secrets=service.keys.older_discovery_secrets,
        listening=parse_address(runtime.listen_address),
        calling=runtime.calling,
        moved=runtime.doubts.network_changed,
        announced=runtime.doubts.announced,
        tell=lambda text: service.events.publish(Notice(text=text)),
        clock=service.clock,
        entropy=service.entropy,
    )
    await local.start()
    runtime.replication.membership_moved.append(lambda _membership: local.membership_changed())
    runtime.discovery = local.report
    return local


def reachable_addresses(listening: Address) -> list[str]:
    """Return where another device can reach a listener: on every interface means the local network too.

    Few, since each makes a code larger that a camera has to read: this device's own address serves on it as well.
    """
    if listening.host not in _WILDCARDS:
        return [str(listening)]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
        probe.connect(_ELSEWHERE)
        return [str(Address(probe.getsockname()[0], listening.port))]
    return [str(Address("127.0.0.1", listening.port))]


async def _next_unless(stopping: "asyncio.Task[Literal[True]]", events: AsyncIterator[NodeEvent]) -> NodeEvent | None:
    """Return the next event, or None once the node is to stop."""
    coming = asyncio.ensure_future(anext(events))
    waited: list[asyncio.Future[Literal[True]] | asyncio.Future[NodeEvent]] = [stopping, coming]
    try:
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        return None if stopping.done() else coming.result()
    finally:
        coming.cancel()

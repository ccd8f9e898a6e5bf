"""Tries the doors: can the port be listened on, does this node answer there, can the other devices be reached."""

import asyncio
import errno
import socket
from contextlib import suppress

from node.discovery.report import DiscoveryReport, DiscoveryState
from node.doctor.found import bad, good, notice, unknown
from node.errors import ConfigError
from node.requests.doctor import Finding
from node.service import Links, Service
from node.transport.address import Address, parse_address

CONNECT_SECONDS = 2.0
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  asked for, not listened on


async def network_findings(service: Service, listen: str) -> list[Finding]:
    """Return how the ports are; `listen` is an address that `run` is meant to listen on, empty for none."""
    findings: list[Finding] = []
    links = service.links
    if links is not None:
        findings.append(await _listening(links))
    if listen:
        findings.append(_free(listen, links))
    if links is not None:
        findings.append(_discovery(links.discovery()))
    findings.append(await _peers(service))
    return findings


def _discovery(report: DiscoveryReport) -> Finding:
    """Say how devices are found here: what is blocked is bad, what was switched off is the person's wish."""
    match report.state:
        case DiscoveryState.LOOKING | DiscoveryState.STARTING | DiscoveryState.UNPAIRED | DiscoveryState.OFF:
            return good("discovery", report.sentence)
        case DiscoveryState.BLOCKED | DiscoveryState.NO_NETWORK:
            return bad("discovery", report.sentence, report.advice)
        case DiscoveryState.ALONE:
            return notice("discovery", report.sentence, report.advice)


async def _listening(links: Links) -> Finding:
    address = links.listening_at()
    if address is None:
        return notice("port", "This node accepts no connections; it only calls the others.")
    found = parse_address(address)
    if (refused := await _refusal(Address(_ANYWHERE.get(found.host, found.host), found.port))) is not None:
        return bad(
            "port", f"Nothing answers at {address}, where this node listens: {refused}.", "Start the node again."
        )
    return good("port", f"This node answers at {address}.")


def _free(listen: str, links: Links | None) -> Finding:
    try:
        address = parse_address(listen)
    except ConfigError as error:
        return bad("port", str(error), "nuthatch run --listen HOST:PORT")
    if links is not None and links.listening_at() == str(address):
        return good("port", f"{address} is this node's own.")
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        with socket.create_server((address.host, address.port), family=family):
            return good("port", f"{address} is free to listen on.")
    except (TypeError, ValueError):
        return bad("port", "The host of the address to listen on is none.", "nuthatch run --listen HOST:PORT")
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return bad(
                "port",
                f"Another program listens on {address} already.",
                f"ss -ltnp 'sport = :{address.port}' shows which; or nuthatch run --listen with another port",
            )
        return bad("port", f"{address} cannot be listened on: {error.strerror}.", "nuthatch run --listen HOST:PORT")


async def _peers(service: Service) -> Finding:
    others = len(service.membership.roster.active) - 1
    if not others:
        return notice("devices", "This is your only device: nothing is kept anywhere else.", "nuthatch pair")
    if service.links is None:
        return unknown("devices", "No node runs, so the other devices were not called.", "nuthatch run")
    peers = service.links.peers()
    connected = [peer for peer in peers if peer.connected]
    behind = [peer for peer in connected if not peer.in_sync]
    if len(connected) == others:
        if behind:
            name = service.device_name(behind[0].device_id)
            return notice("devices", f"All others are connected; {name} is not in sync: {behind[0].why}.")
        return good("devices", "All other devices are connected and in sync.")
    missing = ", ".join(service.device_name(peer.device_id) for peer in peers if not peer.connected)
    tried = [f"{address}: {await _refusal(parse_address(address)) or 'answers'}" for address in service.links.called()]
    said = f" Called {'; '.join(tried)}." if tried else ""
    return notice(
        "devices",
        f"Not connected: {missing}.{said}",
        "Run Nuthatch there, in the same network; or nuthatch run --peer HOST:PORT with where it listens.",
    )


async def _refusal(address: Address) -> str | None:
    """Return why no connection can be made, None if one can."""
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(address.host, address.port)
    except TimeoutError:
        return "no answer; a firewall may be in the way"
    except OSError as error:
        return "nothing listens there" if error.errno == errno.ECONNREFUSED else (error.strerror or str(error)).lower()
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return None

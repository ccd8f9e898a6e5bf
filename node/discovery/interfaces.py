"""What networks this device is on: its interfaces that are up, with their addresses, as they are at this moment."""

import fcntl
import ipaddress
import socket
import struct
import sys
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Address, IPv6Interface

import ifaddr

from node.transport.address import Address

# netdevice(7) and <net/if.h>: the request for an interface's flags, and the flags.
_GET_FLAGS = 0xC0206911 if sys.platform == "darwin" else 0x8913
_UP, _LOOPBACK, _RUNNING = 0x1, 0x8, 0x40
_MULTICAST = 0x8000 if sys.platform == "darwin" else 0x1000
_NAME_BYTES_MAX = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """An interface that is up and has a carrier; `addresses` say the network of each as well."""

    name: str
    index: int
    addresses: tuple[IPv4Interface | IPv6Interface, ...]
    loopback: bool
    multicast: bool

    @property
    def hosts(self) -> tuple[str, ...]:
        """The IP addresses, without network and scope."""
        return tuple(str(address.ip).partition("%")[0] for address in self.addresses)


def interfaces() -> tuple[Interface, ...]:
    """Return the interfaces that can carry something now, in order of name."""
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for adapter in ifaddr.get_adapters():
            flags = _flags(probe, adapter.name)
            addresses = tuple(sorted(_addresses(adapter.ips), key=str))
            if flags & _UP and flags & _RUNNING and addresses:
                found.append(
                    Interface(
                        name=adapter.name,
                        index=adapter.index or 0,
                        addresses=addresses,
                        loopback=bool(flags & _LOOPBACK),
                        multicast=bool(flags & (_MULTICAST | _LOOPBACK)),
                    )
                )
    return tuple(sorted(found, key=lambda interface: interface.name))


def hosts_of(present: Iterable[Interface]) -> frozenset[str]:
    """Return the IP addresses of all these interfaces, without scopes."""
    return frozenset(host for interface in present for host in interface.hosts)


def is_on_link(address: Address, present: Collection[Interface]) -> bool:
    """Tell whether an address lies in a network that one of these interfaces is on, and is one that a device can have.

    What is announced on a local network is there, or it is forged: nobody can make this device call across the world.
    """
    try:
        host = ipaddress.ip_address(address.host)
    except ValueError:
        return False
    if not address.port > 0 or host.is_multicast or host.is_unspecified:
        return False
    scope = host.scope_id if isinstance(host, IPv6Address) else None
    if isinstance(host, IPv6Address) and host.is_link_local and not scope:
        return False
    bare = ipaddress.ip_address(address.host.partition("%")[0])
    return any(
        bare in own.network
        for interface in present
        if scope in (None, interface.name, str(interface.index))
        for own in interface.addresses
    )


def _flags(probe: socket.socket, name: str) -> int:
    """Return an interface's flags, none for one that has gone meanwhile."""
    encoded = name.encode()[:_NAME_BYTES_MAX]
    with suppress(OSError):
        answer = fcntl.ioctl(probe.fileno(), _GET_FLAGS, struct.pack("16sH14x", encoded, 0))
        flags: int = struct.unpack_from("16xH", answer)[0]
        return flags
    return 0


def _addresses(ips: Iterable[ifaddr.IP]) -> Iterable[IPv4Interface | IPv6Interface]:
    for one in ips:
        if isinstance(one.ip, str):
            yield IPv4Interface(f"{one.ip}/{one.network_prefix}")
        else:
            # The scope is the interface that the address stands at.
            yield IPv6Interface(f"{one.ip[0].partition('%')[0]}/{one.network_prefix}")

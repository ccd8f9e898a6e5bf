"""Where a device listens: host and port, spelled host:port, an IPv6 host in brackets."""

import ipaddress
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from node.errors import ConfigError

PORT_MAX = 65_535


@dataclass(frozen=True, slots=True)
class Address:
    """A host name or IP address, and a TCP port (0 lets the system choose one to listen on)."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return the spelling that `parse_address` reads."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def is_loopback(host: str) -> bool:
    """Tell whether only this device reaches a listener on this host."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def parse_address(text: str) -> Address:
    """Return the address that `text` spells, else raise ConfigError."""
    host, separator, port = text.strip().rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        host = ""
    if not separator or not host or not (port.isascii() and port.isdecimal()) or int(port) > PORT_MAX:
        raise ConfigError(f"{text!r} is not an address; write host:port, for example 192.168.1.7:4711.")
    return Address(host, int(port))


def plain_host(host: str) -> str:
    """Return an IP address in its shortest form, an IPv4 one that came through an IPv6 socket as what it is."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)

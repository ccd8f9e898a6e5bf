"""Multicast DNS as an attacker writes it: packets made by hand, sent on the loopback interface."""

import socket
import struct
from collections.abc import Sequence

GROUP = ("224.0.0.251", 5353)
_PTR, _TXT, _SRV, _A = 12, 16, 33, 1
_UNIQUE = 0x8001


def _name(name: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in name.rstrip(".").split(".")) + b"\0"


def _record(name: str, kind: int, data: bytes, *, unique: bool = True, ttl: int = 4500) -> bytes:
    return _name(name) + struct.pack(">HHIH", kind, _UNIQUE if unique else 1, ttl, len(data)) + data


def announcement(service: str, name: str, port: int, hosts: Sequence[str], server: str, *, ttl: int = 4500) -> bytes:
    """Return a response that says: this name of the service is at this port of these IPv4 hosts."""
    kind = f"{service}.local"
    instance, target = f"{name}.{kind}", f"{server}.local"
    records = [
        _record(kind, _PTR, _name(instance), unique=False, ttl=ttl),
        _record(instance, _SRV, struct.pack(">HHH", 0, 0, port) + _name(target), ttl=ttl),
        _record(instance, _TXT, b"\x03v=1", ttl=ttl),
        *(_record(target, _A, socket.inet_aton(host), ttl=ttl) for host in hosts),
    ]
    return struct.pack(">HHHHHH", 0, 0x8400, 0, len(records), 0, 0) + b"".join(records)


def send(*packets: bytes) -> None:
    """Send packets to the group on the loopback interface."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
        for packet in packets:
            sender.sendto(packet, GROUP)

"""Network namespaces of this machine: two rooms with a device each, joined over a switch that stands in a third one."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from node.demo.device import Device
from tests.support.program import CONSOLE_SCRIPT

# What the cable is called in both rooms.
CABLE = "lan0"
ENVIRONMENT = {"NUTHATCH_PASSPHRASE_COST": "interactive", "NUTHATCH_RUN_DISCOVERY": "true"}


def _ip(*arguments: str) -> None:
    subprocess.run(("ip", *arguments), check=True, capture_output=True, timeout=10)


@dataclass(frozen=True, slots=True)
class Room:
    """One namespace."""

    name: str

    def ip(self, *arguments: str) -> None:
        """Run `ip` in this room."""
        _ip("-n", self.name, *arguments)

    def run(self, *command: str) -> None:
        """Run a command in this room."""
        subprocess.run((*self.entrance, *command), check=True, capture_output=True, timeout=10)

    def readdress(self, address: str) -> None:
        """Take every IPv4 address of the cable away and give it this one."""
        self.ip("-4", "addr", "flush", "dev", CABLE)
        self.ip("addr", "add", address, "dev", CABLE)

    def without_ipv4(self) -> None:
        """Take every IPv4 address of the cable away."""
        self.ip("-4", "addr", "flush", "dev", CABLE)

    def ipv6(self, *, on: bool) -> None:
        """Switch IPv6 on the cable on or off."""
        self.run("sh", "-c", f"echo {0 if on else 1} > /proc/sys/net/ipv6/conf/{CABLE}/disable_ipv6")

    def unplug(self) -> None:
        """Take the cable out on this side; over the switch the other room is not told."""
        self.ip("link", "set", CABLE, "down")

    def plug(self) -> None:
        """Put the cable in."""
        self.ip("link", "set", CABLE, "up")

    @property
    def entrance(self) -> tuple[str, ...]:
        """What stands before a command that is to run in this room."""
        return ("ip", "netns", "exec", self.name)

    def device(self, directory: Path, name: str, passphrase: str) -> Device:
        """Return a device whose every process runs in this room."""
        passphrase_file = directory / f"{name}.passphrase"
        passphrase_file.write_text(passphrase + "\n")
        program = (*self.entrance, CONSOLE_SCRIPT)
        return Device(name, directory / name, passphrase_file, ENVIRONMENT, program)


@contextmanager
def two_rooms() -> Iterator[tuple[Room, Room]]:
    """Make two rooms that are joined, without addresses; skip the test where that is not permitted."""
    if shutil.which("ip") is None or os.geteuid() != 0:
        pytest.skip("making network namespaces takes root and iproute2")
    first, second, switch = (Room(f"nh-{os.getpid()}-{name}") for name in ("a", "b", "switch"))
    made: list[Room] = []
    try:
        for room in (first, second, switch):
            _permitted("netns", "add", room.name)
            made.append(room)
            room.ip("link", "set", "lo", "up")
        _permitted("-n", switch.name, "link", "add", "bridge0", "type", "bridge")
        switch.ip("link", "set", "bridge0", "up")
        for room, port in ((first, "port1"), (second, "port2")):
            _permitted(
                "link", "add", CABLE, "netns", room.name, "type", "veth", "peer", "name", port, "netns", switch.name
            )
            switch.ip("link", "set", port, "master", "bridge0", "up")
        yield first, second
    finally:
        for room in made:
            _ip("netns", "delete", room.name)


def _permitted(*arguments: str) -> None:
    """Do what takes permission; skip the test where it is not given."""
    try:
        _ip(*arguments)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"network namespaces are not permitted here: {error.stderr.decode().strip()}")

"""The kinds of value that a setting takes: each says in words what it takes, and refuses the rest with a sentence.

A value reaches a setting by two ways: from the file, as TOML has typed it, or from words, as a command line and an
environment variable have them. Both end in the same checked value.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from node.errors import ConfigError
from node.transport.address import is_loopback, parse_address

SettingValue = str | int | bool | tuple[str, ...]


class Kind(Protocol):
    """One kind of value."""

    @property
    def takes(self) -> str:
        """What a value looks like, for a person."""

    def checked(self, value: object) -> SettingValue:
        """Return what TOML gave as this kind's value; raises `ConfigError` saying what is wrong, without its name."""

    def read(self, words: Sequence[str]) -> SettingValue:
        """Return what words say; raises `ConfigError` likewise."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few names, upper or lower case."""

    names: tuple[str, ...]

    @property
    def takes(self) -> str:
        """The names."""
        return "|".join(self.names)

    def checked(self, value: object) -> str:
        """Return the name in lower case."""
        if not isinstance(value, str) or value.lower() not in self.names:
            raise ConfigError(f"it must be one of {', '.join(self.names)}")
        return value.lower()

    def read(self, words: Sequence[str]) -> str:
        """Return the one word."""
        return self.checked(_single(words))


@dataclass(frozen=True, slots=True)
class WholeNumber:
    """A number within bounds, both included."""

    least: int
    most: int

    @property
    def takes(self) -> str:
        """The bounds."""
        return f"{self.least}…{self.most}"

    def checked(self, value: object) -> int:
        """Return the number."""
        if not isinstance(value, int) or isinstance(value, bool) or not self.least <= value <= self.most:
            raise ConfigError(f"it must be a whole number from {self.least} to {self.most}")
        return value

    def read(self, words: Sequence[str]) -> int:
        """Return the number that one word spells; `_` may group digits, as in TOML."""
        try:
            number: object = int(_single(words))
        except ValueError:
            number = None
        return self.checked(number)


@dataclass(frozen=True, slots=True)
class Switch:
    """On or off."""

    @property
    def takes(self) -> str:
        """The two words."""
        return "true|false"

    def checked(self, value: object) -> bool:
        """Return whether it is on."""
        if not isinstance(value, bool):
            raise ConfigError("it must be true or false")
        return value

    def read(self, words: Sequence[str]) -> bool:
        """Return what one word says."""
        return self.checked({"true": True, "false": False}.get(_single(words).lower()))


@dataclass(frozen=True, slots=True)
class FilePath:
    """A file's path, `~` for the person's directory; nothing for no file."""

    @property
    def takes(self) -> str:
        """A path."""
        return "FILE"

    def checked(self, value: object) -> str:
        """Return the path as it was written: what it stands for is found when it is used."""
        if not isinstance(value, str) or any(ord(character) < 0x20 for character in value):
            raise ConfigError("it must be the path of a file")
        return value

    def read(self, words: Sequence[str]) -> str:
        """Return the one word."""
        return self.checked(_single(words))


@dataclass(frozen=True, slots=True)
class NetworkAddress:
    """One host:port; `loopback_only` keeps it to this device."""

    loopback_only: bool = False

    @property
    def takes(self) -> str:
        """The form."""
        return "HOST:PORT"

    def checked(self, value: object) -> str:
        """Return the address as it was written."""
        address = _address(value)
        if self.loopback_only and not is_loopback(parse_address(address).host):
            raise ConfigError("it must be a loopback address, for example 127.0.0.1:4780")
        return address

    def read(self, words: Sequence[str]) -> str:
        """Return the one word."""
        return self.checked(_single(words))


@dataclass(frozen=True, slots=True)
class NetworkAddresses:
    """Any number of host:port, no word for none."""

    @property
    def takes(self) -> str:
        """The form."""
        return "[HOST:PORT …]"

    def checked(self, value: object) -> tuple[str, ...]:
        """Return the addresses as they were written."""
        if not isinstance(value, list | tuple):
            raise ConfigError('it must be a list of addresses, for example ["192.168.1.7:4711"]')
        return tuple(_address(item) for item in value)

    def read(self, words: Sequence[str]) -> tuple[str, ...]:
        """Return the addresses; commas between them count as spaces, for environment variables."""
        return self.checked([part for word in words for part in word.replace(",", " ").split()])


def _single(words: Sequence[str]) -> str:
    if len(words) != 1:
        raise ConfigError(f"it takes one value, not {len(words)}")
    return words[0]


def _address(value: object) -> str:
    if not isinstance(value, str):
        raise ConfigError("it must be host:port in quotes")
    parse_address(value)
    return value

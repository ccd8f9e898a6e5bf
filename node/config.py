"""The settings of one process: frozen, from the command line and `NUTHATCH_*` variables; never secrets."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from platformdirs import user_data_dir

from node.errors import ConfigError


class PassphraseCost(Enum):
    """What guessing a passphrase costs: Argon2id operations and bytes of memory, libsodium's three profiles.

    INTERACTIVE (about 0.1 s) is the least that a key file may state, fit for homes that are thrown away; MODERATE
    (0.4 s) guards a device, SENSITIVE (3.5 s, 1 GiB) the owner key.
    """

    INTERACTIVE = (2, 64 * 2**20)
    MODERATE = (3, 256 * 2**20)
    SENSITIVE = (4, 2**30)

    @property
    def operations(self) -> int:
        """Argon2id passes."""
        return self.value[0]

    @property
    def memory_bytes(self) -> int:
        """Argon2id memory."""
        return self.value[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeConfig:
    """Settings that hold for one process."""

    home_directory: Path
    device_cost: PassphraseCost = PassphraseCost.MODERATE
    owner_cost: PassphraseCost = PassphraseCost.SENSITIVE


def load_config(environment: Mapping[str, str] = os.environ, *, home_directory: Path | None = None) -> NodeConfig:
    """Resolve the settings; a directory given on the command line wins over `NUTHATCH_HOME`.

    `NUTHATCH_PASSPHRASE_COST` (interactive, moderate, sensitive) sets the cost of both passphrases of homes made by
    this process. Raises `ConfigError` for a value that is not one of these.
    """
    chosen = home_directory or Path(environment.get("NUTHATCH_HOME") or user_data_dir("nuthatch", appauthor=False))
    directory = chosen.expanduser().absolute()
    name = environment.get("NUTHATCH_PASSPHRASE_COST")
    if name is None:
        return NodeConfig(home_directory=directory)
    try:
        cost = PassphraseCost[name.upper()]
    except KeyError:
        known = ", ".join(profile.name.lower() for profile in PassphraseCost)
        raise ConfigError(f"NUTHATCH_PASSPHRASE_COST is {name!r}; it must be one of {known}.") from None
    return NodeConfig(home_directory=directory, device_cost=cost, owner_cost=cost)

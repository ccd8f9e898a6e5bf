"""The settings of one process, frozen and typed: from `NUTHATCH_*` variables and the home's file; never secrets."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from platformdirs import user_data_dir

from node.home import Home
from node.settings.catalogue import NO_FILE
from node.settings.effective import HOME_VARIABLE, Effective, effective_settings
from node.settings.file import read_settings
from node.settings.kinds import SettingValue


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
class LogConfig:
    """What a running node logs: from `level` on to standard error, from `file_level` on to a file, None for no file.

    The file grows to `file_bytes_max`; `files_max` are kept at most, the current one included.
    """

    level: str = "warning"
    file_level: str | None = None
    file_bytes_max: int = 2**20
    files_max: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeConfig:
    """Settings that hold for one process."""

    home_directory: Path
    device_cost: PassphraseCost = PassphraseCost.MODERATE
    owner_cost: PassphraseCost = PassphraseCost.SENSITIVE
    passphrase_file: Path | None = None
    listen: str = "[::]:0"
    api: str = "127.0.0.1:0"
    peers: tuple[str, ...] = ()
    discovery: bool = False
    log: LogConfig = field(default_factory=LogConfig)


def home_directory_of(environment: Mapping[str, str] = os.environ, *, home_directory: Path | None = None) -> Path:
    """Return the absolute path of the home; a directory given on the command line wins over `NUTHATCH_HOME`."""
    chosen = home_directory or Path(environment.get(HOME_VARIABLE) or user_data_dir("nuthatch", appauthor=False))
    return chosen.expanduser().absolute()


def settings_of(home: Home, environment: Mapping[str, str] = os.environ) -> Mapping[str, Effective]:
    """Return what counts for every setting of a home; raises `SettingError` for a wrong one, `StorageError`."""
    return effective_settings(environment, read_settings(home.config_file), home.config_file.name)


def load_config(environment: Mapping[str, str] = os.environ, *, home_directory: Path | None = None) -> NodeConfig:
    """Resolve the settings: the environment's count before those in the home's `config.toml`.

    Raises `SettingError` for an unknown setting or a value that is none of its values, `StorageError`.
    """
    directory = home_directory_of(environment, home_directory=home_directory)
    values = {name: found.value for name, found in settings_of(Home(directory), environment).items()}
    passphrase_file = str(values["passphrase.file"])
    file_level = str(values["log.file_level"])
    return NodeConfig(
        home_directory=directory,
        device_cost=PassphraseCost[str(values["passphrase.device_cost"]).upper()],
        owner_cost=PassphraseCost[str(values["passphrase.owner_cost"]).upper()],
        passphrase_file=directory / Path(passphrase_file).expanduser() if passphrase_file else None,
        listen=str(values["run.listen"]),
        api=str(values["run.api"]),
        peers=_texts(values["run.peers"]),
        discovery=values["run.discovery"] is True,
        log=LogConfig(
            level=str(values["log.level"]),
            file_level=None if file_level == NO_FILE else file_level,
            file_bytes_max=_number(values["log.file_bytes_max"]),
            files_max=_number(values["log.files_max"]),
        ),
    )


def _texts(value: SettingValue) -> tuple[str, ...]:
    assert isinstance(value, tuple), "the setting's kind gives a tuple"
    return value


def _number(value: SettingValue) -> int:
    assert isinstance(value, int), "the setting's kind gives a number"
    return value

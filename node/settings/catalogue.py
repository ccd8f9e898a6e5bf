"""Every setting there is, each explained once; the file, the commands and the documentation all read this list.

What must be equal on all devices of a realm is no setting: limits of the protocol are constants in `sync/limits.py`.
"""

import difflib
from dataclasses import dataclass

from node.settings.kinds import (
    Choice,
    FilePath,
    Kind,
    NetworkAddress,
    NetworkAddresses,
    SettingValue,
    Switch,
    WholeNumber,
)

LEVELS = ("debug", "info", "warning", "error", "critical")
COSTS = ("interactive", "moderate", "sensitive")
NO_FILE = "off"
PREFIX = "NUTHATCH_"
_SIMILARITY_MIN = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting: `name` is section.key as in the file, `default` what holds where nothing is said."""

    name: str
    kind: Kind
    default: SettingValue
    explanation: str

    @property
    def section(self) -> str:
        """The table of the file that it stands in."""
        return self.name.partition(".")[0]

    @property
    def key(self) -> str:
        """Its name in that table."""
        return self.name.partition(".")[2]

    @property
    def variable(self) -> str:
        """The environment variable that says the same."""
        return PREFIX + self.name.replace(".", "_").upper()


SETTINGS: tuple[Setting, ...] = (
    Setting(
        name="run.listen",
        kind=NetworkAddress(),
        default="[::]:0",
        explanation="Where other devices reach this one: [::] is every address of either kind. Port 0 takes a free "
        "port at each start; name one if a firewall has to know it. 127.0.0.1:0 keeps the network out.",
    ),
    Setting(
        name="run.api",
        kind=NetworkAddress(loopback_only=True),
        default="127.0.0.1:0",
        explanation="Where programs of this device reach the node; loopback only. Name a port if a program cannot "
        "read it from api.json, a metrics collector for example.",
    ),
    Setting(
        name="run.peers",
        kind=NetworkAddresses(),
        default=(),
        explanation="Addresses of other devices that the node keeps calling, beside those it finds by itself.",
    ),
    Setting(
        name="run.discovery",
        kind=Switch(),
        default=True,
        explanation="Whether the node announces itself on the local network and looks for your other devices there, "
        "under names that change every day and mean nothing to strangers. Without it, run.peers says where they are.",
    ),
    Setting(
        name="passphrase.file",
        kind=FilePath(),
        default="",
        explanation="A file whose first line is this device's passphrase, for commands that would ask for it; a "
        "relative path begins in the home. Whoever can read the file opens this device: a copy of the home alone stays "
        "closed, a stolen disk does not.",
    ),
    Setting(
        name="passphrase.device_cost",
        kind=Choice(COSTS),
        default="moderate",
        explanation="What one guess at this device's passphrase costs a thief, and unlocking costs you: interactive "
        "0.1 s and 64 MiB, moderate 0.4 s and 256 MiB, sensitive 3.5 s and 1 GiB. Holds when a home is made.",
    ),
    Setting(
        name="passphrase.owner_cost",
        kind=Choice(COSTS),
        default="sensitive",
        explanation="The same for the owner's passphrase, which adds and removes devices.",
    ),
    Setting(
        name="log.level",
        kind=Choice(LEVELS),
        default="warning",
        explanation="What a running node tells on standard error: this level and what is graver.",
    ),
    Setting(
        name="log.file_level",
        kind=Choice((NO_FILE, *LEVELS)),
        default="info",
        explanation="What it keeps in node.log in its home; off keeps no file. A log holds device ids, addresses and "
        "reasons, never names or texts.",
    ),
    Setting(
        name="log.file_bytes_max",
        kind=WholeNumber(4_096, 2**30),
        default=2**20,
        explanation="How long node.log grows, in bytes, before it becomes node.log.1 and a new one begins.",
    ),
    Setting(
        name="log.files_max",
        kind=WholeNumber(2, 100),
        default=5,
        explanation="How many log files there are at most, the current one included; the oldest goes.",
    ),
)
SETTING_BY_NAME = {setting.name: setting for setting in SETTINGS}


def nearest_name(name: str) -> str | None:
    """Return the setting that was most likely meant by a name that is none: misspelt, or without its section."""
    by_key = {setting.key: setting.name for setting in SETTINGS}
    known = {**by_key, **{full: full for full in SETTING_BY_NAME}}
    wanted = name.lower().replace("-", "_")
    found = difflib.get_close_matches(wanted, known, n=1, cutoff=_SIMILARITY_MIN)
    if not found:
        # `listen.port` and `node.listen`: the right key under another table.
        found = difflib.get_close_matches(wanted.rpartition(".")[2], by_key, n=1, cutoff=_SIMILARITY_MIN)
    return known[found[0]] if found else None


def unknown_name(name: str) -> str:
    """Return the sentence for a name that is no setting."""
    nearest = nearest_name(name)
    meant = f" Did you mean {nearest}?" if nearest is not None else ""
    return f"There is no setting {name!r}.{meant} `nuthatch config show` lists all of them."

"""Which value of each setting counts: the environment's before the file's, and the default where neither says it."""

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from node.errors import ConfigError, SettingError
from node.settings.catalogue import PREFIX, SETTINGS, Setting
from node.settings.kinds import SettingValue

DEFAULT = "default"
# One variable for both costs, for homes that are thrown away.
BOTH_COSTS_VARIABLE = "NUTHATCH_PASSPHRASE_COST"
HOME_VARIABLE = "NUTHATCH_HOME"
_BOTH_COSTS = frozenset({"passphrase.device_cost", "passphrase.owner_cost"})


@dataclass(frozen=True, slots=True)
class Effective:
    """A value that counts, and where it was said: a variable's name, the file's name, or `DEFAULT`."""

    value: SettingValue
    said_by: str


def effective_settings(
    environment: Mapping[str, str], value_by_name: Mapping[str, SettingValue], file_name: str
) -> Mapping[str, Effective]:
    """Return what counts for every setting, by name; raises `SettingError` for a variable that cannot be used."""
    return {setting.name: _effective(setting, environment, value_by_name, file_name) for setting in SETTINGS}


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """Return a sentence for each variable that looks like a setting and is none; it may belong to another program."""
    known = {setting.variable for setting in SETTINGS} | {BOTH_COSTS_VARIABLE, HOME_VARIABLE}
    strays = sorted(name for name in environment if name.startswith(PREFIX) and name not in known)
    return [f"{stray} is no setting.{_meant(stray, known)}" for stray in strays]


def _meant(stray: str, known: Collection[str]) -> str:
    nearest = difflib.get_close_matches(stray, known, n=1)
    return f" Did you mean {nearest[0]}?" if nearest else ""


def _effective(
    setting: Setting, environment: Mapping[str, str], value_by_name: Mapping[str, SettingValue], file_name: str
) -> Effective:
    variables = [setting.variable, *([BOTH_COSTS_VARIABLE] if setting.name in _BOTH_COSTS else [])]
    for variable in variables:
        if variable in environment:
            return Effective(read_words(setting, [environment[variable]], named=variable), variable)
    if setting.name in value_by_name:
        return Effective(value_by_name[setting.name], file_name)
    return Effective(setting.default, DEFAULT)


def read_words(setting: Setting, words: Sequence[str], *, named: str) -> SettingValue:
    """Return the value that words say; raises `SettingError` that names what the person wrote them for."""
    try:
        return setting.kind.read(words)
    except ConfigError as error:
        raise SettingError(f"{named} cannot be {' '.join(words)!r}: {str(error).removesuffix('.')}.") from None

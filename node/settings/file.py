"""The file that keeps a person's settings: `config.toml` in the home, theirs to edit, comments and all.

An unknown name in it is an error, not a silent nothing: a setting that was misspelt would otherwise seem to hold.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path

from node.errors import ConfigError, SettingError, StorageError
from node.home import DIRECTORY_MODE, write_private_file
from node.settings.catalogue import SETTING_BY_NAME, Setting, unknown_name
from node.settings.kinds import SettingValue

_BEGINNING = """\
# Settings of this device. `nuthatch config show` explains each and says which value counts; a variable of the
# environment, NUTHATCH_ with section and key, counts before this file, an option of a command before both.
"""


def read_settings(path: Path) -> Mapping[str, SettingValue]:
    """Return the settings that the file makes, by name; none if there is no file.

    Raises `SettingError` for what is no TOML, no setting, or no value of its setting.
    """
    value_by_name: dict[str, SettingValue] = {}
    for section, table in _parsed(path, _text(path)).items():
        if not isinstance(table, dict):
            raise SettingError(f"{path}: {unknown_name(section)}")
        for key, value in table.items():
            name = f"{section}.{key}"
            setting = SETTING_BY_NAME.get(name)
            if setting is None:
                raise SettingError(f"{path}: {unknown_name(name)}")
            value_by_name[name] = _checked(path, setting, value)
    return value_by_name


def write_setting(path: Path, setting: Setting, value: SettingValue) -> None:
    """Make one setting in the file, which is made if need be; whatever else it says stays as it is.

    Raises `SettingError` for a file that is no TOML, `StorageError`.
    """
    import tomlkit
    from tomlkit.items import AbstractTable

    text = _text(path)
    _parsed(path, text)
    document = tomlkit.parse(text or _BEGINNING)
    if setting.section not in document:
        document[setting.section] = tomlkit.table()
    table = document[setting.section]
    if not isinstance(table, AbstractTable):
        raise SettingError(f"{path}: {unknown_name(setting.section)}")
    table[setting.key] = list(value) if isinstance(value, tuple) else value
    _write(path, tomlkit.dumps(document))


def remove_setting(path: Path, name: str) -> bool:
    """Take a name out of the file, be it a setting or not; return whether it was there.

    Raises `SettingError` for a file that is no TOML, `StorageError`.
    """
    import tomlkit
    from tomlkit.items import AbstractTable

    text = _text(path)
    _parsed(path, text)
    document = tomlkit.parse(text)
    section, _, key = name.partition(".")
    table = document.get(section)
    if not key and table is not None and not isinstance(table, AbstractTable):
        del document[section]
    elif isinstance(table, AbstractTable) and key in table:
        del table[key]
        # A comment of the person's keeps its place, also under a heading without a setting.
        if not table.as_string().strip():
            del document[section]
    else:
        return False
    _write(path, tomlkit.dumps(document))
    return True


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return ""  # where there is no home at all, that is said by whoever needs one
    except UnicodeDecodeError as error:
        raise SettingError(f"{path} is not valid UTF-8 text (byte {error.start}).") from None
    except OSError as error:
        raise StorageError(f"The settings {path} cannot be read: {error.strerror}.") from error


def _parsed(path: Path, text: str) -> Mapping[str, object]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingError(f"{path} is not valid TOML: {error}.") from None


def _checked(path: Path, setting: Setting, value: object) -> SettingValue:
    try:
        return setting.kind.checked(value)
    except ConfigError as error:
        raise SettingError(f"{path}: {setting.name} cannot be {value!r}: {str(error).removesuffix('.')}.") from None


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"The directory {path.parent} cannot be made: {error.strerror}.") from error
    # A link to a file kept elsewhere stays a link.
    write_private_file(path.resolve(), text.encode())

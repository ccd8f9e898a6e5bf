"""How settings look: each with its value, where that was said, and its explanation."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from node.cli.plain_text import plain
from node.settings.catalogue import Setting
from node.settings.effective import DEFAULT, Effective
from node.settings.kinds import SettingValue


class SettingReport(msgspec.Struct, frozen=True, kw_only=True):
    """One setting; `said_by` is an environment variable, the file's name, or default."""

    name: str
    value: SettingValue
    said_by: str
    default: SettingValue
    takes: str
    variable: str
    explanation: str


class SettingList(msgspec.Struct, frozen=True, kw_only=True):
    """Settings, and the file that may make them."""

    path: str
    settings: list[SettingReport]


class Removed(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a name was in the file, and what counts without it."""

    name: str
    removed: bool
    default: SettingValue | None


class ConfigPath(msgspec.Struct, frozen=True, kw_only=True):
    """Where the file of settings is."""

    path: str
    exists: bool


def described(path: Path, settings: Sequence[Setting], effective: Mapping[str, Effective]) -> SettingList:
    """Put what counts beside what is explained."""
    return SettingList(
        path=str(path),
        settings=[
            SettingReport(
                name=setting.name,
                value=effective[setting.name].value,
                said_by=effective[setting.name].said_by,
                default=setting.default,
                takes=setting.kind.takes,
                variable=setting.variable,
                explanation=setting.explanation,
            )
            for setting in settings
        ],
    )


def render_settings(value: SettingList) -> RenderableType:
    """Draw settings, section by section, with what each means."""
    parts: list[RenderableType] = []
    for setting in value.settings:
        origin = "" if setting.said_by == DEFAULT else f"  from {setting.said_by}, else {spelled(setting.default)}"
        said = "default" if setting.said_by == DEFAULT else ""
        parts.append(
            Text.assemble(
                (setting.name, "bold cyan"), " = ", (spelled(setting.value), "bold"), ("  " + said + origin, "dim")
            )
        )
        parts.append(Padding(Text(f"{setting.explanation} ({setting.takes}; {setting.variable})"), (0, 0, 1, 4)))
    parts.append(Text.assemble(("In ", "dim"), (plain(value.path), "dim")))
    return Group(*parts)


def render_removed(value: Removed) -> RenderableType:
    """Draw what counts now."""
    said = "Taken out" if value.removed else "It was not there"
    counts = "" if value.default is None else f"; {spelled(value.default)} counts, unless a variable says otherwise"
    return Text.assemble((value.name, "bold cyan"), f"  {said}{counts}.")


def render_path(value: ConfigPath) -> RenderableType:
    """Draw the path alone, to be used in a command line."""
    return Text(value.path, no_wrap=True, overflow="ignore")


def spelled(value: SettingValue) -> str:
    """Return a value as the file spells it."""
    match value:
        case bool():
            return "true" if value else "false"
        case tuple():
            return "[" + ", ".join(f'"{plain(item)}"' for item in value) + "]"
        case str():
            return f'"{plain(value)}"'
        case _:
            return str(value)

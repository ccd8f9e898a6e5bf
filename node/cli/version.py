"""Which version of Nuthatch this is."""

from importlib.metadata import version

import msgspec


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """The version of the installed program."""

    version: str


def installed_version() -> Version:
    """Return what the installed distribution says of itself."""
    return Version(version=version("nuthatch"))


def render_version(value: Version) -> str:
    """Draw the version."""
    return f"nuthatch {value.version}"

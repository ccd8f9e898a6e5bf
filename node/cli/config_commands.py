"""The commands of `config`: show, set, unset, path."""

import os
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Context, Typer

from node.cli.invocation import Invocation, invocation_of
from node.errors import UsageError

if TYPE_CHECKING:
    from node.home import Home
    from node.settings.catalogue import Setting

config = Typer(
    help="Settings of this device: what counts, what it means, and changing it.",
    no_args_is_help=False,
    invoke_without_command=True,
)


def setting_names(incomplete: str) -> list[str]:
    """Return the settings whose names begin so, for a shell that completes a command line."""
    from node.settings.catalogue import SETTING_BY_NAME

    return [name for name in SETTING_BY_NAME if name.startswith(incomplete)]


Name = Annotated[
    str,
    Argument(metavar="NAME", help="The setting, as show lists it.", show_default=False, autocompletion=setting_names),
]


@config.callback()
def config_or_show(context: Context) -> None:
    """Show the settings if no command is given."""
    if context.invoked_subcommand is None:
        show_settings(context, name=None)


@config.command("show")
def show_settings(
    context: Context,
    name: Annotated[
        str | None,
        Argument(metavar="[NAME]", help="Only this one.", show_default=False, autocompletion=setting_names),
    ] = None,
) -> None:
    """Show every setting: the value that counts, where it was said, and what it means."""
    from node.cli.config_rendering import described, render_settings
    from node.config import settings_of
    from node.settings.catalogue import SETTINGS
    from node.settings.effective import unknown_variables

    invocation = invocation_of(context)
    home = _home(invocation)
    shown = SETTINGS if name is None else (_setting(name),)
    invocation.output.show(described(home.config_file, shown, settings_of(home)), render_settings)
    for sentence in unknown_variables(os.environ):
        invocation.output.note(sentence)


@config.command("set")
def set_setting(
    context: Context,
    name: Name,
    values: Annotated[
        list[str] | None,
        Argument(metavar="VALUE…", help="The value; several for a list, none empties it.", show_default=False),
    ] = None,
) -> None:
    """Make a setting; a node that runs follows it from its next start on."""
    from node.cli.config_rendering import described, render_settings
    from node.config import settings_of
    from node.settings.effective import read_words
    from node.settings.file import write_setting

    invocation = invocation_of(context)
    home, setting = _home(invocation), _setting(name)
    write_setting(home.config_file, setting, read_words(setting, values or [], named=setting.name))
    invocation.output.show(described(home.config_file, (setting,), settings_of(home)), render_settings)


@config.command("unset")
def unset_setting(context: Context, name: Name) -> None:
    """Take a setting out of the file, so that its default counts; also a name that is no setting."""
    from node.cli.config_rendering import Removed, render_removed
    from node.settings.catalogue import SETTING_BY_NAME
    from node.settings.file import remove_setting

    invocation = invocation_of(context)
    home = _home(invocation)
    removed = remove_setting(home.config_file, name)
    if not removed:
        _setting(name)
    default = SETTING_BY_NAME[name].default if name in SETTING_BY_NAME else None
    invocation.output.show(Removed(name=name, removed=removed, default=default), render_removed)


@config.command("path")
def show_path(context: Context) -> None:
    """Show where the file is; it need not exist."""
    from node.cli.config_rendering import ConfigPath, render_path

    invocation = invocation_of(context)
    path = _home(invocation).config_file
    invocation.output.show(ConfigPath(path=str(path), exists=path.exists()), render_path)


def _home(invocation: Invocation) -> "Home":
    from node.config import home_directory_of
    from node.home import Home

    return Home(home_directory_of(home_directory=invocation.home_directory))


def _setting(name: str) -> "Setting":
    from node.settings.catalogue import SETTING_BY_NAME, unknown_name

    if name not in SETTING_BY_NAME:
        raise UsageError(unknown_name(name))
    return SETTING_BY_NAME[name]

"""Installs a home's node as a service, takes it away again, and tells how it stands.

A service starts while nobody is there to type the passphrase, so something on the disk must open the device. Either is
a file that its person alone can read, outside the home, so that a copy of the home stays closed:

- an unlock key of the service's own (the usual way), made here and worthless after `uninstall`;
- a file with the passphrase itself, which the person keeps and answers for.

Whoever takes a disk that is not encrypted, or reads the person's files or a backup of them all, opens the device with
either. An unlock key is never the owner's passphrase: no device is added or removed with it.
"""

import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_config_path

from node.autostart.state import State
from node.autostart.supervised import NAME, Supervised, label_of, supervised_node
from node.autostart.supervisor import Supervisor
from node.entropy import Entropy
from node.errors import RefusedError, StorageError, StoreLockedError, SupervisorError
from node.home import DIRECTORY_MODE, Home, write_private_file
from node.keys.key_file import add_service_slot, remove_service_slot, unlock_key_file


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """What stands where, once a service was installed."""

    label: str
    file: Path
    unlock_file: Path
    state: State


@dataclass(frozen=True, slots=True, kw_only=True)
class Uninstalled:
    """Whether there was a service, and whether a key of its own opened the device until now."""

    there: bool
    key_removed: bool


def unlock_file_of(home: Home) -> Path:
    """Return where the unlock key of a home's service lies, or would: with the person's settings, not in the home."""
    return user_config_path(NAME, appauthor=False) / f"{label_of(home)}.unlock"


def described(home: Home, supervisor: Supervisor, passphrase_file: Path | None) -> bytes:
    """Return what the supervisor would be told; nothing is written. Raises `UsageError` for an impossible path."""
    return supervisor.described(_supervised(home, passphrase_file))


def install(
    home: Home, supervisor: Supervisor, *, passphrase: str, passphrase_file: Path | None, entropy: Entropy
) -> Installed:
    """Make the node of a home start with its person's session, and start it now.

    With a `passphrase_file` the service reads that one, else it gets an unlock key of its own. If it does not start,
    no service is left behind. Raises `WrongPassphraseError`, `RefusedError` for a file in the wrong place,
    `StoreLockedError` if another process owns the home, `SupervisorError`, `StorageError`.
    """
    supervised = _supervised(home, passphrase_file)
    supervisor.require_reachable()
    if home.is_owned() and not supervisor.state(supervised.label).running:
        raise StoreLockedError(
            f"Another process owns the home {home.directory}: end it first (Ctrl-C where `nuthatch run` runs)."
        )
    if passphrase_file is not None:
        _require_private(home, passphrase_file)
        unlock_key_file(home.key_file, passphrase=passphrase)
        _forget_unlock_key(home)
        unlock_key = None
    else:
        # A wrong passphrase ends it here, and a service that was installed before runs on.
        unlock_key = add_service_slot(home.key_file, passphrase=passphrase, entropy=entropy)
    file = supervisor.file_of(supervised.label)
    try:
        if unlock_key is not None:
            _write(unlock_file_of(home), f"{unlock_key}\n")
        _write(file, supervisor.described(supervised).decode())
        supervisor.start(supervised.label)
    except BaseException:
        _take_back(home, supervisor)
        raise
    return Installed(
        label=supervised.label,
        file=file,
        unlock_file=passphrase_file or unlock_file_of(home),
        state=supervisor.state(supervised.label),
    )


def uninstall(home: Home, supervisor: Supervisor) -> Uninstalled:
    """Stop the node and start it no more.

    Raises `SupervisorError` if the supervisor cannot be told, `StorageError`. Also then an unlock key of the service's
    own opens nothing any more: whoever fears that it was taken must not depend on a supervisor.
    """
    label = label_of(home)
    file = supervisor.file_of(label)
    there = file.exists()
    key_removed = _forget_unlock_key(home)
    if there:
        supervisor.require_reachable()
        supervisor.stop(label)
        _remove(file)
        supervisor.removed(label)
    return Uninstalled(there=there, key_removed=key_removed)


def state_of(home: Home, supervisor: Supervisor) -> State | None:
    """Return how a home's service stands, None if there is none; raises `SupervisorError`."""
    label = label_of(home)
    return supervisor.state(label) if supervisor.file_of(label).exists() else None


def _supervised(home: Home, passphrase_file: Path | None) -> Supervised:
    return supervised_node(home, passphrase_file or unlock_file_of(home))


def _take_back(home: Home, supervisor: Supervisor) -> None:
    """Leave no service behind where one could not be installed."""
    label = label_of(home)
    # As a rule it never started, and the supervisor says that it knows no such service.
    with suppress(SupervisorError):
        supervisor.stop(label)
    _remove(supervisor.file_of(label))
    _forget_unlock_key(home)


def _forget_unlock_key(home: Home) -> bool:
    """Take key and slot away; return whether there was a slot that the key could open."""
    _remove(unlock_file_of(home))
    return home.exists() and remove_service_slot(home.key_file)


def _require_private(home: Home, passphrase_file: Path) -> None:
    if passphrase_file.resolve().is_relative_to(home.directory.resolve()):
        raise RefusedError(
            f"{passphrase_file} lies in the home that it opens, and every copy of the home would open itself. "
            "Keep it elsewhere."
        )
    try:
        status = passphrase_file.stat()
    except OSError as error:
        raise StorageError(f"The passphrase file {passphrase_file} cannot be read: {error.strerror}.") from error
    if status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & (stat.S_IRWXG | stat.S_IRWXO):
        raise RefusedError(
            f"Others on this computer can read {passphrase_file}; run `chmod 600` on it, as its owner, and try again."
        )


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"The directory {path.parent} cannot be made: {error.strerror}.") from error
    write_private_file(path, text.encode("utf-8", "surrogateescape"))


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"The file {path} cannot be removed: {error.strerror}.") from error

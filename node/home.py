"""A home: the directory that holds all of one device's data, its paths, and the lock that gives it one owner.

Every file in it is readable by its person alone (directory 0700, files 0600) and nothing in it is plaintext except
the public device id in the key file, the port and token of the local API while a node runs, the settings and the log.
"""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from node.errors import RefusedError, StorageError, StoreLockedError, UsageError

DIRECTORY_MODE = 0o700
FILE_MODE = 0o600


@dataclass(frozen=True, slots=True)
class Home:
    """The paths of one device's home."""

    directory: Path

    @property
    def key_file(self) -> Path:
        """The slots that wrap the device's master key, and the device's sealed secret keys."""
        return self.directory / "device.key"

    @property
    def owner_key_file(self) -> Path:
        """The owner key, wrapped by the owner's passphrase; only where the realm was founded."""
        return self.directory / "owner.key"

    @property
    def store_file(self) -> Path:
        """The encrypted database."""
        return self.directory / "store.db"

    @property
    def unfinished_file(self) -> Path:
        """Stands while a home is being made: without a key file beside it, all that lies here belongs to nobody yet."""
        return self.directory / "unfinished"

    @property
    def lock_file(self) -> Path:
        """The file whose lock says who owns this home."""
        return self.directory / "lock"

    @property
    def api_file(self) -> Path:
        """Address and token of the running node's local API."""
        return self.directory / "api.json"

    @property
    def token_file(self) -> Path:
        """The same token alone, for collectors of metrics that read it from a file."""
        return self.directory / "api.token"

    @property
    def config_file(self) -> Path:
        """The settings of this device."""
        return self.directory / "config.toml"

    @property
    def log_file(self) -> Path:
        """What a running node logs; older ones have a number behind the name."""
        return self.directory / "node.log"

    def exists(self) -> bool:
        """Say whether a device was set up here; raises `StorageError` if this user may not look."""
        return _is_there(self.key_file)

    def require(self) -> None:
        """Raise `UsageError` with advice if no device was set up here, `StorageError` if that cannot be told."""
        if self.exists():
            return
        if _is_there(self.store_file):
            raise UsageError(
                f"{self.directory} holds a store, but the key file {self.key_file.name} that opens it is missing. "
                "Restore it from a backup."
            )
        raise UsageError(f"There is no device in {self.directory}. Run `nuthatch init`, or `nuthatch join` to add one.")

    def require_free(self) -> None:
        """Raise `RefusedError` if anything of a device is here.

        Half a home counts as well: a store whose key file is missing may wait for that file to be restored. What a
        power cut left of a home that was being made does not.
        """
        if self._is_unfinished():
            return
        for path in (self.key_file, self.owner_key_file, self.store_file):
            if _is_there(path):
                raise RefusedError(
                    f"{self.directory} already holds a device ({path.name} is there); nothing was changed. "
                    "Choose another --home."
                )

    def _is_unfinished(self) -> bool:
        return _is_there(self.unfinished_file) and not _is_there(self.key_file)

    def begin(self) -> None:
        """Clear away what an earlier attempt left, and note that a home is being made; raises `StorageError`."""
        if self._is_unfinished():
            self.clear()
        write_private_file(self.unfinished_file, b"")

    def clear(self) -> None:
        """Take away all of a home that was not finished; raises `StorageError`."""
        names = (f"{self.store_file.name}*", f".{self.key_file.name}.*", f".{self.owner_key_file.name}.*")
        beside = sorted(path for name in names for path in self.directory.glob(name))
        _remove(*beside, self.owner_key_file, self.key_file, self.unfinished_file)

    def finish(self) -> None:
        """Note that the home is whole, its key file written; raises `StorageError`."""
        _remove(self.unfinished_file)

    def create_directory(self) -> None:
        """Make the directory for a new device; raises `RefusedError` if there is one already, `StorageError`."""
        self.require_free()
        try:
            self.directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
            self.directory.chmod(DIRECTORY_MODE)
        except OSError as error:
            raise StorageError(f"The directory {self.directory} cannot be made: {error.strerror}.") from error

    def is_owned(self) -> bool:
        """Say whether some process owns this home now."""
        try:
            with self.locked():
                return False
        except StoreLockedError:
            return True

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Own this home while the block runs; raises `StoreLockedError` if another process owns it.

        The lock is the kernel's, on the open file: it goes with the process however that ends, so a stale file locks
        nobody out.
        """
        try:
            descriptor = os.open(self.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        except OSError as error:
            raise StorageError(f"The home {self.directory} cannot be locked: {error.strerror}.") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            raise StoreLockedError(
                f"Another process owns the home {self.directory}. Stop it, or choose another --home."
            ) from error
        try:
            yield
        finally:
            os.close(descriptor)


def _is_there(path: Path) -> bool:
    try:
        path.stat()
    except FileNotFoundError:
        return False
    except NotADirectoryError as error:
        raise StorageError(
            f"{path.parent} is not a directory, so no device can live there. Choose another --home."
        ) from error
    except OSError as error:
        raise StorageError(f"The home {path.parent} cannot be read: {error.strerror}.") from error
    return True


def _remove(*paths: Path) -> None:
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"The file {path} cannot be removed: {error.strerror}.") from error


def write_private_file(path: Path, content: bytes) -> None:
    """Write a file durably and whole: after a crash at any point either the old or the new content is there.

    The new content goes to a file of its own with mode 0600, is flushed to the disk, and takes the name in one step;
    then the directory is flushed, since the name is part of it. Raises `StorageError`.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _flush_directory(path.parent)
    except OSError as error:
        raise StorageError(f"The file {path} cannot be written: {error.strerror}.") from error


def _flush_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

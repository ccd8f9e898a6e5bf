"""What can go wrong on a person's device: each class has an exit code, each message says what to do next."""

from typing import ClassVar


class HostError(Exception):
    """Something on this device failed; the message is what the person reads."""

    exit_code: ClassVar[int] = 1


class StorageError(HostError):
    """The store could not do what was asked; nothing was half done."""


class ConstraintError(StorageError):
    """A write breaks a rule of the schema and was refused."""


class StoreLockedError(StorageError):
    """Another process owns this home."""


class DamagedRowError(StorageError):
    """A row is not what its hash says, so it is neither shown nor edited."""


class UnreadableTextError(StorageError):
    """A text came back that is no valid UTF-8."""


class NewerStoreError(StorageError):
    """The store was written by a newer version of Nuthatch."""


class TransportError(HostError):
    """The network did not do what was asked."""


class InputError(HostError):
    """A file or text given by the person is malformed; nothing of it was taken."""


class ConfigError(HostError):
    """A setting is wrong."""

    exit_code = 2


class SettingError(ConfigError):
    """What a person set, in the file or in the environment, is no setting or no value of one."""


class UsageError(HostError):
    """The command was called in a way that it does not have."""

    exit_code = 2


class WrongPassphraseError(HostError):
    """The passphrase is wrong or missing, or the key file was altered: the two cannot be told apart."""

    exit_code = 3


class WrongKeyError(StorageError):
    """The database cannot be opened with this key."""

    exit_code = 3


class SupervisorError(HostError):
    """The system's supervisor of services did not do what was asked."""


class NotRunningError(HostError):
    """No node runs on this home."""

    exit_code = 4


class RefusedError(HostError):
    """Policy, the person or the peer said no."""

    exit_code = 5

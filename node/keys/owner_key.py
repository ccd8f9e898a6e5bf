"""The owner key at rest: the seed that signs devices into the realm, wrapped by the owner's passphrase.

An unlocked device is not the owner: the running node holds its device keys all the time, and this seed only while a
pairing window that the person opened with the owner's passphrase is open. The slot also needs this device's master
key, so that the stolen file cannot be guessed at without the device's passphrase too.
"""

from pathlib import Path

import msgspec

from crdt.identifiers import DeviceId
from node.config import PassphraseCost
from node.entropy import Entropy
from node.errors import ConfigError, RefusedError, StorageError
from node.home import write_private_file
from node.keys.key_file import MasterKey
from node.keys.passphrase_slot import PassphraseSlot, unwrap_secret, wrap_secret

_KIND = "owner"
_VERSION = 1


class _OwnerKeyFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    version: int
    slot: PassphraseSlot


def write_owner_key_file(
    path: Path,
    *,
    owner_seed: bytes,
    passphrase: str,
    device_id: DeviceId,
    master_key: MasterKey,
    cost: PassphraseCost,
    entropy: Entropy,
) -> None:
    """Write the wrapped owner seed (32 bytes); raises `StorageError` or `UsageError`."""
    slot = wrap_secret(
        owner_seed,
        passphrase=passphrase,
        kind=_KIND,
        device_id=device_id,
        device_key=master_key.owner_wrap_key,
        cost=cost,
        entropy=entropy,
    )
    content = msgspec.json.encode(_OwnerKeyFile(version=_VERSION, slot=slot))
    write_private_file(path, msgspec.json.format(content, indent=2) + b"\n")


def unlock_owner_key(path: Path, *, passphrase: str, device_id: DeviceId, master_key: MasterKey) -> bytes:
    """Return the owner seed.

    Raises `RefusedError` on a device that has no owner key, `WrongPassphraseError`, `ConfigError` for a damaged file.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise RefusedError(
            "This device does not keep the owner key. Pair from the device on which `nuthatch init` was run."
        ) from None
    except OSError as error:
        raise StorageError(f"The owner key file {path} cannot be read: {error.strerror}.") from error
    try:
        stored = msgspec.json.decode(raw, type=_OwnerKeyFile)
    except msgspec.MsgspecError as error:
        raise ConfigError(f"The owner key file {path} is damaged or cut off. Restore it from a backup.") from error
    if stored.version != _VERSION:
        raise ConfigError(f"The owner key file {path} has an unknown version. Update this device's copy of Nuthatch.")
    return unwrap_secret(
        stored.slot,
        passphrase=passphrase,
        kind=_KIND,
        device_id=device_id,
        device_key=master_key.owner_wrap_key,
    )

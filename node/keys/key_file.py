"""The device's key file: slots that wrap its master key, and the device's secret keys sealed under that.

    passphrase ─Argon2id─▶ slot key ─▶ master key (32 random bytes) ◀─ slot key ◀─Argon2id─ a service's unlock key
    master key ─BLAKE2b─▶ database key (libSQL's page cipher)
               ─BLAKE2b─▶ identity-wrap key ─▶ the device's three secret keys
               ─BLAKE2b─▶ owner-wrap key (mixed into the owner key's slot)

The file is JSON, so that a person can see what it states; bytes are base64. It holds no name and nothing of the realm
in the clear.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import msgspec

from crdt.identifiers import DEVICE_ID_BYTES, DeviceId
from node.config import PassphraseCost
from node.entropy import Entropy
from node.errors import ConfigError, NewerStoreError, StorageError, WrongPassphraseError
from node.home import write_private_file
from node.keys.passphrase_slot import COST_FLOOR, PassphraseSlot, unwrap_secret, wrap_secret
from node.keys.unlock_key import is_unlock_key, new_unlock_key
from sync.crypto import AEAD_NONCE_BYTES, KEY_BYTES, aead_decrypt, aead_encrypt, derive_key
from sync.errors import Rejected
from sync.identifiers import RealmId
from sync.identity import DeviceKeys
from sync.limits import DISCOVERY_SECRETS_MAX
from sync.wire import length_prefixed

KEY_FILE_VERSION = 1
_KIND = "device"
_SERVICE_KIND = "service"

_Bytes32 = Annotated[bytes, msgspec.Meta(min_length=KEY_BYTES, max_length=KEY_BYTES)]


@dataclass(frozen=True, slots=True, kw_only=True)
class MasterKey:
    """32 random bytes from which every key at rest of this device is derived, each for one purpose."""

    secret: bytes = field(repr=False)

    @property
    def database_key(self) -> bytes:
        """The key of the encrypted store."""
        return derive_key(self.secret, "database")

    @property
    def identity_wrap_key(self) -> bytes:
        """The key that seals the device's secret keys."""
        return derive_key(self.secret, "identity-wrap")

    @property
    def owner_wrap_key(self) -> bytes:
        """Mixed into the owner key's slot: the stolen file is useless without this device's passphrase."""
        return derive_key(self.secret, "owner-wrap")


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlockedKeys:
    """What a device holds once its passphrase was given.

    `older_discovery_secrets` came with the admission, newest first: with them this device can greet those that have not
    heard of it yet. They open no data. `joined_at` is where the device that admitted it listened, host:port.
    """

    device_id: DeviceId
    realm_id: RealmId
    device_keys: DeviceKeys = field(repr=False)
    master_key: MasterKey = field(repr=False)
    older_discovery_secrets: tuple[bytes, ...] = field(default=(), repr=False)
    joined_at: str | None = None


class _Identity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is sealed; never shown, so it has no representation."""

    realm_id: _Bytes32
    sign_seed: _Bytes32
    noise_secret: _Bytes32
    seal_secret: _Bytes32
    older_discovery_secrets: Annotated[tuple[_Bytes32, ...], msgspec.Meta(max_length=DISCOVERY_SECRETS_MAX)]
    joined_at: str | None

    def __repr__(self) -> str:
        return "_Identity(<redacted>)"


class _SealedIdentity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    nonce: bytes
    sealed: bytes


class _KeyFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    version: int
    device_id: bytes
    passphrase_slots: list[PassphraseSlot]
    identity: _SealedIdentity
    service_slot: PassphraseSlot | None = None


class _Version(msgspec.Struct, frozen=True):
    version: int


def new_keys(
    device_keys: DeviceKeys,
    realm_id: RealmId,
    entropy: Entropy,
    *,
    older_discovery_secrets: Sequence[bytes] = (),
    joined_at: str | None = None,
) -> UnlockedKeys:
    """Return the keys of a new device, with a fresh master key; nothing is written."""
    return UnlockedKeys(
        device_id=device_keys.device_id,
        realm_id=realm_id,
        device_keys=device_keys,
        master_key=MasterKey(secret=entropy.take(KEY_BYTES)),
        older_discovery_secrets=tuple(older_discovery_secrets),
        joined_at=joined_at,
    )


def write_key_file(path: Path, keys: UnlockedKeys, *, passphrase: str, cost: PassphraseCost, entropy: Entropy) -> None:
    """Write the key file of a device with one slot, the passphrase's; raises `StorageError` or `UsageError`."""
    device_keys, master_key = keys.device_keys, keys.master_key
    slot = wrap_secret(
        master_key.secret, passphrase=passphrase, kind=_KIND, device_id=keys.device_id, cost=cost, entropy=entropy
    )
    nonce = entropy.take(AEAD_NONCE_BYTES)
    identity = _Identity(
        realm_id=keys.realm_id,
        sign_seed=device_keys.sign_seed,
        noise_secret=device_keys.noise_secret,
        seal_secret=device_keys.seal_secret,
        older_discovery_secrets=keys.older_discovery_secrets,
        joined_at=keys.joined_at,
    )
    content = msgspec.msgpack.encode(identity)
    sealed = aead_encrypt(master_key.identity_wrap_key, nonce, content, _identity_associated_data(keys.device_id))
    _write(
        path,
        _KeyFile(
            version=KEY_FILE_VERSION,
            device_id=keys.device_id,
            passphrase_slots=[slot],
            identity=_SealedIdentity(nonce=nonce, sealed=sealed),
        ),
    )


def unlock_key_file(path: Path, *, passphrase: str) -> UnlockedKeys:
    """Return the keys of this device; a service's unlock key may stand in the passphrase's place.

    Raises `WrongPassphraseError`, `ConfigError` for a damaged file, `NewerStoreError` for one of a later version.
    """
    stored = _read(path)
    device_id = DeviceId(stored.device_id)
    master_key = MasterKey(secret=_unwrap_any(stored, passphrase, device_id))
    return _open_identity(stored, device_id, master_key)


def change_passphrase(
    path: Path, *, passphrase: str, new_passphrase: str, cost: PassphraseCost, entropy: Entropy
) -> None:
    """Rewrite the slot of the passphrase; the master key and all that it protects stay as they are.

    Raises what `unlock_key_file` raises, and `StorageError`.
    """
    stored = _read(path)
    device_id = DeviceId(stored.device_id)
    secret = _unwrap_any(stored, passphrase, device_id)
    slot = wrap_secret(secret, passphrase=new_passphrase, kind=_KIND, device_id=device_id, cost=cost, entropy=entropy)
    _write(path, msgspec.structs.replace(stored, passphrase_slots=[slot]))


def add_service_slot(path: Path, *, passphrase: str, entropy: Entropy) -> str:
    """Let a service open this device; return its unlock key, before which every earlier one is worthless.

    Raises what `unlock_key_file` raises, and `StorageError`.
    """
    stored = _read(path)
    device_id = DeviceId(stored.device_id)
    secret = _unwrap_any(stored, passphrase, device_id)
    unlock_key = new_unlock_key(entropy)
    slot = wrap_secret(
        secret, passphrase=unlock_key, kind=_SERVICE_KIND, device_id=device_id, cost=COST_FLOOR, entropy=entropy
    )
    _write(path, msgspec.structs.replace(stored, service_slot=slot))
    return unlock_key


def remove_service_slot(path: Path) -> bool:
    """Take the service's slot away, with which every copy of its unlock key is worthless; return whether there was one.

    Raises `StorageError`, `ConfigError` for a damaged file, `NewerStoreError` for one of a later version.
    """
    stored = _read(path)
    if stored.service_slot is None:
        return False
    _write(path, msgspec.structs.replace(stored, service_slot=None))
    return True


def has_service_slot(path: Path) -> bool:
    """Say whether a service may open this device; raises what `remove_service_slot` raises."""
    return _read(path).service_slot is not None


def read_device_id(path: Path) -> DeviceId:
    """Return the public id that the key file states; needs no passphrase, proves nothing."""
    return DeviceId(_read(path).device_id)


def _unwrap_any(stored: _KeyFile, passphrase: str, device_id: DeviceId) -> bytes:
    if is_unlock_key(passphrase):
        if stored.service_slot is None:
            raise WrongPassphraseError(
                "This unlock key was taken back. Run `nuthatch service install` again, or give the passphrase."
            )
        return unwrap_secret(stored.service_slot, passphrase=passphrase, kind=_SERVICE_KIND, device_id=device_id)
    refusal: WrongPassphraseError | None = None
    for slot in stored.passphrase_slots:
        try:
            return unwrap_secret(slot, passphrase=passphrase, kind=_KIND, device_id=device_id)
        except WrongPassphraseError as error:
            refusal = error
    raise refusal or ConfigError("The key file has no passphrase slot. Restore it from a backup.")


def _open_identity(stored: _KeyFile, device_id: DeviceId, master_key: MasterKey) -> UnlockedKeys:
    damaged = ConfigError("The device's keys inside the key file are damaged. Restore the file from a backup.")
    try:
        content = aead_decrypt(
            master_key.identity_wrap_key,
            stored.identity.nonce,
            stored.identity.sealed,
            _identity_associated_data(device_id),
        )
    except Rejected:
        raise damaged from None
    try:
        identity = msgspec.msgpack.decode(content, type=_Identity)
    except msgspec.MsgspecError:
        raise damaged from None
    device_keys = DeviceKeys(
        sign_seed=identity.sign_seed, noise_secret=identity.noise_secret, seal_secret=identity.seal_secret
    )
    if device_keys.device_id != device_id:
        raise damaged
    return UnlockedKeys(
        device_id=device_id,
        realm_id=RealmId(identity.realm_id),
        device_keys=device_keys,
        master_key=master_key,
        older_discovery_secrets=identity.older_discovery_secrets,
        joined_at=identity.joined_at,
    )


def _identity_associated_data(device_id: bytes) -> bytes:
    return length_prefixed(b"nuthatch/identity/v1", device_id)


def _write(path: Path, content: _KeyFile) -> None:
    write_private_file(path, msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")


def _read(path: Path) -> _KeyFile:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise StorageError(f"The key file {path} cannot be read: {error.strerror}.") from error
    try:
        if msgspec.json.decode(raw, type=_Version).version > KEY_FILE_VERSION:
            raise NewerStoreError("This home was made by a newer version of Nuthatch; update this device's copy.")
        stored = msgspec.json.decode(raw, type=_KeyFile)
    except msgspec.MsgspecError as error:
        raise ConfigError(f"The key file {path} is damaged or cut off. Restore it from a backup.") from error
    if stored.version != KEY_FILE_VERSION or len(stored.device_id) != DEVICE_ID_BYTES:
        raise ConfigError(f"The key file {path} is damaged. Restore it from a backup.")
    return stored

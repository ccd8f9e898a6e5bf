"""How a device is put together: make a home, or open one."""

import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import msgspec

from node.clock import Clock, SystemClock
from node.config import NodeConfig
from node.entropy import Entropy, SystemEntropy
from node.errors import UsageError
from node.home import FILE_MODE, Home
from node.keys.key_file import UnlockedKeys, new_keys, unlock_key_file, write_key_file
from node.keys.owner_key import write_owner_key_file
from node.keys.passphrase_slot import passphrase_bytes
from node.schemas import CORE_COMPONENTS
from node.service import Service, closing
from node.store.authoring import Author
from node.store.opening import create_store, open_store
from sync.crypto import KEY_BYTES, SALT_BYTES
from sync.identity import DeviceKeys, UnusableName
from sync.key_epoch import mint_entropy_bytes
from sync.realm import RECOVERY_SECRET_BYTES, CreatedRealm, create_realm


class Initialised(msgspec.Struct, frozen=True, kw_only=True):
    """A new realm with its first device; the recovery code is shown once and kept nowhere."""

    device_id: str
    realm_id: str
    recovery_code: str

    def __repr__(self) -> str:
        """Keep the recovery code out of logs and tracebacks."""
        return f"Initialised(device_id={self.device_id!r}, realm_id={self.realm_id!r}, recovery_code=<redacted>)"


def init_home(
    config: NodeConfig,
    *,
    name: str,
    passphrase: str,
    owner_passphrase: str,
    clock: Clock | None = None,
    entropy: Entropy | None = None,
) -> Initialised:
    """Found a realm and make the home of its first device.

    Raises `RefusedError` if the home holds a device already, `UsageError` for a name or passphrase that cannot be used,
    `StorageError`. There is no device until the key file is written, as the last step; a failure before leaves nothing.
    """
    clock, entropy = clock or SystemClock(), entropy or SystemEntropy()
    passphrase_bytes(passphrase)
    passphrase_bytes(owner_passphrase)
    device_keys = new_device_keys(entropy)
    owner_seed = entropy.take(KEY_BYTES)
    realm = _create_realm(device_keys, name, owner_seed, clock, entropy)
    keys = new_keys(device_keys, realm.realm_id, entropy)
    home = Home(config.home_directory)
    with creating(home):
        write_owner_key_file(
            home.owner_key_file,
            owner_seed=owner_seed,
            passphrase=owner_passphrase,
            device_id=keys.device_id,
            master_key=keys.master_key,
            cost=config.owner_cost,
            entropy=entropy,
        )
        create_home_store(home, keys, realm.statements, clock, entropy)
        write_key_file(home.key_file, keys, passphrase=passphrase, cost=config.device_cost, entropy=entropy)
    return Initialised(device_id=keys.device_id.hex(), realm_id=realm.realm_id.hex(), recovery_code=realm.recovery_code)


@contextmanager
def open_home(config: NodeConfig, *, passphrase: str) -> Iterator[Service]:
    """Own a home while the block runs.

    Raises `UsageError` if there is none, `StoreLockedError` if another process owns it, `WrongPassphraseError`,
    `NewerStoreError`, `ConfigError`, `StorageError`.
    """
    home = Home(config.home_directory)
    home.require()
    with home.locked():
        keys = unlock_key_file(home.key_file, passphrase=passphrase)
        home.finish()
        clock, entropy = SystemClock(), SystemEntropy()
        with closing(open_service(home, keys, clock, entropy)) as service:
            yield service


@contextmanager
def creating(home: Home) -> Iterator[None]:
    """Make the directory of a new home and own it; if the block fails, take away what it made."""
    home.create_directory()
    with home.locked():
        # Once more under the lock: another process may have made a home here meanwhile.
        home.require_free()
        home.begin()
        try:
            yield
            home.finish()
        except BaseException:
            home.clear()
            raise


def create_home_store(
    home: Home, keys: UnlockedKeys, statements: Sequence[bytes], clock: Clock, entropy: Entropy
) -> None:
    """Make the encrypted store of a new device and put what is known of its realm into it."""
    store = create_store(
        home.store_file,
        key=keys.master_key.database_key,
        author=_author(keys),
        components=CORE_COMPONENTS,
        clock=clock,
        entropy=entropy,
    )
    try:
        # The engine gives the files beside the database the same mode when it makes them anew.
        for path in home.directory.glob(f"{home.store_file.name}*"):
            path.chmod(FILE_MODE)
        store.add_statements(statements)
    finally:
        store.close()


def open_service(home: Home, keys: UnlockedKeys, clock: Clock, entropy: Entropy) -> Service:
    """Open the store of a home that this process owns."""
    store = open_store(
        home.store_file,
        key=keys.master_key.database_key,
        author=_author(keys),
        components=CORE_COMPONENTS,
        clock=clock,
        entropy=entropy,
    )
    return Service(home=home, keys=keys, store=store, clock=clock, entropy=entropy)


def new_device_keys(entropy: Entropy) -> DeviceKeys:
    """Return three fresh secret keys."""
    return DeviceKeys(
        sign_seed=entropy.take(KEY_BYTES), noise_secret=entropy.take(KEY_BYTES), seal_secret=entropy.take(KEY_BYTES)
    )


def platform_name() -> str:
    """Return what kind of system this is, as a certificate states it."""
    return platform.system().lower() or "unknown"


def _author(keys: UnlockedKeys) -> Author:
    return Author(device_id=keys.device_id, realm_id=keys.realm_id, sign_seed=keys.device_keys.sign_seed)


def _create_realm(
    device_keys: DeviceKeys, name: str, owner_seed: bytes, clock: Clock, entropy: Entropy
) -> CreatedRealm:
    try:
        return create_realm(
            keys=device_keys,
            name=name,
            platform=platform_name(),
            owner_seed=owner_seed,
            recovery_secret=entropy.take(RECOVERY_SECRET_BYTES),
            recovery_salt=entropy.take(SALT_BYTES),
            epoch_entropy=entropy.take(mint_entropy_bytes(1)),
            now_milliseconds=clock.now_milliseconds(),
        )
    except UnusableName as error:
        raise UsageError(str(error)) from error

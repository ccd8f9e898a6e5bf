"""The key file, the owner key and the home: what a thief, a mistyped passphrase and a torn disk meet."""

import json
import os
import stat
from hashlib import blake2b
from pathlib import Path

import pytest

from node.config import PassphraseCost
from node.errors import (
    ConfigError,
    NewerStoreError,
    RefusedError,
    StorageError,
    StoreLockedError,
    UsageError,
    WrongPassphraseError,
)
from node.home import Home, write_private_file
from node.keys.key_file import (
    MasterKey,
    UnlockedKeys,
    add_service_slot,
    change_passphrase,
    new_keys,
    read_device_id,
    remove_service_slot,
    unlock_key_file,
    write_key_file,
)
from node.keys.owner_key import unlock_owner_key, write_owner_key_file
from sync.identifiers import RealmId
from sync.identity import DeviceKeys

CHEAP = PassphraseCost.INTERACTIVE
PASSPHRASE = "correct horse battery staple"
REALM = RealmId(bytes(range(32)))


class CountingEntropy:
    """Bytes that are all different and the same on every run."""

    def __init__(self) -> None:
        self._drawn = 0

    def take(self, count: int) -> bytes:
        self._drawn += 1
        return blake2b(self._drawn.to_bytes(8, "big"), digest_size=count).digest()


@pytest.fixture
def entropy() -> CountingEntropy:
    return CountingEntropy()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "device.key"


def make_key_file(path: Path, entropy: CountingEntropy, passphrase: str = PASSPHRASE) -> UnlockedKeys:
    device_keys = DeviceKeys(sign_seed=entropy.take(32), noise_secret=entropy.take(32), seal_secret=entropy.take(32))
    older = [entropy.take(32), entropy.take(32)]
    keys = new_keys(device_keys, REALM, entropy, older_discovery_secrets=older, joined_at="192.0.2.7:4711")
    write_key_file(path, keys, passphrase=passphrase, cost=CHEAP, entropy=entropy)
    return keys


def altered(path: Path, change: dict[str, object], *, inside_slot: bool = False) -> None:
    content = json.loads(path.read_text())
    (content["passphrase_slots"][0] if inside_slot else content).update(change)
    path.write_text(json.dumps(content))


def test_the_passphrase_gives_back_the_same_keys(path: Path, entropy: CountingEntropy) -> None:
    made = make_key_file(path, entropy)
    assert unlock_key_file(path, passphrase=PASSPHRASE) == made
    assert read_device_id(path) == made.device_id


def test_a_wrong_passphrase_is_told_as_such(path: Path, entropy: CountingEntropy) -> None:
    make_key_file(path, entropy)
    with pytest.raises(WrongPassphraseError):
        unlock_key_file(path, passphrase=PASSPHRASE + " ")


def test_composed_and_decomposed_accents_are_one_passphrase(path: Path, entropy: CountingEntropy) -> None:
    made = make_key_file(path, entropy, passphrase="caf\u00e9 au lait")
    assert unlock_key_file(path, passphrase="cafe\u0301 au lait") == made


@pytest.mark.parametrize("passphrase", ["", "x" * 2000])
def test_a_passphrase_that_protects_nothing_or_is_a_wrong_file_is_refused(
    path: Path, entropy: CountingEntropy, passphrase: str
) -> None:
    with pytest.raises(UsageError):
        make_key_file(path, entropy, passphrase=passphrase)
    assert not path.exists()


def test_no_key_stands_in_the_file_or_in_a_representation(path: Path, entropy: CountingEntropy) -> None:
    made = make_key_file(path, entropy)
    raw = path.read_bytes()
    assert b"192.0.2.7" not in raw
    secrets = [
        made.master_key.secret,
        made.master_key.database_key,
        made.master_key.identity_wrap_key,
        made.master_key.owner_wrap_key,
        made.device_keys.sign_seed,
        made.device_keys.noise_secret,
        made.device_keys.seal_secret,
        *made.older_discovery_secrets,
        made.realm_id,
    ]
    assert len(set(secrets)) == len(secrets)
    shown = repr(made) + repr(made.master_key)
    for secret in secrets:
        assert secret not in raw
        assert secret.hex().encode() not in raw
        if secret != made.realm_id:
            assert repr(secret) not in shown


@pytest.mark.parametrize("length", [0, 1, 100, -2])
def test_a_cut_off_key_file_is_told_as_damaged(path: Path, entropy: CountingEntropy, length: int) -> None:
    make_key_file(path, entropy)
    path.write_bytes(path.read_bytes().rstrip()[:length])
    with pytest.raises(ConfigError, match="damaged or cut off"):
        unlock_key_file(path, passphrase=PASSPHRASE)


def test_a_missing_key_file_is_told(path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be read"):
        unlock_key_file(path, passphrase=PASSPHRASE)


def test_a_key_file_of_a_newer_version_is_told(path: Path, entropy: CountingEntropy) -> None:
    make_key_file(path, entropy)
    altered(path, {"version": 2, "something": "new"})
    with pytest.raises(NewerStoreError):
        unlock_key_file(path, passphrase=PASSPHRASE)


@pytest.mark.parametrize(
    "change",
    [
        {"operations": 1},
        {"operations": 5},
        {"memory_bytes": 8192},
        {"memory_bytes": 64 * 2**20 - 1},
        {"memory_bytes": 2**40},
    ],
)
def test_a_stated_cost_below_the_floor_or_above_the_ceiling_is_refused_before_any_work(
    path: Path, entropy: CountingEntropy, change: dict[str, object]
) -> None:
    make_key_file(path, entropy)
    altered(path, change, inside_slot=True)
    with pytest.raises(ConfigError, match="cost"):
        unlock_key_file(path, passphrase=PASSPHRASE)


@pytest.mark.parametrize("change", [{"operations": 3}, {"memory_bytes": 65 * 2**20}])
def test_a_stated_cost_inside_the_bounds_but_altered_does_not_unlock(
    path: Path, entropy: CountingEntropy, change: dict[str, object]
) -> None:
    make_key_file(path, entropy)
    altered(path, change, inside_slot=True)
    with pytest.raises(WrongPassphraseError):
        unlock_key_file(path, passphrase=PASSPHRASE)


def test_a_slot_moved_under_another_device_id_does_not_unlock(path: Path, entropy: CountingEntropy) -> None:
    make_key_file(path, entropy)
    other = make_key_file(path.with_name("other.key"), entropy)
    stated = json.loads(path.with_name("other.key").read_text())["device_id"]
    altered(path, {"device_id": stated})
    assert read_device_id(path) == other.device_id
    with pytest.raises(WrongPassphraseError):
        unlock_key_file(path, passphrase=PASSPHRASE)


def test_the_sealed_identity_of_another_device_is_refused(path: Path, entropy: CountingEntropy) -> None:
    make_key_file(path, entropy)
    make_key_file(path.with_name("other.key"), entropy)
    altered(path, {"identity": json.loads(path.with_name("other.key").read_text())["identity"]})
    with pytest.raises(ConfigError, match="damaged"):
        unlock_key_file(path, passphrase=PASSPHRASE)


def test_changing_the_passphrase_keeps_the_keys_and_shuts_the_old_one_out(path: Path, entropy: CountingEntropy) -> None:
    made = make_key_file(path, entropy)
    change_passphrase(path, passphrase=PASSPHRASE, new_passphrase="another one", cost=CHEAP, entropy=entropy)
    assert unlock_key_file(path, passphrase="another one") == made
    with pytest.raises(WrongPassphraseError):
        unlock_key_file(path, passphrase=PASSPHRASE)


def test_a_service_opens_the_device_with_a_key_of_its_own_until_that_is_taken_back(
    path: Path, entropy: CountingEntropy
) -> None:
    made = make_key_file(path, entropy)
    earlier = add_service_slot(path, passphrase=PASSPHRASE, entropy=entropy)
    unlock_key = add_service_slot(path, passphrase=PASSPHRASE, entropy=entropy)
    assert unlock_key_file(path, passphrase=unlock_key) == made
    with pytest.raises(WrongPassphraseError):
        unlock_key_file(path, passphrase=earlier)
    change_passphrase(path, passphrase=PASSPHRASE, new_passphrase="another one", cost=CHEAP, entropy=entropy)
    assert unlock_key_file(path, passphrase=unlock_key) == made
    assert remove_service_slot(path)
    assert not remove_service_slot(path)
    with pytest.raises(WrongPassphraseError, match="taken back"):
        unlock_key_file(path, passphrase=unlock_key)
    assert unlock_key_file(path, passphrase="another one") == made


def test_a_services_slot_is_no_passphrase_slot_and_the_other_way_round(path: Path, entropy: CountingEntropy) -> None:
    make_key_file(path, entropy)
    unlock_key = add_service_slot(path, passphrase=PASSPHRASE, entropy=entropy)
    content = json.loads(path.read_text())
    altered(path, {"passphrase_slots": [content["service_slot"]], "service_slot": content["passphrase_slots"][0]})
    for secret in (PASSPHRASE, unlock_key):
        with pytest.raises(WrongPassphraseError):
            unlock_key_file(path, passphrase=secret)


def test_no_service_is_let_in_by_a_wrong_passphrase(path: Path, entropy: CountingEntropy) -> None:
    make_key_file(path, entropy)
    before = path.read_bytes()
    with pytest.raises(WrongPassphraseError):
        add_service_slot(path, passphrase="wrong", entropy=entropy)
    assert path.read_bytes() == before


def test_a_failed_change_of_passphrase_leaves_the_file_as_it_was(path: Path, entropy: CountingEntropy) -> None:
    make_key_file(path, entropy)
    before = path.read_bytes()
    with pytest.raises(WrongPassphraseError):
        change_passphrase(path, passphrase="wrong", new_passphrase="another", cost=CHEAP, entropy=entropy)
    assert path.read_bytes() == before


def test_the_owner_key_opens_for_its_passphrase_on_its_device_only(tmp_path: Path, entropy: CountingEntropy) -> None:
    keys = make_key_file(tmp_path / "device.key", entropy)
    owner_file, owner_seed = tmp_path / "owner.key", entropy.take(32)
    write_owner_key_file(
        owner_file,
        owner_seed=owner_seed,
        passphrase="owner",
        device_id=keys.device_id,
        master_key=keys.master_key,
        cost=CHEAP,
        entropy=entropy,
    )
    opened = unlock_owner_key(owner_file, passphrase="owner", device_id=keys.device_id, master_key=keys.master_key)
    assert opened == owner_seed
    assert owner_seed not in owner_file.read_bytes()
    with pytest.raises(WrongPassphraseError, match="owner"):
        unlock_owner_key(owner_file, passphrase=PASSPHRASE, device_id=keys.device_id, master_key=keys.master_key)
    with pytest.raises(WrongPassphraseError):
        unlock_owner_key(
            owner_file, passphrase="owner", device_id=keys.device_id, master_key=MasterKey(secret=entropy.take(32))
        )


def test_a_device_without_the_owner_key_says_where_to_pair(tmp_path: Path, entropy: CountingEntropy) -> None:
    keys = make_key_file(tmp_path / "device.key", entropy)
    with pytest.raises(RefusedError, match="nuthatch init"):
        unlock_owner_key(
            tmp_path / "owner.key", passphrase="owner", device_id=keys.device_id, master_key=keys.master_key
        )


def test_a_written_file_is_readable_by_its_person_alone_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.create_directory()
    previous = os.umask(0)
    try:
        write_private_file(home.key_file, b"first")
        write_private_file(home.key_file, b"second")
    finally:
        os.umask(previous)
    assert home.key_file.read_bytes() == b"second"
    assert stat.S_IMODE(home.key_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.directory.stat().st_mode) == 0o700
    assert [entry.name for entry in home.directory.iterdir()] == ["device.key"]


def test_a_write_that_fails_keeps_the_old_content(tmp_path: Path) -> None:
    target = tmp_path / "device.key"
    target.mkdir()
    (target / "occupied").write_bytes(b"")
    with pytest.raises(StorageError, match="cannot be written"):
        write_private_file(target, b"content")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["device.key"]


def test_a_home_that_holds_a_device_is_not_overwritten(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.create_directory()
    home.key_file.write_bytes(b"keys")
    with pytest.raises(RefusedError, match="already holds a device"):
        home.create_directory()
    assert home.key_file.read_bytes() == b"keys"


def test_what_an_unfinished_home_left_is_cleared_away_and_a_store_that_lost_its_key_file_never(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.begin()
    for path in (home.store_file, home.owner_key_file, tmp_path / f".{home.key_file.name}.0123abcd"):
        path.write_bytes(b"half")
    home.require_free()
    home.begin()
    assert [entry.name for entry in tmp_path.iterdir()] == ["unfinished"]
    home.key_file.write_bytes(b"keys")
    home.finish()
    home.store_file.write_bytes(b"twenty years")
    home.key_file.unlink()
    with pytest.raises(RefusedError, match="already holds a device"):
        home.require_free()


def test_a_second_owner_of_a_home_is_refused_until_the_first_is_done(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with home.locked(), pytest.raises(StoreLockedError, match="Another process"), home.locked():
        pass
    with home.locked():
        pass

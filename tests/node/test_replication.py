"""What a node keeps of the statements and batches that peers send, and what it signs itself."""

from pathlib import Path

import pytest

from node.clock import SystemClock
from node.entropy import SystemEntropy
from node.errors import StorageError
from node.replication import Replication
from node.schemas import CORE_COMPONENTS
from node.store.authoring import Author
from node.store.opening import create_store
from node.store.store import Store
from sync.membership import Membership
from tests.support.nodes import live_realm
from tests.support.realm_factory import FoundedRealm, found_realm


def make_store(realm: FoundedRealm, path: Path) -> Store:
    keys = realm.devices[0]
    return create_store(
        path,
        key=bytes([7]) * 32,
        author=Author(device_id=keys.device_id, realm_id=realm.realm_id, sign_seed=keys.sign_seed),
        components=CORE_COMPONENTS,
        clock=SystemClock(),
        entropy=SystemEntropy(),
    )


def make_replication(realm: FoundedRealm, store: Store) -> Replication:
    return Replication(
        store=store, keys=realm.devices[0], realm_id=realm.realm_id, clock=SystemClock(), entropy=SystemEntropy()
    )


def test_statements_that_mean_nothing_are_not_kept(tmp_path: Path) -> None:
    realm, foreign = live_realm(2), found_realm(devices=1, seed="foreign")
    store = make_store(realm, tmp_path / "store.db")
    store.add_statements(realm.statements)
    replication = make_replication(realm, store)
    moved: list[Membership] = []
    replication.membership_moved.append(moved.append)
    replication.add_statements([b"junk", foreign.statements[0], realm.statements[-1][:-1]])
    assert sorted(store.statements()) == sorted(realm.statements)
    assert not moved
    store.close()


def test_news_of_the_roster_is_stored_before_anybody_hears_of_it(tmp_path: Path) -> None:
    realm = live_realm(2)
    store = make_store(realm, tmp_path / "store.db")
    store.add_statements(realm.statements)
    replication = make_replication(realm, store)
    stored_when_told: list[int] = []
    replication.membership_moved.append(lambda _membership: stored_when_told.append(len(store.statements())))
    before = len(realm.statements)
    realm.add_device()
    replication.add_statements(realm.statements)
    assert stored_when_told == [before + 1]
    assert len(replication.membership.roster.active) == 3
    store.close()


def test_a_realm_that_has_grown_gets_a_key_epoch_for_exactly_its_devices(tmp_path: Path) -> None:
    realm = live_realm(2)
    realm.add_device()
    store = make_store(realm, tmp_path / "store.db")
    store.add_statements(realm.statements)
    replication = make_replication(realm, store)
    assert replication.epoch_is_due()
    replication.mint_epoch()
    assert not replication.epoch_is_due()
    assert replication.membership.sending is not None
    assert replication.membership.roster.usable_epochs[-1].recipients == replication.membership.roster.active
    store.close()


def test_a_home_without_a_realm_says_what_to_do(tmp_path: Path) -> None:
    realm = live_realm(2)
    store = make_store(realm, tmp_path / "store.db")
    with pytest.raises(StorageError, match="nuthatch init"):
        make_replication(realm, store)
    store.close()

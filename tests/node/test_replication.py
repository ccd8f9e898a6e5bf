"""What a node keeps of the statements and batches that peers send, and what it signs itself."""

from pathlib import Path

import pytest

from crdt.identifiers import make_origin
from node.clock import SystemClock
from node.entropy import SystemEntropy
from node.errors import StorageError
from node.replication import Replication
from node.schemas import CORE_COMPONENTS
from node.store.authoring import Author
from node.store.opening import create_store
from node.store.store import Store
from sync.effects import PlaceSnapshot
from sync.errors import LocalProtocolError, RemoteProtocolError
from sync.frontier import Frontier, FrontierEntry
from sync.identity import DeviceKeys
from sync.membership import Membership
from sync.roster import evaluate
from sync.session import Session
from sync.session_handshake import SessionSecrets
from sync.snapshot import Manifest
from sync.statements import Beat, sign_statement, state_frontiers
from sync.streams import Stream
from tests.support.nodes import live_realm, now_milliseconds
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


def test_a_snapshot_that_claims_batches_of_a_stranger_is_refused(tmp_path: Path) -> None:
    realm, foreign = live_realm(2), found_realm(devices=1, seed="foreign")
    store = make_store(realm, tmp_path / "store.db")
    store.add_statements(realm.statements)
    replication = make_replication(realm, store)
    keys = realm.devices[0]
    session = Session(
        initiator=False,
        secrets=SessionSecrets(
            noise_secret=keys.noise_secret, ephemeral_secret=bytes(32), discovery_secrets=[bytes(32)]
        ),
        membership=replication.membership,
        view=store.view(),
        now_milliseconds=now_milliseconds(),
    )

    def place(device: DeviceKeys) -> None:
        frontier = Frontier({make_origin(device.device_id, b"lifetime"): FrontierEntry(7, b"12345678")})
        manifest = Manifest(stream=Stream.MEMORIES, snapshot_id=b"a snapshot's id!", frontier=frontier, rows=0)
        replication.perform(PlaceSnapshot(manifest=manifest), session)

    # A member's finds its place, and only the session says that its peer announced nothing.
    with pytest.raises(LocalProtocolError, match="announced"):
        place(realm.devices[1])
    with pytest.raises(RemoteProtocolError, match="nobody knows"):
        place(foreign.devices[0])
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


def test_once_a_day_the_log_is_compacted_and_replaced_beats_are_dropped(tmp_path: Path) -> None:
    realm = live_realm(2)
    store = make_store(realm, tmp_path / "store.db")
    for number in range(5):
        with store.transaction() as transaction:
            transaction.execute("INSERT INTO memories (content) VALUES (?)", (f"note {number}",))
    frontier = store.view().stream(Stream.MEMORIES).frontier

    def beats(age_milliseconds: int, held: Frontier) -> list[bytes]:
        roster = evaluate(realm.realm_id, realm.statements)
        return [
            sign_statement(
                Beat(
                    author=keys.device_id,
                    at_milliseconds=now_milliseconds() - age_milliseconds,
                    frontiers=state_frontiers({Stream.MEMORIES: held}),
                    heads=roster.heads,
                ),
                realm.realm_id,
                keys.sign_seed,
            )
            for keys in realm.devices
        ]

    old, new = beats(2000, Frontier()), beats(1000, frontier)
    store.add_statements([*realm.statements, *old, *new])
    replication = make_replication(realm, store)
    digest = replication.membership.roster.digest
    replication.compact_if_due()
    assert store.log_base(Stream.MEMORIES).entry(store.origin).seq == 4
    assert sorted(store.statements()) == sorted([*realm.statements, *new])
    replication.reload_membership()
    assert replication.membership.roster.digest == digest
    with store.transaction() as transaction:
        transaction.execute("INSERT INTO memories (content) VALUES ('later')")
    replication.compact_if_due()
    assert store.log_base(Stream.MEMORIES).entry(store.origin).seq == 4
    store.close()


def test_a_home_without_a_realm_says_what_to_do(tmp_path: Path) -> None:
    realm = live_realm(2)
    store = make_store(realm, tmp_path / "store.db")
    with pytest.raises(StorageError, match="nuthatch init"):
        make_replication(realm, store)
    store.close()

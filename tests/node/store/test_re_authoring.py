"""A device set back without a trace finds its own fork in a session, and both pasts end up on every device."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from crdt.identifiers import Origin, natural_row_id, origin_device
from node.store.change_log import StoredBatch
from node.store.incarnation_mark import mark_path
from node.store.incarnations import Cause
from node.store.opening import StoreOptions
from node.store.re_authoring import Renaming
from node.store.receiving import Fork
from node.store.rewriting import Rewriting
from node.store.whereabouts import locate
from sync.errors import RemoteProtocolError
from sync.frontier import EMPTY_FRONTIER
from sync.streams import Stream
from tests.support.realm import (
    ALL_BYTES,
    Realm,
    Replica,
    Statement,
    check_digests,
    delete_item,
    insert_item,
    open_realm,
    row_id,
)
from tests.support.set_back import set_back, take_image

FILES = Stream.FILES


@pytest.fixture
def realm(tmp_path: Path) -> Iterator[Realm]:
    opened = open_realm(tmp_path, devices=3)
    yield opened
    opened.close()


def update(number: int, sets: str) -> Statement:
    return f"UPDATE drill_items SET {sets} WHERE id = ?", [row_id(number)]


def chain(replica: Replica, origin: Origin) -> list[StoredBatch]:
    """Return the batches of one origin that a replica holds."""
    return [b for b in replica.store.read_batches(FILES, EMPTY_FRONTIER, ALL_BYTES) if b.origin == origin]


def settle(forked: Replica, witness: Replica, origin: Origin | None = None) -> None:
    """Let `forked` learn of its fork as a session does: by the witness's first batch that differs."""
    mine = {batch.seq: batch.hash for batch in chain(forked, origin or forked.store.origin)}
    first = next(b for b in chain(witness, origin or forked.store.origin) if mine.get(b.seq) not in (None, b.hash))
    assert forked.store.chains.settle_fork(first.raw, forked.roster)


def fork(realm: Realm, before: list[Statement], lost: list[Statement], after: list[Statement]) -> None:
    """Device 0 writes `before`, then `lost`, which device 1 receives, is set back, and writes `after`."""
    device, witness, _ = realm.replicas
    for statement in before:
        device.write(statement)
    realm.exchange()
    image = take_image(device)
    for statement in lost:
        device.write(statement)
    witness.pull(device)
    set_back(device, image)
    for statement in after:
        device.write(statement)


def test_both_pasts_end_up_everywhere(realm: Realm) -> None:
    device, witness, _ = realm.replicas
    fork(
        realm,
        before=[insert_item(1, title="before", tags='["old"]', uses=10), insert_item(9, title="doomed")],
        lost=[
            insert_item(2, title="from the lost days"),
            update(1, 'tags = \'["lost","old"]\', uses = uses + 3'),
            delete_item(9),
        ],
        after=[
            insert_item(3, title="from the new days", tags='["new"]'),
            update(1, "tags = '[\"new\"]', uses = uses + 40"),
            update(1, "uses = uses - 5, body = 'written after'"),
        ],
    )
    origin = device.store.origin
    settle(device, witness)
    assert device.store.origin != origin
    assert device.store.last_minted().cause is Cause.FORKED
    realm.exchange()
    for replica in realm.replicas:
        assert replica.query("SELECT id, title, tags, uses, body FROM drill_items ORDER BY id") == [
            (row_id(1), "before", '["lost","new"]', 48, "written after"),
            (row_id(2), "from the lost days", "[]", 0, None),
            (row_id(3), "from the new days", '["new"]', 0, None),
        ]


def test_a_device_that_got_the_abandoned_end_follows(realm: Realm) -> None:
    device, witness, follower = realm.replicas
    fork(
        realm,
        before=[insert_item(1, tags='["old"]', uses=1)],
        lost=[insert_item(2, title="lost"), update(1, 'uses = uses + 100, tags = \'["lost","old"]\'')],
        after=[insert_item(3, title="new"), update(1, "uses = uses + 20, tags = '[\"new\"]'")],
    )
    follower.pull(device)
    follower.write(update(3, "title = 'seen by the follower'"))
    settle(device, witness)
    realm.exchange()
    assert follower.query("SELECT id, title, tags, uses FROM drill_items ORDER BY id") == [
        (row_id(1), "", '["lost","new"]', 121),
        (row_id(2), "lost", "[]", 0),
        (row_id(3), "seen by the follower", "[]", 0),
    ]


def test_what_others_wrote_upon_the_abandoned_end_is_admitted_everywhere(realm: Realm) -> None:
    """Its dependency names a number that the chain, as it goes on, never reaches."""
    device, witness, follower = realm.replicas
    fork(
        realm,
        before=[insert_item(1)],
        lost=[insert_item(2)],
        after=[insert_item(3), insert_item(4), update(3, "title = 'new'"), update(4, "title = 'new'")],
    )
    follower.pull(device)
    follower.write(update(4, "body = 'upon the abandoned end'"))
    settle(device, witness)
    follower.pull(device)
    realm.exchange()
    assert witness.query("SELECT title, body FROM drill_items WHERE id = ?", row_id(4)) == [
        ("new", "upon the abandoned end")
    ]


def test_a_clone_beside_its_original_goes_on_under_another_name_and_both_are_heard(
    realm: Realm, tmp_path: Path
) -> None:
    original, witness, _ = realm.replicas
    original.write(insert_item(1, uses=1))
    realm.exchange()
    original.store.close()
    place = locate(original.path)
    (tmp_path / "clone").mkdir()
    for path in (original.path, mark_path(original.path)):
        (tmp_path / "clone" / path.name).write_bytes(path.read_bytes())
    original.store = original.open(original.path)
    clone = replace(
        original, path=tmp_path / "clone" / original.path.name, seed=99, options=StoreOptions(locate=lambda _: place)
    )
    assert clone.store.origin == original.store.origin, "the guard noticed"
    original.write(insert_item(2, title="on the original"), update(1, "uses = uses + 2"))
    clone.write(insert_item(3, title="on the clone"), update(1, "uses = uses + 4"))
    witness.pull(original)
    settle(clone, witness)
    assert clone.store.origin != original.store.origin
    realm.replicas.append(clone)
    realm.exchange()
    original.write(update(1, "uses = uses + 8"))
    clone.write(update(1, "uses = uses + 16"))
    realm.exchange()
    for replica in realm.replicas:
        assert replica.query("SELECT title, uses FROM drill_items ORDER BY id") == [
            ("", 31),
            ("on the original", 0),
            ("on the clone", 0),
        ]


def test_what_was_deleted_in_either_past_stays_deleted(realm: Realm) -> None:
    device, witness, _ = realm.replicas
    fork(
        realm,
        before=[insert_item(1), insert_item(2), insert_item(3)],
        lost=[delete_item(1), update(2, "title = 'edited in the lost days'")],
        after=[update(1, "title = 'edited in the new days'"), delete_item(2)],
    )
    settle(device, witness)
    realm.exchange()
    for replica in realm.replicas:
        assert replica.query("SELECT id FROM drill_items") == [(row_id(3),)]


def test_what_the_device_writes_after_it_settled_flows_on(realm: Realm) -> None:
    device, witness, _ = realm.replicas
    fork(realm, before=[insert_item(1)], lost=[insert_item(2)], after=[insert_item(3), insert_item(4)])
    settle(device, witness)
    device.write(update(3, "title = 'later'"))
    realm.exchange()
    device.reopen()
    device.write(update(3, "title = 'still later'"))
    realm.exchange()
    assert witness.query("SELECT title FROM drill_items WHERE id = ?", row_id(3)) == [("still later",)]


def test_an_abandoned_batch_that_comes_again_is_refused_and_named(realm: Realm) -> None:
    device, witness, follower = realm.replicas
    fork(realm, before=[insert_item(1)], lost=[insert_item(2)], after=[insert_item(3)])
    abandoned = device.batches(FILES)[-1]
    settle(device, witness)
    follower.pull(device)
    report = follower.receive([abandoned])
    assert (report.applied, [refused.seq for refused in report.refused]) == (0, [2])
    assert "wrote it again" in report.refused[0].reason
    assert device.receive([abandoned]).applied == 0


def test_a_fork_is_reported_with_the_number_from_which_it_can_be_sought(realm: Realm) -> None:
    device, witness, _ = realm.replicas
    fork(realm, before=[insert_item(1)], lost=[insert_item(2), insert_item(5)], after=[insert_item(3)])
    report = device.receive(witness.batches(FILES)[-1:])
    assert report.forked == {Fork(stream=FILES, origin=device.store.origin, seq=2)}
    assert report.applied == 0


def test_what_proves_no_fork_changes_nothing(realm: Realm) -> None:
    device, witness, _ = realm.replicas
    fork(realm, before=[insert_item(1)], lost=[insert_item(2), insert_item(5)], after=[insert_item(3)])
    witness.write(insert_item(7))
    before = (device.store.view(), device.store.origin)
    own, _, follows_the_lost_one, of_another = [*device.batches(FILES)[:1], *witness.batches(FILES)[1:]]
    for raw in (own, follows_the_lost_one, of_another):
        assert not device.store.chains.settle_fork(raw, device.roster)
    assert (device.store.view(), device.store.origin) == before


def test_a_device_that_was_set_back_and_wrote_nothing_mints_when_its_own_batches_come(realm: Realm) -> None:
    device, witness, _ = realm.replicas
    fork(realm, before=[insert_item(1)], lost=[insert_item(2)], after=[])
    origin = device.store.origin
    device.pull(witness)
    assert device.store.origin != origin
    assert origin_device(device.store.origin) == origin_device(origin)
    device.write(insert_item(3))
    realm.exchange()


def test_what_a_batch_removed_of_an_earlier_one_stays_removed_when_both_are_written_again(realm: Realm) -> None:
    device, witness, _ = realm.replicas
    fork(
        realm,
        before=[insert_item(1)],
        lost=[insert_item(2)],
        after=[update(1, 'tags = \'["new","wrong"]\''), update(1, "tags = '[\"new\"]'")],
    )
    settle(device, witness)
    realm.exchange()
    for replica in realm.replicas:
        assert replica.query("SELECT tags FROM drill_items WHERE id = ?", row_id(1)) == [('["new"]',)]


def test_a_fork_right_behind_what_was_compacted_is_settled(realm: Realm) -> None:
    device, witness, _ = realm.replicas
    fork(realm, before=[insert_item(1), insert_item(2)], lost=[insert_item(3)], after=[insert_item(4)])
    shared = witness.store.view().stream(FILES).frontier.meet(realm.replicas[2].store.view().stream(FILES).frontier)
    device.store.compact({FILES: shared}, 100)
    assert device.store.log_base(FILES).entry(device.store.origin).seq == 2
    settle(device, witness)
    realm.exchange()
    assert len(witness.query("SELECT id FROM drill_items")) == 4


def test_a_removal_that_was_made_upon_lost_changes_is_not_taken_for_one_of_new_changes(realm: Realm) -> None:
    """The lost batch and the new one bear one number, and so their elements bear one name."""
    device, witness, _ = realm.replicas
    fork(
        realm,
        before=[insert_item(1)],
        lost=[update(1, "tags = '[\"lost\"]'")],
        after=[update(1, "tags = '[\"new\"]'")],
    )
    witness.write(update(1, "tags = '[]'"))
    report = device.receive(witness.batches(FILES))
    assert (report.applied, len(report.held), len(report.forked)) == (0, 1, 1)
    settle(device, witness)
    # Its number is known by now, as that of the batch that was written again, and that is not the one it names.
    report = device.receive(witness.batches(FILES)[-1:])
    assert (report.applied, len(report.held), len(report.forked)) == (0, 1, 0)
    realm.exchange()
    for replica in realm.replicas:
        assert replica.query("SELECT tags FROM drill_items") == [('["new"]',)]
        check_digests(replica)


def test_what_a_third_device_wrote_upon_lost_changes_waits_where_others_bear_their_numbers(realm: Realm) -> None:
    """Only the hash tells: the batch comes alone, and every number that it names is held."""
    device, witness, follower = realm.replicas
    fork(
        realm,
        before=[insert_item(1)],
        lost=[update(1, "tags = '[\"lost\"]'")],
        after=[update(1, "tags = '[\"new\"]'")],
    )
    witness.write(update(1, "tags = '[]'"))
    (upon_lost,) = witness.batches(FILES)[-1:]
    follower.pull(device)
    for replica in (device, follower):
        before = replica.store.view()
        report = replica.receive([upon_lost])
        assert (report.applied, [held.raw for held in report.held]) == (0, [upon_lost])
        assert report.forked == {Fork(stream=FILES, origin=realm.replicas[0].store.origin, seq=2)}
        assert replica.store.view() == before
    settle(device, witness)
    device.pull(witness)
    # As long as it holds the number, nobody sends it the lost batch; then it does not any more.
    report = follower.receive(device.batches(FILES, follower.store.view().stream(FILES).frontier))
    assert (report.applied, [held.raw for held in report.held], report.forked) == (1, [upon_lost], set())
    realm.exchange()
    assert {replica.query("SELECT tags FROM drill_items")[0] for replica in realm.replicas} == {('["new"]',)}


def test_what_was_written_upon_an_end_between_two_settlings_reaches_everyone(realm: Realm) -> None:
    """Settling one stream's fork gives the device another name, and under it it writes on in the other stream."""
    device, witness, _ = realm.replicas
    setting = "INSERT INTO drill_settings (id, key, value) VALUES (?, ?, ?)"
    key = natural_row_id("drill_settings", "alpha")
    fork(
        realm,
        before=[insert_item(1)],
        lost=[insert_item(2), (setting, [natural_row_id("drill_settings", "beta"), "beta", "lost"])],
        after=[insert_item(3), (setting, [key, "alpha", "new"])],
    )
    origin = device.store.origin
    settle(device, witness, origin)
    device.write(("UPDATE drill_settings SET value = 'later' WHERE id = ?", [key]))
    theirs = witness.batches(Stream.ANALYTICS)
    assert any(device.store.chains.settle_fork(raw, device.roster) for raw in theirs)
    # The later one comes before the end that it builds on, waits, and fits when it is tried again.
    for replica in (witness, realm.replicas[2]):
        replica.receive(witness.batches(Stream.ANALYTICS))
        report = replica.receive(device.batches(Stream.ANALYTICS))
        replica.receive([held.raw for held in report.held])
    realm.exchange()
    for replica in realm.replicas:
        assert replica.query("SELECT key, value FROM drill_settings ORDER BY key") == [
            ("alpha", "later"),
            ("beta", "lost"),
        ]


def test_the_same_device_may_be_set_back_again(realm: Realm) -> None:
    device, witness, follower = realm.replicas
    fork(
        realm,
        before=[insert_item(1, uses=1)],
        lost=[update(1, "uses = uses + 2")],
        after=[update(1, "uses = uses + 4")],
    )
    image = take_image(device)
    follower.pull(device)
    settle(device, witness)
    witness.pull(device)
    set_back(device, image)
    device.write(update(1, "uses = uses + 8"))
    device.receive(witness.batches(FILES, device.store.view().stream(FILES).frontier))
    settle(device, witness, image.origin)
    realm.exchange()
    for replica in realm.replicas:
        assert replica.query("SELECT uses FROM drill_items") == [(15,)]
        check_digests(replica)


def expect_both_pasts(realm: Realm) -> None:
    """Fork a row that holds every kind of name, settle it, and check what all devices show."""
    device, witness, _ = realm.replicas
    fork(
        realm,
        before=[insert_item(1, tags='["old"]', uses=1)],
        lost=[update(1, "uses = uses + 2, tags = '[\"lost\",\"old\"]', title = 'lost'")],
        after=[update(1, "uses = uses + 4, tags = '[\"new\",\"old\"]', title = 'new'")],
    )
    settle(device, witness)
    realm.exchange()
    shown = {replica.query("SELECT tags, uses, title FROM drill_items")[0] for replica in realm.replicas}
    assert shown == {('["lost","new","old"]', 7, "new")}


def test_every_kind_of_name_is_brought_along(realm: Realm) -> None:
    expect_both_pasts(realm)


@pytest.mark.parametrize("blind_to", ["counters", "dots", "stamps"])
def test_a_renaming_that_leaves_something_out_is_noticed(
    realm: Realm, monkeypatch: pytest.MonkeyPatch, blind_to: str
) -> None:
    """Planted bugs: what keeps its old name meets the other past's under the same one."""
    if blind_to == "counters":
        monkeypatch.setattr(Rewriting, "_steps", lambda self, words, batch: {})
    else:
        monkeypatch.setattr(Renaming, blind_to.removesuffix("s"), lambda self, name: name)
    with pytest.raises((AssertionError, RemoteProtocolError)):
        expect_both_pasts(realm)

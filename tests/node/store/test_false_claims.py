"""A member that claims in a snapshot what nobody ever wrote hides batches with it, but no rows."""

from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import pytest

from sync.frontier import Frontier, FrontierEntry
from sync.streams import Stream
from tests.node.store.test_repair_by_ranges import repair
from tests.support.forgery import Forger
from tests.support.realm import Realm, check_digests, insert_item, open_realm, row_id

FILES = Stream.FILES


@pytest.fixture
def realm(tmp_path: Path) -> Iterator[Realm]:
    opened = open_realm(tmp_path, devices=3)
    yield opened
    opened.close()


def test_what_a_false_claim_hides_of_batches_comes_as_rows(realm: Realm) -> None:
    deceived, author, member = realm.replicas
    author.write(insert_item(1, title="one", uses=1))
    realm.exchange()
    author.write(insert_item(2, title="two", tags='["b"]'), "UPDATE drill_items SET title = 'edited', uses = uses + 5")
    claimed = author.store.origin
    forger = Forger(member)
    manifest, raw = forger.page([], [], Frontier({claimed: FrontierEntry(1_000, b"no batch")}))
    deceived.store.place_snapshot(manifest)
    deceived.store.apply_page(raw, manifest, member.device_id, deceived.roster)
    deceived.store.adopt_snapshot(manifest)
    assert deceived.receive(author.batches(FILES)).applied == 0, "the claim hides what the author wrote"
    # Its log begins behind the claim now, so it can only offer its rows, to the author as to everyone.
    for other in (author, member):
        assert not other.store.view().stream(FILES).frontier.covers_all(deceived.store.log_base(FILES))
        other.pull_snapshot(deceived, FILES)
    assert author.store.origin != claimed
    author.write(insert_item(3, title="three", tags='["c"]'))
    for destination, source in permutations(realm.replicas, 2):
        destination.pull(source)
    frontiers = {repr(replica.store.view().stream(FILES).frontier) for replica in realm.replicas}
    digests = {replica.store.view().stream(FILES).digest for replica in realm.replicas}
    assert (len(frontiers), len(digests)) == (1, 2), "equal frontiers over different rows: they are compared"
    for here, there in permutations(realm.replicas, 2):
        repair(here, there)
    for replica in realm.replicas:
        assert replica.store.view() == author.store.view()
        assert replica.query("SELECT id, title, tags, uses FROM drill_items ORDER BY id") == [
            (row_id(1), "edited", "[]", 6),
            (row_id(2), "edited", '["b"]', 5),
            (row_id(3), "three", '["c"]', 0),
        ]
        check_digests(replica)

"""Texts and documents that were edited in both pasts of one device keep every word and key of either."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from node.schemas import CORE_COMPONENTS
from sync.frontier import EMPTY_FRONTIER
from sync.streams import Stream
from tests.support.realm import ALL_BYTES, Realm, Replica, check_digests, open_realm, row_id
from tests.support.set_back import set_back, take_image

MEMORIES = Stream.MEMORIES


@pytest.fixture
def realm(tmp_path: Path) -> Iterator[Realm]:
    opened = open_realm(tmp_path, devices=3, components=CORE_COMPONENTS)
    yield opened
    opened.close()


def settle(forked: Replica, witness: Replica) -> None:
    origin = forked.store.origin
    mine = {b.seq: b.hash for b in forked.store.read_batches(MEMORIES, EMPTY_FRONTIER, ALL_BYTES) if b.origin == origin}
    theirs = [b for b in witness.store.read_batches(MEMORIES, EMPTY_FRONTIER, ALL_BYTES) if b.origin == origin]
    assert forked.store.chains.settle_fork(
        next(batch.raw for batch in theirs if mine.get(batch.seq) not in (None, batch.hash)), forked.roster
    )


def edit(device: Replica, content: str, metadata: str) -> None:
    device.write(("UPDATE memories SET content = ?, metadata = ? WHERE id = ?", [content, metadata, row_id(1)]))


def test_words_and_keys_of_both_pasts_are_kept_everywhere(realm: Realm) -> None:
    device, witness, follower = realm.replicas
    first = "INSERT INTO memories (id, content, metadata) VALUES (?, 'Dinner on Friday.', '{\"a\":1}')"
    device.write((first, [row_id(1)]))
    realm.exchange()
    image = take_image(device)
    edit(device, "Dinner with Rosa on Friday.", '{"a":1,"lost":true}')
    edit(device, "Dinner with Rosa on Friday, at seven.", '{"a":2,"lost":true}')
    witness.pull(device)
    set_back(device, image)
    edit(device, "Late dinner on Friday.", '{"a":1,"new":true}')
    edit(device, "Late dinner on Friday. Bring wine.", '{"a":1,"new":[1,2]}')
    follower.pull(device)
    settle(device, witness)
    follower.pull(device)
    realm.exchange()
    for replica in realm.replicas:
        content, metadata = replica.query("SELECT content, metadata FROM memories")[0]
        assert isinstance(content, str)
        for words in ("Late dinner", "with Rosa", ", at seven", "Bring wine."):
            assert words in content
        assert metadata == '{"a":2,"lost":true,"new":[1,2]}'
        check_digests(replica)
    assert len({replica.query("SELECT content FROM memories")[0] for replica in realm.replicas}) == 1


def test_texts_that_were_inserted_in_the_abandoned_past_can_be_edited_on(realm: Realm) -> None:
    device, witness, _ = realm.replicas
    device.write(("INSERT INTO memories (id, content) VALUES (?, 'before')", [row_id(9)]))
    realm.exchange()
    image = take_image(device)
    device.write(("INSERT INTO memories (id, content) VALUES (?, 'lost')", [row_id(2)]))
    witness.pull(device)
    set_back(device, image)
    device.write(("INSERT INTO memories (id, content, metadata) VALUES (?, 'one two', '{\"k\":1}')", [row_id(1)]))
    edit(device, "one two three", '{"k":2}')
    settle(device, witness)
    realm.exchange()
    witness.write(("UPDATE memories SET content = 'one, two three' WHERE id = ?", [row_id(1)]))
    edit(device, "one two three four", '{"k":3}')
    realm.exchange()
    assert witness.query("SELECT content, metadata FROM memories WHERE id = ?", row_id(1)) == [
        ("one, two three four", '{"k":3}')
    ]

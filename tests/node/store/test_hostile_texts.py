"""A member that signs changes of texts as no honest device makes them cannot part honest devices."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.msgpack import decode, encode

from crdt.row import Layout
from crdt.text_change import Deletion, Insertion, TextChange
from crdt.text_chunk import parse_chunk, write_chunk
from sync.batch import open_batch
from sync.streams import Stream
from tests.support.diary import DIARY
from tests.support.forgery import Forger, column
from tests.support.realm import Realm, Replica, check_digests, open_realm, row_id

BODY = column("body", "text")
PAGE = row_id(1)


@pytest.fixture
def realm(tmp_path: Path) -> Iterator[Realm]:
    """Two honest devices and a hostile one; all hold a page."""
    opened = open_realm(tmp_path, devices=3, components=(DIARY,))
    opened.replicas[0].write(("INSERT INTO diary_pages (id, body) VALUES (?, 'an oak by the pond')", [PAGE]))
    opened.exchange()
    yield opened
    opened.close()


def forged(change: TextChange) -> tuple[str, Layout, bytes]:
    forger_row = [PAGE, 1, [write_chunk(change).raw]]
    return "diary_pages", (BODY,), encode(forger_row)


def written(replica: Replica, text: str) -> tuple[bytes, bytes]:
    """Write the page anew; return the batch and the change of the text in it."""
    replica.write(("UPDATE diary_pages SET body = ? WHERE id = ?", [text, PAGE]))
    raw = replica.batches(Stream.MEMORIES)[-1]
    batch = open_batch(raw, replica.author.realm_id, replica.roster.sign_public)
    (change,) = batch.changes
    assert isinstance(change, tuple)
    chunks = decode(change[2])[2]
    return raw, chunks[0]


def told(replica: Replica, *raws: bytes) -> None:
    for raw in raws:
        report = replica.receive([raw])
        assert (report.refused, report.held) == ([], [])
    check_digests(replica)


def body(replica: Replica) -> object:
    return replica.query("SELECT body FROM diary_pages WHERE id = ?", PAGE)[0][0]


def both_agree(realm: Realm) -> object:
    """Let the honest devices write on and receive everything of each other; return what both show."""
    one, other, _ = realm.replicas
    for replica in (one, other):
        replica.write(("UPDATE diary_pages SET lowest = lowest - 1, title = title || '.'", []))
    for _ in range(2):
        one.pull(other)
        other.pull(one)
    assert one.store.view() == other.store.view()
    assert body(one) == body(other)
    return body(one)


@pytest.mark.parametrize("word", ["HOSTILE ", "RIVAL ", "FALSE ", "BOGUS "])
def test_a_second_change_under_an_honest_author_leaves_honest_devices_equal(realm: Realm, word: str) -> None:
    one, other, hostile = realm.replicas
    honest, chunk = written(one, "an old oak by the pond")
    true = parse_chunk(chunk)
    bad = Forger(hostile, Stream.MEMORIES).batch(
        [forged(TextChange(true.actor, true.deps, true.start, (Insertion(None, 0, word),)))]
    )
    told(other, bad, honest)
    told(one, bad)
    both_agree(realm)
    written(other, "something else altogether")
    assert both_agree(realm) == "something else altogether"


def test_a_change_that_names_what_it_had_not_seen_leaves_honest_devices_equal(realm: Realm) -> None:
    one, other, hostile = realm.replicas
    honest, chunk = written(one, "an old oak by the pond")
    true = parse_chunk(chunk)
    bad = Forger(hostile, Stream.MEMORIES).batch(
        [forged(TextChange(b"h" * 16, true.deps, true.start + 9, (Insertion(true.actor, true.start, "HOSTILE"),)))]
    )
    told(one, bad)
    told(other, bad, honest)
    assert both_agree(realm) == "an oHOSTILEld oak by the pond"
    written(other, "an old elm by the pond")
    assert both_agree(realm) == "an old elm by the pond"


def test_two_deletions_under_one_author_leave_the_text_to_be_edited(realm: Realm) -> None:
    one, other, hostile = realm.replicas
    honest, chunk = written(one, "an oak by the pon")
    true = parse_chunk(chunk)
    (gone,) = true.operations
    assert isinstance(gone, Deletion)
    earlier = Deletion(gone.actor, gone.counter - 1, 1)
    bad = Forger(hostile, Stream.MEMORIES).batch([forged(TextChange(true.actor, true.deps, true.start, (earlier,)))])
    told(other, bad, honest)
    told(one, bad)
    assert both_agree(realm) == "an oak by the po"
    for number in range(40):
        written(one, f"an oak by the po {number}")
    assert both_agree(realm) == "an oak by the po 39"

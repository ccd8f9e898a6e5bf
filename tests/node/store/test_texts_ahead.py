"""Words that are written on top of what a page brought ahead of its batches are out of sight nowhere."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from crdt.strategies.text import CARRIED_BYTES_MAX
from tests.node.store.test_texts import STREAM, body, page, same_everywhere, write_body
from tests.support.diary import DIARY
from tests.support.realm import Realm, Replica, check_digests, open_realm

GROVE = "".join(f"beside tree {number}, " for number in range(20))


@pytest.fixture
def realm(tmp_path: Path) -> Iterator[Realm]:
    """Three devices with a diary that holds nothing yet."""
    opened = open_realm(tmp_path, devices=3, components=(DIARY,))
    yield opened
    opened.close()


@pytest.fixture
def third(realm: Realm) -> Replica:
    """The device that holds no more than the one that writes."""
    return realm.replicas[2]


def begun_snapshot(source: Replica, target: Replica) -> None:
    """Let the first page of a snapshot arrive, and then no more."""
    manifest, pages = source.manifest_and_pages(STREAM, bytes_max=1)
    assert len(pages) > 1
    target.store.apply_page(pages[0], manifest, source.device_id, target.roster)


def test_words_written_on_top_of_a_page_are_shown_to_those_who_hold_no_more_than_their_author(
    realm: Realm, here: Replica, there: Replica, third: Replica
) -> None:
    there.write(page(1, "an oak"))
    third.pull(there)
    here.pull(there)
    here.write(page(0, "a row that comes on a later page"), write_body(1, "an oak " + GROVE))
    begun_snapshot(here, there)
    assert body(there) == "an oak " + GROVE
    there.write(write_body(1, "an old oak " + GROVE))
    third.pull(there)
    assert body(third) == "an old oak " + GROVE
    # What its batch brought for certain it does not bring again.
    there.write(write_body(1, "a very old oak " + GROVE))
    first, second = there.batches(STREAM)[-2:]
    assert len(second) < len(first) - 100
    assert same_everywhere(realm) == "a very old oak " + GROVE
    for replica in realm.replicas:
        check_digests(replica)


def test_words_written_over_a_plain_text_that_came_by_a_page_are_shown_before_its_batch_is_there(
    realm: Realm, here: Replica, there: Replica, third: Replica
) -> None:
    here.write(page(0, "a row that comes on a later page"), page(1, "an oak"))
    begun_snapshot(here, there)
    there.write(write_body(1, "an old oak"))
    third.pull(there)
    assert body(third) == "an old oak"
    assert same_everywhere(realm) == "an old oak"


def test_a_long_history_that_came_by_a_page_is_not_carried_along(
    realm: Realm, here: Replica, there: Replica, third: Replica
) -> None:
    long = "".join(f"line {number}\n" for number in range(CARRIED_BYTES_MAX // 8))
    here.write(page(0, "a row that comes on a later page"), page(1, long))
    begun_snapshot(here, there)
    there.write(write_body(1, long + "end"))
    assert len(there.batches(STREAM)[0]) < 2_000
    third.pull(there)
    assert body(third) == ""
    assert same_everywhere(realm) == long + "end"

"""A text that was damaged on the disk is neither proven nor sent, and gives way to a sound copy."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from node.errors import DamagedRowError
from node.store import verification
from sync.row_ranges import EVERYTHING
from sync.streams import Stream
from tests.node.store.test_scrub import scrub
from tests.support.damage import tamper
from tests.support.diary import DIARY
from tests.support.realm import Realm, Replica, Statement, check_digests, open_realm, row_id

STREAM = Stream.MEMORIES
FOX = "The quick brown fox jumps over the lazy dog."


@pytest.fixture
def realm(tmp_path: Path) -> Iterator[Realm]:
    """Two devices with a diary that holds nothing yet."""
    opened = open_realm(tmp_path, components=(DIARY,))
    yield opened
    opened.close()


def page(number: int, body: str) -> Statement:
    return "INSERT INTO diary_pages (id, body) VALUES (?, ?)", [row_id(number), body]


def write_body(number: int, body: str) -> Statement:
    return "UPDATE diary_pages SET body = ? WHERE id = ?", [body, row_id(number)]


def body(replica: Replica, number: int = 1) -> object:
    return replica.query("SELECT body FROM diary_pages WHERE id = ?", row_id(number))[0][0]


def test_a_damaged_text_is_never_proven_by_what_is_merged_with_it_and_gives_way_to_a_sound_copy(
    here: Replica, there: Replica
) -> None:
    here.write(page(1, FOX))
    here.write(write_body(1, FOX.upper()))
    there.pull(here)
    here.write(write_body(1, FOX))
    (raw,) = here.batches(STREAM, there.store.view().stream(STREAM).frontier)
    there.store.close()
    tamper(there.path, "UPDATE diary_pages SET body = 'shorter'")
    there.store = there.open(there.path)
    with pytest.raises(DamagedRowError, match="doctor --repair"):
        there.store.require_whole("diary_pages", [row_id(1)])
    there.receive([raw])
    assert body(there) == "shorter"
    mine, theirs = (replica.store.view().stream(STREAM) for replica in (there, here))
    assert (mine.frontier == theirs.frontier, mine.digest == theirs.digest) == (True, False), "the comparison begins"
    with pytest.raises(DamagedRowError, match="doctor --repair"):
        there.write(write_body(1, "over it"))
    manifest, sound, _ = here.store.pages().read_repair(STREAM, (EVERYTHING,), 2**20)
    there.store.apply_page(sound, manifest, here.device_id, there.roster)
    assert body(there) == FOX
    there.pull(here)
    check_digests(there)


def repair_page(source: Replica, destination: Replica) -> None:
    manifest, raw, _ = source.store.pages().read_repair(STREAM, (EVERYTHING,), 2**20)
    destination.store.apply_page(raw, manifest, source.device_id, destination.roster)


def test_a_text_of_which_only_the_deleted_letters_are_damaged_gives_way_to_a_sound_copy(
    here: Replica, there: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.write(page(1, FOX))
    here.write(write_body(1, FOX.replace("quick", "slow")))
    there.pull(here)
    ((cells,),) = there.store._parts.database.query("SELECT cells FROM _row_diary_pages")
    assert b"quick" in cells
    there.store.close()
    tamper(there.path, f"UPDATE _row_diary_pages SET cells = x'{cells.replace(b'quick', b'quack').hex()}'")
    there.store = there.open(there.path)
    there.store.require_whole("diary_pages", [row_id(1)])
    assert not scrub(there).sound
    repair_page(there, here)
    check_digests(here)
    with monkeypatch.context() as planted:
        planted.setattr(verification, "has_whole_texts", lambda row: True)
        repair_page(here, there)
        assert not scrub(there).sound, "a planted bug: only the hash is asked whether a copy is needed"
    repair_page(here, there)
    assert scrub(there).sound
    assert body(there) == body(here) == FOX.replace("quick", "slow")
    check_digests(there)

"""Texts that are edited apart come together without a word lost, and both stores agree to the byte."""

import random
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import pytest

from node.errors import ConstraintError, UsageError
from sync.streams import Stream
from tests.node.store.test_scrub import scrub
from tests.support.diary import DIARY
from tests.support.realm import Realm, Replica, Statement, check_digests, open_realm, row_id

STREAM = Stream.MEMORIES
FOX = "The quick brown fox jumps over the lazy dog."


@pytest.fixture
def realm(tmp_path: Path) -> Iterator[Realm]:
    """Three devices with a diary that holds nothing yet."""
    opened = open_realm(tmp_path, devices=3, components=(DIARY,))
    yield opened
    opened.close()


@pytest.fixture
def third(realm: Realm) -> Replica:
    """The device that writes last."""
    return realm.replicas[2]


def page(number: int, body: str) -> Statement:
    return "INSERT INTO diary_pages (id, body) VALUES (?, ?)", [row_id(number), body]


def write_body(number: int, body: str) -> Statement:
    return "UPDATE diary_pages SET body = ? WHERE id = ?", [body, row_id(number)]


def body(replica: Replica, number: int = 1) -> object:
    return replica.query("SELECT body FROM diary_pages WHERE id = ?", row_id(number))[0][0]


def same_everywhere(realm: Realm, number: int = 1) -> object:
    realm.exchange()
    shown = {body(replica, number) for replica in realm.replicas}
    assert len(shown) == 1
    return shown.pop()


def found(replica: Replica, word: str) -> int:
    rows = replica.query("SELECT count(*) FROM _fts_diary_pages WHERE _fts_diary_pages MATCH ?", word)
    assert isinstance(rows[0][0], int)
    return rows[0][0]


def test_edits_made_apart_come_together_without_a_word_lost(realm: Realm, here: Replica, there: Replica) -> None:
    here.write(page(1, FOX))
    there.pull(here)
    here.write(write_body(1, FOX.replace("quick", "quick and clever")))
    there.write(write_body(1, FOX.replace("lazy dog", "lazy old dog of the neighbour")))
    assert same_everywhere(realm) == ("The quick and clever brown fox jumps over the lazy old dog of the neighbour.")
    for replica in realm.replicas:
        assert (found(replica, "clever"), found(replica, "neighbour")) == (1, 1)


def test_edits_of_an_edited_text_come_together(realm: Realm, here: Replica, there: Replica, third: Replica) -> None:
    here.write(page(1, FOX))
    here.write(write_body(1, FOX.upper()))
    realm.exchange()
    here.write(write_body(1, FOX.upper().replace("FOX", "VIXEN")))
    there.write(write_body(1, "Once upon a time: " + FOX.upper()))
    third.write(write_body(1, FOX.upper() + " The end."))
    shown = same_everywhere(realm)
    assert shown == "Once upon a time: THE QUICK BROWN VIXEN JUMPS OVER THE LAZY DOG. The end."


def test_a_text_deleted_here_and_added_to_there_keeps_what_was_added(
    realm: Realm, here: Replica, there: Replica
) -> None:
    here.write(page(1, FOX))
    there.pull(here)
    here.write(write_body(1, ""))
    there.write(write_body(1, FOX + " Twice!"))
    assert same_everywhere(realm) == " Twice!"


def test_batches_that_arrive_in_any_order_of_authors_give_the_same_bytes(tmp_path: Path) -> None:
    orders = list(permutations(range(3)))
    realm = open_realm(tmp_path, devices=3 + len(orders), components=(DIARY,))
    writers, readers = realm.replicas[:3], realm.replicas[3:]
    writers[0].write(page(1, FOX))
    for replica in realm.replicas[1:]:
        replica.pull(writers[0])
    for writer, word in zip(writers, ("one", "two", "three"), strict=True):
        writer.write(write_body(1, FOX.replace("fox", word)))
    for reader, order in zip(readers, orders, strict=True):
        for index in order:
            reader.pull(writers[index])
        check_digests(reader)
    assert len({body(reader) for reader in readers}) == 1
    assert len({reader.store.view().stream(STREAM).digest for reader in readers}) == 1
    realm.close()


def test_a_line_taken_away_here_does_not_come_back_where_its_neighbours_were_edited(
    realm: Realm, here: Replica, there: Replica
) -> None:
    here.write(page(1, "milk\nbread\n"))
    realm.exchange()
    here.write(write_body(1, "milk\n"))
    there.write(write_body(1, "bread\nbutter\n"))
    assert same_everywhere(realm) == "butter\n"
    here.write(page(2, "milk\nbread"))
    realm.exchange()
    here.write(write_body(2, "milk"))
    there.write(write_body(2, "bread\nbutter"))
    assert "bread" not in str(same_everywhere(realm, 2))


def test_one_row_inserted_apart_with_two_texts_keeps_both(realm: Realm, here: Replica, there: Replica) -> None:
    here.write(page(1, "written on the plane"))
    there.write(page(1, "written on the train"))
    shown = same_everywhere(realm)
    assert isinstance(shown, str)
    assert "written on the plane" in shown
    assert "written on the train" in shown


def test_one_row_inserted_apart_with_the_same_text_shows_it_once(realm: Realm, here: Replica, there: Replica) -> None:
    here.write(page(1, FOX))
    there.write(page(1, FOX))
    assert same_everywhere(realm) == FOX
    here.write(write_body(1, FOX + "!"))
    there.write(write_body(1, "?" + FOX))
    assert same_everywhere(realm) == f"?{FOX}!"


def test_a_text_that_was_deleted_and_written_anew_takes_no_edit_of_its_old_life(
    realm: Realm, here: Replica, there: Replica
) -> None:
    here.write(page(1, FOX))
    here.write(write_body(1, FOX + "!"))
    there.pull(here)
    there.write(write_body(1, "an edit made without knowing"))
    here.write(("DELETE FROM diary_pages WHERE id = ?", [row_id(1)]))
    here.write(page(1, FOX))
    assert same_everywhere(realm) == FOX
    there.write(write_body(1, FOX + "?"))
    assert same_everywhere(realm) == FOX + "?"


def test_a_text_that_was_deleted_leaves_nothing_of_itself(realm: Realm, here: Replica, there: Replica) -> None:
    here.write(page(1, "a secret"))
    here.write(write_body(1, "a well kept secret"))
    there.pull(here)
    there.write(("DELETE FROM diary_pages WHERE id = ?", [row_id(1)]))
    realm.exchange()
    for replica in realm.replicas:
        assert replica.query("SELECT count(*) FROM diary_pages") == [(0,)]
        cells = replica.store._parts.database.query("SELECT cells FROM _row_diary_pages")
        assert [row for row in cells if row[0] is not None and b"secret" in row[0]] == []


def test_sql_edits_texts_of_many_rows_at_once(realm: Realm, here: Replica, there: Replica) -> None:
    here.write(*(page(number, f"page {number}: {FOX}") for number in range(1, 21)))
    there.pull(here)
    here.write("UPDATE diary_pages SET body = body || ' (read)'")
    there.write("UPDATE diary_pages SET body = replace(body, 'page', 'leaf')")
    realm.exchange()
    for number in range(1, 21):
        assert same_everywhere(realm, number) == f"leaf {number}: {FOX} (read)"


def test_a_text_written_as_it_stands_is_no_change(here: Replica) -> None:
    here.write(page(1, FOX))
    before = here.store.view()
    here.write(write_body(1, FOX))
    here.write("UPDATE diary_pages SET body = body")
    assert here.store.view() == before


def test_a_text_cannot_be_null_or_hold_a_nul(here: Replica) -> None:
    here.write(page(1, FOX))
    with pytest.raises(ConstraintError, match="NOT NULL"):
        here.write("UPDATE diary_pages SET body = NULL")
    with pytest.raises(ConstraintError, match="NUL"):
        here.write("UPDATE diary_pages SET body = body || char(0) || 'x'")
    assert body(here) == FOX


def test_edited_texts_travel_in_snapshot_pages(realm: Realm, here: Replica, there: Replica, third: Replica) -> None:
    for number in range(1, 9):
        here.write(page(number, f"{number} {FOX}"))
    for number in range(1, 5):
        here.write(write_body(number, f"{number} {FOX} edited"))
    there.pull_snapshot(here, STREAM, bytes_max=500)
    assert there.store.view() == here.store.view()
    check_digests(there)
    # Both go on from there, and a third that came by ordinary batches agrees.
    there.write(write_body(1, f"1 {FOX} edited and snapped"))
    here.write(write_body(1, f"first {FOX} edited"))
    assert same_everywhere(realm) == f"first {FOX} edited and snapped"
    assert same_everywhere(realm, 5) == f"5 {FOX}"


def test_a_snapshot_joins_texts_that_were_edited_on_both_sides(realm: Realm, here: Replica, there: Replica) -> None:
    here.write(page(1, FOX))
    there.pull(here)
    here.write(write_body(1, FOX.replace("quick", "swift")))
    there.write(write_body(1, FOX + " So they say."))
    there.pull_snapshot(here, STREAM)
    assert body(there) == FOX.replace("quick", "swift") + " So they say."
    assert same_everywhere(realm) == body(there)


def test_a_long_text_is_edited_apart_and_comes_together(realm: Realm, here: Replica, there: Replica) -> None:
    source = random.Random(7)
    lines = [" ".join(f"word{source.randrange(10**5)}" for _ in range(12)) for _ in range(1_000)]
    assert sum(map(len, lines)) > 100_000
    here.write(page(1, "\n".join(lines)))
    there.pull(here)
    mine, yours = list(lines), list(lines)
    mine[100] = "a line of mine"
    yours[800:810] = ["lines of yours"]
    here.write(write_body(1, "\n".join(mine)))
    there.write(write_body(1, "\n".join(yours)))
    yours[100] = "a line of mine"
    assert same_everywhere(realm) == "\n".join(yours)


def test_random_edits_on_three_devices_lose_no_word(realm: Realm) -> None:
    source = random.Random(11)
    realm.replicas[0].write(page(1, "begin"))
    realm.exchange()
    added: list[str] = []
    for round_number in range(12):
        for index, replica in enumerate(realm.replicas):
            text = body(replica)
            assert isinstance(text, str)
            word = f"<{round_number}.{index}>"
            position = source.randrange(len(text) + 1)
            while position < len(text) and text[position : position + 1] not in "<b":
                position += 1
            replica.write(write_body(1, text[:position] + word + text[position:]))
            added.append(word)
        if source.random() < 0.5:
            first, second = source.sample(realm.replicas, 2)
            first.pull(second)
    shown = same_everywhere(realm)
    assert isinstance(shown, str)
    assert [word for word in added if word not in shown] == []
    assert len(shown) == len("begin") + sum(map(len, added))


def test_an_edited_text_is_the_same_after_a_restart(realm: Realm, here: Replica, there: Replica) -> None:
    here.write(page(1, FOX))
    here.write(write_body(1, FOX + "!"))
    there.pull(here)
    for replica in (here, there):
        replica.reopen()
    here.write(write_body(1, "Hark! " + FOX + "!"))
    there.write(write_body(1, FOX + "!!"))
    assert same_everywhere(realm) == "Hark! " + FOX + "!!"


def test_the_least_value_stands_wherever_it_was_written(realm: Realm, here: Replica, there: Replica) -> None:
    here.write(("INSERT INTO diary_pages (id, begun_at, lowest) VALUES (?, '2026-02', 7)", [row_id(1)]))
    there.pull(here)
    here.write("UPDATE diary_pages SET begun_at = '2026-01', lowest = 9")
    there.write("UPDATE diary_pages SET begun_at = '2025-12', lowest = -3")
    realm.exchange()
    for replica in realm.replicas:
        assert replica.query("SELECT begun_at, lowest FROM diary_pages") == [("2025-12", -3)]


def test_edited_texts_pass_a_scrub(realm: Realm, here: Replica, there: Replica) -> None:
    here.write(page(1, FOX), page(2, FOX))
    there.pull(here)
    here.write(write_body(1, FOX + "!"))
    there.write(write_body(1, FOX.lower()))
    realm.exchange()
    for replica in realm.replicas:
        assert scrub(replica).sound
        replica.store.require_whole("diary_pages", [row_id(1), row_id(2)])


def test_an_edit_taken_at_an_old_version_keeps_what_came_since(realm: Realm, here: Replica, there: Replica) -> None:
    here.write(page(1, FOX))
    first = here.store.inspection.version("diary_pages", row_id(1))
    assert first is not None
    there.pull(here)
    assert there.store.inspection.version("diary_pages", row_id(1)) == first
    there.write(write_body(1, FOX + " He slept."))
    here.pull(there)
    here.write(write_body(1, "Once: " + FOX + " He slept."))
    edited = FOX.replace("fox", "vixen")
    merged = here.store.inspection.rebased("diary_pages", row_id(1), "body", first, edited)
    assert merged == "Once: " + edited + " He slept."
    # What the reader saw last is written as it is.
    last = here.store.inspection.version("diary_pages", row_id(1))
    assert last not in (None, first)
    assert here.store.inspection.rebased("diary_pages", row_id(1), "body", str(last), "short") == "short"


def test_a_version_of_another_life_another_row_or_of_later_is_refused(here: Replica, there: Replica) -> None:
    here.write(page(1, FOX), page(2, "another"))
    there.pull(here)
    version = here.store.inspection.version("diary_pages", row_id(1))
    of_another = here.store.inspection.version("diary_pages", row_id(2))
    here.write(write_body(1, FOX + "!"))
    later = here.store.inspection.version("diary_pages", row_id(1))
    there.write(write_body(1, FOX + "?"))

    def rebase(replica: Replica, token: object) -> object:
        return replica.store.inspection.rebased("diary_pages", row_id(1), "body", str(token), "x")

    for token in (later, of_another):
        with pytest.raises(ConstraintError, match="not arrived"):
            rebase(there, token)
    with pytest.raises(UsageError, match="no version"):
        rebase(here, "not-a-version")
    here.write(("DELETE FROM diary_pages WHERE id = ?", [row_id(1)]))
    assert rebase(here, version) is None
    here.write(page(1, FOX))
    with pytest.raises(ConstraintError, match="written anew"):
        rebase(here, version)


def test_many_changes_of_a_text_are_kept_in_little_room_and_still_travel(
    realm: Realm, here: Replica, there: Replica, third: Replica
) -> None:
    here.write(page(1, FOX))
    there.pull(here)
    text = FOX
    for number in range(67):
        text += f" {number}"
        here.write(write_body(1, text))
    ((cells,),) = here.store._parts.database.query("SELECT cells FROM _row_diary_pages")
    assert len(cells) < 100 * 67, "of which 48 are a name and an author; the changes themselves are twice as long"
    there.write(write_body(1, "Look: " + FOX))
    third.pull_snapshot(here, STREAM)
    here.reopen()
    assert same_everywhere(realm) == "Look: " + text
    for replica in realm.replicas:
        assert scrub(replica).sound

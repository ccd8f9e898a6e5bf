"""What a store remembers of changes, and what it lets go of when a row is forgotten."""

import pytest

from node.store.history import BLOCK_BITS, DAYS_KEPT, FROM_ENTRIES, HistoryEntry
from node.store.store import REWRITTEN_BATCHES_MAX
from sync.batch import open_batch
from sync.streams import Stream
from tests.support.realm import Realm, Replica, check_digests, delete_item, insert_item, row_id

FILES = Stream.FILES


def tidy(*replicas: Replica) -> None:
    for replica in replicas:
        while replica.store.maintain():
            pass


def words_in_log(replica: Replica, word: str) -> int:
    """Return how many changes in the log hold a word, each batch verified first."""
    count = 0
    for raw in replica.batches(FILES):
        batch = open_batch(raw, replica.author.realm_id, replica.roster.sign_public)
        count += sum(word.encode() in change[2] for change in batch.changes if not isinstance(change, bytes))
    return count


def of_item(replica: Replica, number: int = 1) -> list[HistoryEntry]:
    return replica.store.history.of_row(row_id(number), 100)


def test_an_edit_is_remembered_with_its_author_and_both_values_on_every_device(
    realm: Realm, here: Replica, there: Replica
) -> None:
    here.write(insert_item(1, title="a", uses=1))
    realm.exchange()
    there.write("UPDATE drill_items SET title = 'b', uses = 5")
    realm.exchange()
    for replica in realm.replicas:
        (entry,) = of_item(replica)
        assert entry.differences == {"title": ("a", "b"), "uses": (1, 5)}
        assert entry.stamp[8:40] == there.device_id
        assert replica.store.history.recent(["drill_items"], 10) == [entry]


def test_entries_are_found_and_forgotten_in_whichever_block_they_lie(here: Replica, there: Replica) -> None:
    here.write(*(insert_item(number, title=f"{word} 0") for number, word in enumerate(("wren", "finch"), 1)))
    there.pull(here)
    for version in range(1, 5):
        here.write(f"UPDATE drill_items SET title = replace(title, '{version - 1}', '{version}')")
        there.pull(here)
        with here.store._committing(local=False):
            # The next entry falls into the block after next.
            here.store._parts.database.change(
                "UPDATE _history SET number = number + ? WHERE number = (SELECT max(number) FROM _history)",
                (2 << BLOCK_BITS,),
            )
    assert here.query(f"SELECT count(DISTINCT number >> {BLOCK_BITS}) FROM _history") == [(5,)]
    for number, word in enumerate(("wren", "finch"), 1):
        said = [entry.differences for entry in of_item(here, number)]
        assert said == [{"title": (f"{word} {old}", f"{word} {old + 1}")} for old in (3, 2, 1, 0)]
        assert said == [entry.differences for entry in of_item(there, number)]
    assert here.store.history.count([row_id(1), row_id(2)]) == 8
    here.write(delete_item(1))
    there.pull(here)
    for replica in (here, there):
        assert [entry.generation for entry in of_item(replica, 1)] == [2]
        assert len(of_item(replica, 2)) == 4
        tidy(replica)
        assert [words_in_log(replica, word) for word in ("wren", "finch")] == [0, 5]


def test_entries_of_a_row_are_sought_and_never_read_through(here: Replica) -> None:
    plan = here.store._parts.database.query(f"EXPLAIN QUERY PLAN SELECT h.number {FROM_ENTRIES}", (row_id(1), 1))
    sought = [detail for _, _, _, detail in plan if " h " in detail]
    assert sought == ["SEARCH h USING COVERING INDEX _history_by_row (<expr>=? AND row_id=?)"]


def test_an_insert_is_not_copied_into_history(here: Replica, there: Replica) -> None:
    here.write(*(insert_item(number, title=f"{number}") for number in range(1, 50)))
    there.pull(here)
    for replica in (here, there):
        assert replica.query("SELECT count(*) FROM _history") == [(0,)]


def test_a_change_that_loses_says_nothing_and_is_still_found_by_a_later_forget(
    realm: Realm, here: Replica, there: Replica
) -> None:
    here.write(insert_item(1, title="a"))
    realm.exchange()
    here.write("UPDATE drill_items SET title = 'loses'")
    there.write("UPDATE drill_items SET title = 'wins'")
    there.pull(here)
    assert [entry.differences for entry in of_item(there)] == [{"title": ("a", "wins")}]
    realm.exchange()
    there.write(delete_item(1))
    realm.exchange()
    tidy(here, there)
    assert [words_in_log(replica, "loses") for replica in realm.replicas] == [0, 0]


def test_long_texts_are_remembered_whole(here: Replica) -> None:
    old, new = "squirrel " * 5_000, "heron " * 7_000
    here.write(insert_item(1, body=old))
    here.write(("UPDATE drill_items SET body = ?", [new]))
    assert of_item(here)[0].differences == {"body": (old, new)}
    ((length,),) = here.query("SELECT length(differences) FROM _history")
    assert isinstance(length, int)
    assert length < 1_000


def test_forgetting_takes_a_row_out_of_history_conflicts_and_the_log_everywhere(
    realm: Realm, here: Replica, there: Replica
) -> None:
    here.write(insert_item(1, title="secret one", body="secret"), insert_item(2, title="harmless"))
    realm.exchange()
    here.write("UPDATE drill_items SET title = 'secret two' WHERE title = 'secret one'")
    there.write("UPDATE drill_items SET title = 'secret three' WHERE title = 'secret one'")
    realm.exchange()
    assert [words_in_log(replica, "secret") for replica in realm.replicas] == [3, 3]
    before = [replica.store.view() for replica in realm.replicas]
    here.write(delete_item(1))
    realm.exchange()
    tidy(here, there)
    for replica, view in zip(realm.replicas, before, strict=True):
        assert words_in_log(replica, "secret") == 0
        assert words_in_log(replica, "harmless") == 1
        assert replica.query("SELECT count(*) FROM _conflict") == [(0,)]
        assert [(entry.generation, entry.differences) for entry in of_item(replica)] == [(2, None)]
        assert replica.query("SELECT count(*) FROM _to_forget") == [(0,)]
        assert replica.store.view().stream(FILES).frontier.covers_all(view.stream(FILES).frontier)
        check_digests(replica)


def test_an_edit_that_arrives_after_its_row_was_forgotten_leaves_no_words(
    realm: Realm, here: Replica, there: Replica
) -> None:
    here.write(insert_item(1, title="a"))
    realm.exchange()
    here.write(delete_item(1))
    there.write("UPDATE drill_items SET title = 'secret'")
    here.pull(there)
    tidy(here)
    assert words_in_log(here, "secret") == 0
    there.pull(here)
    tidy(there)
    assert words_in_log(there, "secret") == 0


def test_a_new_life_of_a_row_keeps_its_words(realm: Realm, here: Replica, there: Replica) -> None:
    here.write(insert_item(1, title="old life"))
    here.write(delete_item(1))
    here.write(insert_item(1, title="new life"))
    tidy(here)
    there.pull(here)
    tidy(there)
    for replica in realm.replicas:
        assert (words_in_log(replica, "old life"), words_in_log(replica, "new life")) == (0, 1)
        assert replica.query("SELECT title FROM drill_items") == [("new life",)]


def test_a_device_that_gets_the_log_after_the_forgetting_comes_to_the_same_digest(
    realm: Realm, here: Replica, there: Replica
) -> None:
    here.write(insert_item(1, title="secret"), insert_item(2, title="b"))
    here.write("UPDATE drill_items SET title = title || '!'")
    here.write(delete_item(1))
    tidy(here)
    realm.exchange()
    assert words_in_log(there, "secret") == 0
    assert there.query("SELECT title FROM drill_items") == [("b!",)]


def test_forgetting_is_worked_off_in_pieces_and_after_a_restart(here: Replica) -> None:
    count = 2 * REWRITTEN_BATCHES_MAX + 1
    for number in range(count):
        here.write(insert_item(number, title=f"secret {number}"))
    here.write("DELETE FROM drill_items")
    assert here.store.maintain()
    assert words_in_log(here, "secret") == count - REWRITTEN_BATCHES_MAX
    here.reopen()
    assert here.store.maintain()
    assert not here.store.maintain()
    assert words_in_log(here, "secret") == 0


def test_an_abandoned_forget_forgets_nothing(here: Replica) -> None:
    here.write(insert_item(1, title="kept"))

    def forget_and_fail() -> None:
        with here.store.transaction() as transaction:
            transaction.execute(*delete_item(1))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        forget_and_fail()
    tidy(here)
    assert words_in_log(here, "kept") == 1


def test_after_ninety_days_history_says_no_more_and_a_forget_still_finds_the_log(here: Replica) -> None:
    here.write(insert_item(1, title="a"))
    here.write("UPDATE drill_items SET title = 'secret'")
    here.time.advance((DAYS_KEPT + 1) * 24 * 3600 * 1000)
    here.write("UPDATE drill_items SET title = 'fresh'")
    tidy(here)
    assert [entry.differences for entry in of_item(here)] == [{"title": ("secret", "fresh")}]
    here.write(delete_item(1))
    tidy(here)
    assert (words_in_log(here, "secret"), words_in_log(here, "fresh")) == (0, 0)

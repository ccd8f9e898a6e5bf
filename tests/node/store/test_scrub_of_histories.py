"""A store that lived through everything that can happen to rows is found sound, however its rows came to be."""

from pathlib import Path

import pytest

from node.schemas import CORE_COMPONENTS
from node.store import full_text
from node.store.change_log import Progress
from node.store.damage import Kind
from sync.streams import Stream
from tests.node.store.test_scrub import kinds, scrub
from tests.support.realm import Realm, Replica, delete_item, insert_item, open_realm, row_id


def insert_comment(number: int, item: int) -> tuple[str, list[object]]:
    """Return the statement that inserts a comment on an item."""
    return (
        "INSERT INTO drill_comments (id, item_id, text) VALUES (?, ?, ?)",
        [row_id(number), row_id(item), f"comment {number}"],
    )


def live(here: Replica, there: Replica) -> None:
    """Let two devices edit, count, tag, delete, bring back and refer apart from each other."""
    here.write(*(insert_item(number, title=f"item {number}", body="one two three") for number in range(1, 30)))
    there.pull(here)
    for number, replica in enumerate((here, there), start=1):
        edits = (
            f"UPDATE drill_items SET title = title || ' by {number}', uses = uses + {number}, tags = '[\"t{number}\"]'"
        )
        replica.write(f"{edits}, best = {number}, body = body || ' and {number}' WHERE id < x'{row_id(9).hex()}'")
    here.write(insert_item(40, title="pinned", pinned_id=row_id(3)), insert_comment(100, 12), insert_comment(101, 13))
    there.write(delete_item(3), delete_item(12), delete_item(15))
    here.write(f"UPDATE drill_items SET title = 'late' WHERE id = x'{row_id(15).hex()}'")
    there.write(insert_item(15, title="back again"))
    there.write("INSERT INTO drill_settings (key, value, labels) VALUES ('colour', 'blue', '[\"a\"]')")
    here.write("INSERT INTO drill_settings (key, value, labels) VALUES ('colour', 'green', '[\"b\"]')")


def test_rows_that_were_merged_hidden_and_brought_back_are_sound(realm: Realm, here: Replica, there: Replica) -> None:
    live(here, there)
    for replica in (here, there):
        assert scrub(replica).sound, scrub(replica).damage
    realm.exchange()
    for replica in (here, there):
        replica.reopen()
        report = scrub(replica)
        assert report.sound, report.damage
        assert report.not_compared == []
    # The pinned item and the comments hung on items that the other device deleted.
    assert here.store.health().derived_rows() == there.store.health().derived_rows()
    here.write(delete_item(4), f"UPDATE drill_items SET body = 'rewritten' WHERE id = x'{row_id(5).hex()}'")
    realm.exchange()
    for replica in (here, there):
        assert scrub(replica).sound, scrub(replica).damage


def test_a_log_that_begins_after_a_snapshot_is_sound(here: Replica, there: Replica) -> None:
    here.write(*(insert_item(number, title=f"item {number}") for number in range(1, 30)))
    here.write(delete_item(3))
    there.pull_snapshot(here, Stream.FILES)
    assert scrub(there).sound, scrub(there).damage
    here.write(insert_item(50, title="after"), delete_item(4))
    there.pull(here)
    report = scrub(there)
    assert report.sound, report.damage
    assert report.batches == 1


def test_a_log_from_which_rows_were_forgotten_is_sound(realm: Realm, here: Replica, there: Replica) -> None:
    here.write(*(insert_item(number, title=f"secret {number}") for number in range(1, 10)))
    there.pull(here)
    here.write(delete_item(3))
    realm.exchange()
    for replica in (here, there):
        while replica.store.upkeep_waits:
            replica.store.maintain()
        assert scrub(replica).sound, scrub(replica).damage


def test_texts_and_documents_that_were_edited_apart_are_sound(tmp_path: Path) -> None:
    realm = open_realm(tmp_path, components=CORE_COMPONENTS)
    here, there = realm.replicas
    for number in range(20):
        here.write(("INSERT INTO memories (id, content) VALUES (?, ?)", (row_id(number), f"tea {number} is good")))
    there.pull(here)
    for replica, word in ((here, "green"), (there, "black")):
        replica.write(
            f"UPDATE memories SET content = '{word} ' || content || ' with milk' WHERE id < x'{row_id(12).hex()}'",
            f'UPDATE memories SET metadata = \'{{"{word}":1,"by":"{word}"}}\' WHERE id < x\'{row_id(9).hex()}\'',
        )
    realm.exchange()
    here.write("UPDATE memories SET content = replace(content, 'good', 'better')")
    realm.exchange()
    for replica in realm.replicas:
        replica.reopen()
        report = scrub(replica)
        assert report.sound, report.damage
        assert report.rows == 20
    realm.close()


@pytest.mark.parametrize(
    ("owner", "name", "expected"),
    [
        (full_text, "index_captured", {Kind.WORDS_MISSING}),
        (full_text, "unindex", {Kind.WORDS_SURPLUS}),
        (Progress, "touch", {Kind.DIGEST_WRONG, Kind.COUNT_WRONG}),
    ],
)
def test_a_defect_of_the_program_is_found_like_one_of_the_disk(
    here: Replica,
    there: Replica,
    monkeypatch: pytest.MonkeyPatch,
    owner: object,
    name: str,
    expected: set[Kind],
) -> None:
    here.write(*(insert_item(number, title=f"item {number}") for number in range(1, 10)))
    there.pull(here)

    def forgotten(*_: object) -> None:
        """The planted bug: the step is left out."""

    monkeypatch.setattr(owner, name, forgotten)
    here.write(insert_item(50, title="one more"), insert_item(51), delete_item(3))
    there.pull(here)
    monkeypatch.undo()
    found = kinds(scrub(here)) | kinds(scrub(there))
    assert expected <= found, found

"""What is derived of references: orphans out of sight, references to rows that do not stand, and the repairs logged."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdt.identifiers import Stamp
from crdt.row import RowState
from crdt.strategies.register import Register
from crdt.version_vector import VersionVector
from node.errors import ConstraintError, DamagedRowError
from node.schemas import CORE_COMPONENTS
from node.store import own_changes
from node.store.catalogue import ReplicatedTable
from node.store.database import Row
from node.store.row_state import RowStates, StoredRow
from simulations.kernel.streams import SeededStream
from sync.streams import Stream
from tests.node.store.test_references import comment, delete, folder, ids, item, reaction
from tests.support.realm import Realm, Replica, check_digests, open_realm, row_id

TABLES = ("drill_folders", "drill_items", "drill_comments", "drill_reactions")


def contents(replica: Replica) -> dict[str, list[tuple[object, ...]]]:
    """Return every row of every table with references, as it is shown."""
    return {name: replica.query(f"SELECT * FROM {name} ORDER BY id") for name in TABLES}


def derived(replica: Replica) -> list[tuple[object, ...]]:
    return replica.query("SELECT * FROM _derived ORDER BY watched_table, watched, table_name, row_id")


@pytest.fixture
def three(tmp_path: Path) -> Realm:
    """Three devices: one deletes, one writes, one only receives."""
    return open_realm(tmp_path, devices=3)


def test_an_orphan_and_all_it_owns_are_out_of_sight_until_the_parent_returns(three: Realm) -> None:
    deleting, writing, reading = three.replicas
    deleting.write(item(1))
    three.exchange()
    deleting.write(delete("drill_items", 1))
    writing.write(comment(2, 1), reaction(3, 2), ("UPDATE drill_comments SET likes = 4", []))
    before = writing.query("SELECT * FROM drill_comments")
    reading.pull(deleting)
    reading.pull(writing)
    assert (ids(reading, "drill_comments"), ids(reading, "drill_reactions")) == ([], [])
    assert reading.query("SELECT rowid FROM _fts_drill_comments WHERE _fts_drill_comments MATCH 'words'") == []
    check_digests(reading)
    reading.write(item(1))
    assert reading.query("SELECT * FROM drill_comments") == before
    assert ids(reading, "drill_reactions") == [(row_id(3),)]
    assert len(reading.query("SELECT rowid FROM _fts_drill_comments WHERE _fts_drill_comments MATCH 'words'")) == 1
    assert derived(reading) == []
    check_digests(reading)


def test_an_orphan_is_the_same_row_in_a_snapshot(three: Realm) -> None:
    deleting, writing, reading = three.replicas
    deleting.write(item(1), item(4))
    three.exchange()
    deleting.write(delete("drill_items", 1))
    writing.write(
        comment(2, 1), reaction(3, 2), ("UPDATE drill_items SET pinned_id = ? WHERE id = ?", [row_id(1), row_id(4)])
    )
    writing.pull(deleting)
    reading.pull_snapshot(writing, Stream.FILES)
    assert contents(reading) == contents(writing)
    assert derived(reading) == derived(writing)
    assert reading.store.view().stream(Stream.FILES).digest == writing.store.view().stream(Stream.FILES).digest
    assert writing.query("SELECT pinned_id FROM drill_items") == [(None,)]


def test_a_reference_to_a_deleted_row_shows_nothing_and_keeps_its_value(three: Realm) -> None:
    deleting, writing, reading = three.replicas
    deleting.write(folder(1))
    three.exchange()
    deleting.write(delete("drill_folders", 1))
    writing.write(item(2, parent=1))
    writing.pull(deleting)
    assert writing.query("SELECT parent_id FROM drill_items") == [(None,)]
    writing.write(("UPDATE drill_items SET title = 'an edit of another column' WHERE id = ?", [row_id(2)]))
    reading.pull(writing)
    reading.write(folder(1))
    writing.pull(reading)
    assert writing.query("SELECT parent_id FROM drill_items") == [(row_id(1),)], "the edit did not write the NULL shown"
    assert contents(writing) == contents(reading)


def test_a_deleted_row_keeps_the_reference_it_truly_had(three: Realm) -> None:
    deleting, writing, reading = three.replicas
    deleting.write(folder(1), folder(2, 1), folder(4))
    three.exchange()
    deleting.write(delete("drill_folders", 1))
    writing.write(("UPDATE drill_folders SET parent_id = ? WHERE id = ?", [row_id(1), row_id(4)]))
    writing.pull(deleting)
    reading.write(folder(3, 4))
    writing.write(delete("drill_folders", 4))
    reading.pull(writing)
    assert reading.query("SELECT parent_id FROM drill_folders WHERE id = ?", row_id(3)) == [(None,)]
    reading.write(folder(1))
    assert reading.query("SELECT parent_id FROM drill_folders WHERE id = ?", row_id(3)) == [(row_id(1),)]


def test_a_reference_moves_up_past_every_row_that_does_not_stand(three: Realm) -> None:
    deleting, writing, reading = three.replicas
    deleting.write(folder(1), folder(2, 1), folder(3, 2))
    three.exchange()
    deleting.write(delete("drill_folders", 2))
    writing.write(folder(4, 3))
    reading.write(delete("drill_folders", 3))
    writing.pull(reading)
    assert writing.query("SELECT parent_id FROM drill_folders WHERE id = ?", row_id(4)) == [(row_id(2),)]
    writing.pull(deleting)
    assert writing.query("SELECT parent_id FROM drill_folders WHERE id = ?", row_id(4)) == [(row_id(1),)]


def test_only_the_device_that_deleted_logs_the_repair_of_a_reference(three: Realm) -> None:
    deleting, writing, reading = three.replicas
    deleting.write(folder(1), folder(2, 1))
    three.exchange()
    deleting.write(delete("drill_folders", 2))
    writing.write(folder(3, 2), item(4, parent=2))
    logged = [len(replica.batches(Stream.FILES)) for replica in three.replicas]
    reading.pull(deleting)
    reading.pull(writing)
    assert len(reading.batches(Stream.FILES)) == logged[2] + 2
    deleting.pull(writing)
    assert len(deleting.batches(Stream.FILES)) == logged[0] + 2, "what arrived, and one batch of repairs"
    three.exchange()
    for replica in three.replicas:
        assert replica.query("SELECT parent_id FROM drill_items") == [(None,)]
        assert replica.query("SELECT parent_id FROM drill_folders WHERE id = ?", row_id(3)) == [(row_id(1),)]
        assert derived(replica) == []


def test_an_orphan_can_be_inserted_anew_under_another_parent(three: Realm) -> None:
    deleting, writing, reading = three.replicas
    deleting.write(item(1), item(5))
    three.exchange()
    deleting.write(delete("drill_items", 1))
    writing.write(comment(2, 1))
    reading.pull(deleting)
    reading.pull(writing)
    with pytest.raises(ConstraintError, match="does not exist"):
        reading.write(comment(2, 1))
    reading.write(comment(2, 5))
    three.exchange()
    for replica in three.replicas:
        assert replica.query("SELECT id, item_id FROM drill_comments") == [(row_id(2), row_id(5))]


def test_derived_rows_stay_derived_when_a_store_is_opened_again(three: Realm) -> None:
    deleting, writing, reading = three.replicas
    deleting.write(item(1))
    three.exchange()
    deleting.write(delete("drill_items", 1))
    writing.write(comment(2, 1))
    reading.pull(deleting)
    reading.pull(writing)
    reading.store.close()
    reading.store = reading.open(reading.path)
    assert ids(reading, "drill_comments") == []
    reading.write(item(1))
    assert ids(reading, "drill_comments") == [(row_id(2),)]


def _edited_and_deleted_while_hidden(realm: Realm) -> bool:
    """Edit one row and delete another whose references show NULL, and tell whether both devices agree on them."""
    deleting, writing, reading = realm.replicas
    deleting.write(folder(1), folder(5))
    realm.exchange()
    deleting.write(delete("drill_folders", 1))
    writing.write(item(2, parent=1), folder(3, 1), folder(4, 3))
    for replica in (writing, reading):
        replica.pull(deleting)
    reading.pull(writing)
    writing.write(("UPDATE drill_items SET title = 'edited'", []), delete("drill_folders", 3))
    reading.pull(writing)
    digests = {replica.store.view().stream(Stream.FILES).digest for replica in (writing, reading)}
    references = writing.store.query("SELECT cells FROM _row_drill_folders WHERE id = ?", [row_id(3)])
    return len(digests) == 1 and row_id(1) in bytes(references[0][0])


def test_an_edit_and_a_delete_of_a_row_go_by_its_true_reference(three: Realm) -> None:
    assert _edited_and_deleted_while_hidden(three)


def test_a_tombstone_of_the_reference_shown_would_be_noticed(three: Realm, monkeypatch: pytest.MonkeyPatch) -> None:
    original = own_changes.tombstone

    def as_shown(table: ReplicatedTable, before: Sequence[str], old: StoredRow, stamp: Stamp) -> RowState:
        return original(table, before, StoredRow(row=old.row, hash=old.hash, hidden={}), stamp)

    monkeypatch.setattr(own_changes, "tombstone", as_shown)
    assert not _edited_and_deleted_while_hidden(three)


def test_an_edit_that_takes_the_reference_shown_for_the_true_one_would_be_noticed(
    three: Realm, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = RowStates.from_row

    def as_shown(
        self: RowStates, table: ReplicatedTable, row: Row, vector: VersionVector, before: Sequence[Any] | None = None
    ) -> StoredRow:
        stored = original(self, table, row, vector, before)
        cells = dict(stored.row.cell_by_column)
        for name, shown in zip(table.column_names, before or (), strict=bool(before)):
            cell = cells.get(name)
            if isinstance(cell, Register) and name in stored.hidden:
                cells[name] = Register(cell.stamp, shown)
        return replace(stored, row=replace(stored.row, cell_by_column=cells))

    monkeypatch.setattr(RowStates, "from_row", as_shown)
    with pytest.raises(DamagedRowError):
        _edited_and_deleted_while_hidden(three)


def test_texts_and_documents_of_an_orphan_merge_out_of_sight_and_come_back_whole(tmp_path: Path) -> None:
    realm = open_realm(tmp_path, devices=4, components=CORE_COMPONENTS)
    deleting, writing, editing, reading = realm.replicas
    conversation = ("INSERT INTO conversations (id, title) VALUES (?, 'a talk')", [row_id(1)])
    message = "INSERT INTO messages (id, conversation_id, content, metadata) VALUES (?, ?, ?, ?)"
    edit = "UPDATE messages SET content = ?, metadata = ? WHERE id = ?"
    deleting.write(conversation)
    realm.exchange()
    deleting.write(("DELETE FROM conversations WHERE id = ?", [row_id(1)]))
    writing.write(
        (message, [row_id(2), row_id(1), "the quick brown fox", '{"a":1}']),
        (message, [row_id(3), row_id(1), "never edited", None]),
    )
    editing.pull(writing)
    writing.write((edit, ["the very quick brown fox", '{"a":2,"b":1}', row_id(2)]))
    editing.write((edit, ["the quick brown fox jumps", '{"a":1,"c":1}', row_id(2)]))
    reading.pull(deleting)
    reading.pull(writing)
    reading.pull(editing)
    assert reading.query("SELECT * FROM messages") == []
    editing.pull(writing)
    shown = "SELECT id, content, metadata FROM messages ORDER BY id"
    whole = editing.query(shown)
    assert whole[0][1:] == ("the very quick brown fox jumps", '{"a":2,"b":1,"c":1}')
    reading.write(conversation)
    assert reading.query(shown) == whole
    check_digests(reading)
    editing.pull(deleting)
    assert editing.query(shown) == []
    editing.pull(reading)
    assert editing.query(shown) == whole
    assert editing.store.view() == reading.store.view()
    realm.close()


_EDITS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 11)), min_size=3, max_size=16)


@pytest.mark.long
@settings(max_examples=30, deadline=None, derandomize=True)
@given(edits=_EDITS, seed=st.integers(0, 2**16))
def test_whatever_is_written_apart_every_order_of_delivery_shows_the_same(
    tmp_path_factory: pytest.TempPathFactory, edits: list[tuple[int, int]], seed: int
) -> None:
    realm = open_realm(tmp_path_factory.mktemp("orders"), devices=6)
    writers, readers, newcomer = realm.replicas[:3], realm.replicas[3:5], realm.replicas[5]
    base = (
        folder(1),
        folder(2, 1),
        folder(3, 2),
        item(4, 3),
        item(5, 2),
        comment(6, 4),
        comment(7, 4, 6),
        reaction(8, 6),
    )
    writers[0].write(*base)
    for replica in (*writers[1:], *readers):
        replica.pull(writers[0])
    for device, choice in edits:
        _edit(writers[device], choice)
    random = SeededStream(seed, "orders")
    for reader in readers:
        for _ in range(3):
            for writer in random.shuffled(writers):
                batches = writer.batches(Stream.FILES)
                reader.receive(batches[: random.below(len(batches) + 1)])
        for writer in random.shuffled(writers):
            reader.pull(writer)
    newcomer.pull_snapshot(readers[0], Stream.FILES, bytes_max=300)
    for reader in (readers[1], newcomer):
        assert contents(reader) == contents(readers[0])
        assert derived(reader) == derived(readers[0])
        check_digests(reader)
    realm.exchange()
    for replica in realm.replicas:
        assert contents(replica) == contents(newcomer)
        assert derived(replica) == []
    realm.close()


def _edit(replica: Replica, choice: int) -> None:
    """Delete, return, move or hang something on one of the rows, if it stands here."""
    try:
        match choice:
            case 0 | 1 | 2:
                replica.write(delete("drill_folders", choice + 1))
            case 3 | 4:
                replica.write(delete("drill_items", choice + 1))
            case 5:
                replica.write(item(4, 3))
            case 6:
                replica.write(comment(20 + replica.seed, 4, 6), reaction(30 + replica.seed, 20 + replica.seed))
            case 7:
                replica.write(folder(40 + replica.seed, 3))
            case 8:
                replica.write(("UPDATE drill_items SET parent_id = ?, pinned_id = ?", [row_id(3), row_id(5)]))
            case 9:
                replica.write(delete("drill_comments", 6))
            case 10:
                replica.write(folder(2, 1))
            case _:
                replica.write(("UPDATE drill_comments SET text = 'edited', likes = likes + 1", []))
    except ConstraintError:
        pass  # What it hangs on is not there: a person would be told so.

"""Two real stores whose rows differ although they hold the same batches find out where, and are equal afterwards."""

import pytest

from node.errors import DamagedRowError
from node.store.row_ranges import RowRanges
from sync.errors import RemoteProtocolError
from sync.row_ranges import EVERYTHING, FAN_OUT, RowRange
from sync.snapshot import START, Manifest, RowKey
from sync.streams import Stream
from tests.node.store.test_references import comment
from tests.support.forgery import Forger
from tests.support.realm import Realm, Replica, check_digests, delete_item, insert_item, row_id
from tests.support.set_back import set_back, take_image

FILES = Stream.FILES
ROWS = 60


@pytest.fixture
def pair(realm: Realm) -> tuple[Replica, Replica]:
    """Two replicas that hold the same rows of every kind."""
    here, there = realm.replicas
    here.write(*(insert_item(number, title=f"item {number}", tags='["a"]') for number in range(1, ROWS + 1)))
    here.write("INSERT INTO drill_folders (name) VALUES ('a folder')")
    realm.exchange()
    there.write("UPDATE drill_items SET tags = '[\"b\"]', uses = uses + 2", delete_item(5), delete_item(6))
    here.write("UPDATE drill_items SET title = 'edited' WHERE id < x'0000000000000000000000000000000a'")
    realm.exchange()
    return here, there


def vandalise(replica: Replica, sql: str) -> None:
    """Change a store behind its back, as a disk or another program would."""
    database = replica.store._parts.database
    database.begin()
    database.change(sql)
    database.commit()


def repair(here: Replica, there: Replica) -> int:
    """Compare by ranges and exchange what differs; return how many pages were sent."""
    for replica in (here, there):
        replica.store.add_up([FILES])
    waiting, leaves = [EVERYTHING], list[RowRange]()
    while waiting:
        parts = here.store.pages().ranges.split(FILES, waiting)
        theirs = there.store.pages().ranges.sums(FILES, [part for part, _ in parts])
        differing = [(part, ours) for (part, ours), other in zip(parts, theirs, strict=True) if ours != other]
        leaves += [part for part, ours in differing if ours.rows <= FAN_OUT]
        waiting = [part for part, ours in differing if ours.rows > FAN_OUT]
    pages = 0
    for source, destination in ((here, there), (there, here)):
        rest = tuple(leaves)
        while rest:
            manifest, raw, rest = source.store.pages().read_repair(FILES, rest, 2_000)
            destination.store.apply_page(raw, manifest, source.device_id, destination.roster)
            pages += 1
    return pages


def assert_equal(here: Replica, there: Replica) -> None:
    assert here.store.view() == there.store.view()
    query = "SELECT * FROM drill_items ORDER BY id"
    assert here.query(query) == there.query(query)
    for replica in (here, there):
        check_digests(replica)
        replica.reopen()
        check_digests(replica)


def test_equal_rows_have_equal_sums_whatever_the_cut(pair: tuple[Replica, Replica]) -> None:
    here, there = pair
    parts = here.store.pages().ranges.split(FILES, [EVERYTHING])
    assert 2 < len(parts) <= FAN_OUT
    assert parts[0][0].first == START
    assert parts[-1][0].end == START
    assert sum(held.rows for _, held in parts) == ROWS + 1
    assert there.store.pages().ranges.sums(FILES, [part for part, _ in parts]) == [held for _, held in parts]
    whole = there.store.pages().ranges.sums(FILES, [EVERYTHING])[0]
    assert whole.hashes == there.store.view().stream(FILES).digest
    assert repair(here, there) == 0


@pytest.mark.parametrize("lost", [[1], [5], [3, 6, 40], list(range(1, ROWS + 1))], ids=["one", "dead", "some", "all"])
def test_rows_that_one_store_lost_come_back_whole(pair: tuple[Replica, Replica], lost: list[int]) -> None:
    here, there = pair
    before = here.store.view()
    there.store.take_out({"drill_items": [row_id(number) for number in lost]})
    assert there.store.view() != before
    repair(here, there)
    assert here.store.view() == before
    assert_equal(here, there)
    assert there.store.is_forgotten("drill_items", [row_id(5)]) == {row_id(5)}


def test_rows_lost_on_both_sides_come_back_on_both(pair: tuple[Replica, Replica]) -> None:
    here, there = pair
    before = here.store.view()
    here.store.take_out({"drill_items": [row_id(1), row_id(2)]})
    there.store.take_out({"drill_items": [row_id(50)]})
    repair(there, here)
    assert here.store.view() == before
    assert_equal(here, there)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE _row_drill_items SET hash = zeroblob(32) WHERE id < x'00000000000000000000000000000004'",
        "UPDATE _row_drill_items SET generation = 3 WHERE id = x'00000000000000000000000000000004'",
        "DELETE FROM _row_drill_items WHERE id = x'00000000000000000000000000000004'",
    ],
    ids=["hash", "generation", "row state"],
)
def test_a_row_that_fails_its_own_hash_is_replaced_and_never_passed_on(
    pair: tuple[Replica, Replica], damage: str
) -> None:
    here, there = pair
    before = here.store.view()
    vandalise(there, damage)
    if "generation" in damage:
        # Its hash is as it was, so sums do not tell: a scrub does, and takes it out.
        there.store.take_out({"drill_items": [row_id(4)]})
    repair(here, there)
    assert here.store.view() == before
    assert_equal(here, there)


def test_a_damaged_row_that_a_page_brings_is_replaced_and_not_joined(pair: tuple[Replica, Replica]) -> None:
    here, there = pair
    vandalise(there, "UPDATE drill_items SET title = 'rot' WHERE id = x'00000000000000000000000000000002'")
    only = RowRange(RowKey("drill_items", row_id(2)), RowKey("drill_items", row_id(3)))
    manifest, raw, rest = here.store.pages().read_repair(FILES, [only], 10_000)
    assert rest == ()
    there.store.apply_page(raw, manifest, here.device_id, there.roster)
    assert_equal(here, there)
    manifest, raw, _ = there.store.pages().read_repair(FILES, [only], 10_000)
    vandalise(there, "UPDATE drill_items SET title = 'rot' WHERE id = x'00000000000000000000000000000002'")
    _, empty, _ = there.store.pages().read_repair(FILES, [only], 10_000)
    assert len(empty) < len(raw)


def test_a_wrong_digest_over_sound_rows_is_added_up_again(pair: tuple[Replica, Replica]) -> None:
    here, there = pair
    vandalise(there, "UPDATE _stream SET digest = zeroblob(32)")
    there.reopen()
    assert there.store.view() != here.store.view()
    assert repair(here, there) == 0
    assert_equal(here, there)


def test_a_page_of_a_repair_is_signed_for_nothing_else(pair: tuple[Replica, Replica]) -> None:
    here, there = pair
    manifest, raw, _ = here.store.pages().read_repair(FILES, [EVERYTHING], 10**6)
    with pytest.raises(RemoteProtocolError):
        there.store.apply_page(raw, manifest, there.device_id, there.roster)
    snapshot = here.store.snapshot_manifest(FILES)
    with pytest.raises(RemoteProtocolError):
        there.store.apply_page(raw, snapshot, here.device_id, there.roster)
    other = Manifest(stream=Stream.MEDIA, snapshot_id=manifest.snapshot_id, frontier=manifest.frontier, rows=0)
    with pytest.raises(RemoteProtocolError):
        there.store.apply_page(raw, other, here.device_id, there.roster)
    _, forged = Forger(there).page([], [])
    with pytest.raises(RemoteProtocolError):
        here.store.apply_page(forged, manifest, there.device_id, here.roster)
    assert_equal(here, there)


def test_a_cut_that_leaves_rows_out_would_be_noticed(
    pair: tuple[Replica, Replica], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planted bug: cutting leaves the last range out, so what differs there is never compared."""
    here, there = pair
    there.store.take_out({"drill_items": [row_id(ROWS)]})
    split = RowRanges.split
    monkeypatch.setattr(RowRanges, "split", lambda self, stream, ranges: split(self, stream, ranges)[:-1])
    repair(here, there)
    assert here.store.view() != there.store.view()
    monkeypatch.undo()
    repair(here, there)
    assert_equal(here, there)


def test_words_taken_out_for_a_delete_that_was_lost_come_back_as_rows(realm: Realm) -> None:
    """The author forgot a row, passed its batch on without the words, and was set back to before the delete."""
    author, other = realm.replicas
    author.write(insert_item(1, title="forgotten for nothing"), insert_item(2, title="kept"))
    image = take_image(author)
    author.write(delete_item(1))
    while author.store.maintain():
        pass
    (shortened, _) = author.batches(FILES)
    assert other.receive([shortened]).applied == 1
    set_back(author, image)
    realm.replicas[1].pull(author)
    assert other.store.view().stream(FILES).frontier == author.store.view().stream(FILES).frontier
    assert other.query("SELECT title FROM drill_items") == [("kept",)]
    repair(author, other)
    assert_equal(author, other)
    assert len(other.query("SELECT title FROM drill_items")) == 2


def test_a_row_that_was_brought_back_keeps_the_losers_and_the_history_of_its_present_life(realm: Realm) -> None:
    here, there = realm.replicas
    here.write(insert_item(1, title="first life"))
    here.write(delete_item(1))
    here.write(insert_item(1, title="second life"))
    realm.exchange()
    for replica in (here, there):
        replica.write(("UPDATE drill_items SET title = ? WHERE id = ?", [f"by {replica.path.stem}", row_id(1)]))
    realm.exchange()
    assert (here.store.conflicts(), there.store.conflicts()) == (1, 1)
    entries = "SELECT generation, hlc, differences FROM _history WHERE seq > 0 AND generation = 3 ORDER BY number"
    before = there.query(entries)
    there.store.take_out({"drill_items": [row_id(1)]})
    assert repair(here, there) > 0
    assert_equal(here, there)
    assert there.store.conflicts() == 1
    assert there.query(entries)[: len(before)] == before


def test_an_edit_that_arrives_before_the_row_that_was_taken_out_takes_nothing_from_it(
    pair: tuple[Replica, Replica],
) -> None:
    here, there = pair
    here.write(('UPDATE drill_items SET tags = \'["b","kept"]\' WHERE id = ?', [row_id(20)]))
    there.pull(here)
    there.store.take_out({"drill_items": [row_id(20), row_id(21)]})
    here.write(
        ('UPDATE drill_items SET tags = \'["b","kept","late"]\', title = \'edited\' WHERE id = ?', [row_id(20)]),
        delete_item(21),
    )
    there.pull(here)
    assert there.query("SELECT count(*) FROM drill_items WHERE id IN (?, ?)", row_id(20), row_id(21)) == [(0,)]
    assert repair(here, there) > 0
    assert_equal(here, there)
    shown = [("edited", '["b","kept","late"]')]
    for replica in (here, there):
        assert replica.query("SELECT title, tags FROM drill_items WHERE id = ?", row_id(20)) == shown
        assert replica.query("SELECT title FROM drill_items WHERE id = ?", row_id(21)) == []


def test_a_row_that_was_taken_out_cannot_be_written_anew_before_it_arrives(pair: tuple[Replica, Replica]) -> None:
    here, there = pair
    there.store.take_out({"drill_items": [row_id(20)]})
    with pytest.raises(DamagedRowError, match="doctor"):
        there.write(insert_item(20, title="in its place"))
    assert repair(here, there) > 0
    assert_equal(here, there)


@pytest.mark.parametrize("is_taken_out", [True, False])
def test_what_refers_to_a_row_that_cannot_be_read_is_merged_and_stands_when_the_row_is_back(
    pair: tuple[Replica, Replica], is_taken_out: bool
) -> None:
    here, there = pair
    if is_taken_out:
        there.store.take_out({"drill_items": [row_id(20)]})
    else:
        vandalise(
            there, f"UPDATE _row_drill_items SET cells = x'c1', hash = zeroblob(32) WHERE id = x'{row_id(20).hex()}'"
        )
    here.write(comment(70, 20), ("UPDATE drill_items SET pinned_id = ? WHERE id = ?", [row_id(20), row_id(21)]))
    there.pull(here)
    assert there.query("SELECT id FROM drill_comments") == [(row_id(70),)]
    assert repair(here, there) > 0
    assert_equal(here, there)
    assert there.query("SELECT id FROM drill_comments") == here.query("SELECT id FROM drill_comments")

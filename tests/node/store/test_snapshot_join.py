"""A snapshot joins what is there: it replaces nothing, loses nothing, and lets nothing false in."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.msgpack import decode, encode

from crdt.identifiers import SEQUENCE_MAX, make_stamp
from node.errors import ConstraintError
from sync.errors import RemoteProtocolError
from sync.frontier import EMPTY_FRONTIER
from sync.snapshot import START, Manifest, RowKey, open_page
from sync.streams import Stream
from tests.support.forgery import Forger, PageRow, column, layout_of
from tests.support.realm import Realm, Replica, check_digests, delete_item, insert_item, open_realm, row_id

FILES = Stream.FILES


def fill(replica: Replica) -> None:
    """Write rows of every kind: fresh, edited, tagged, counted, deleted, born again."""
    replica.write(*(insert_item(number, title=f"item {number}", body="x" * 50) for number in range(1, 41)))
    replica.write("UPDATE drill_items SET title = 'edited' WHERE id < x'00000000000000000000000000000005'")
    replica.write(insert_item(50, tags='["a","b"]', uses=4, seen_at="2026", size=2**40, payload=b"\0"))
    replica.write('UPDATE drill_items SET tags = \'["b","c"]\', uses = uses - 1 WHERE uses > 0')
    replica.write(delete_item(6), delete_item(7))
    replica.write(insert_item(7, title="born again"))


def rows(replica: Replica) -> list[tuple[object, ...]]:
    return replica.query("SELECT * FROM drill_items ORDER BY id")


def test_a_snapshot_gives_an_empty_store_everything(here: Replica, there: Replica) -> None:
    fill(here)
    there.pull_snapshot(here, FILES)
    assert there.store.view() == here.store.view()
    assert rows(there) == rows(here)
    assert there.store.is_forgotten("drill_items", [row_id(6)]) == {row_id(6)}
    assert there.query("SELECT count(*) FROM _fts_drill_items WHERE _fts_drill_items MATCH 'edited'") == [(4,)]
    check_digests(there)
    there.reopen()
    assert there.store.view() == here.store.view()


def test_pages_that_come_once_more_change_nothing_and_leave_no_history(here: Replica, there: Replica) -> None:
    fill(here)
    manifest, pages = here.manifest_and_pages(FILES)
    for _ in range(2):
        for raw in pages:
            there.store.apply_page(raw, manifest, here.device_id, there.roster)
    there.store.adopt_snapshot(manifest)
    assert there.store.view() == here.store.view()
    assert there.store._parts.database.query("SELECT count(*) FROM _history") == [(0,)]


def test_a_store_that_came_by_snapshot_writes_on_and_is_understood(realm: Realm, here: Replica, there: Replica) -> None:
    fill(here)
    there.pull_snapshot(here, FILES)
    there.write("UPDATE drill_items SET tags = '[]', uses = 9 WHERE id = x'00000000000000000000000000000032'")
    here.pull(there)
    here.write(delete_item(1))
    there.pull(here)
    assert there.store.view() == here.store.view()
    assert rows(there) == rows(here)


def test_a_snapshot_joins_unsent_work_on_both_sides(realm: Realm, here: Replica, there: Replica) -> None:
    here.write(insert_item(1, title="a", tags='["both"]', uses=1), insert_item(2), insert_item(3))
    realm.exchange()
    there.write('UPDATE drill_items SET tags = \'["both","there"]\', uses = uses + 10', delete_item(2))
    here.write("UPDATE drill_items SET tags = '[\"here\"]', uses = uses + 100", delete_item(3), insert_item(4))
    there.pull_snapshot(here, FILES)
    here.pull(there)
    assert there.store.view() == here.store.view()
    for replica in realm.replicas:
        assert replica.query("SELECT id, tags, uses FROM drill_items ORDER BY id") == [
            (row_id(1), '["here","there"]', 111),
            (row_id(4), "[]", 0),
        ]


def test_pages_applied_twice_change_nothing(here: Replica, there: Replica) -> None:
    fill(here)
    manifest, pages = here.manifest_and_pages(FILES, bytes_max=1024)
    assert len(pages) > 5
    for raw in [*pages[:4], *pages[:2], *pages]:
        there.store.apply_page(raw, manifest, here.device_id, there.roster)
    there.store.adopt_snapshot(manifest)
    there.store.adopt_snapshot(manifest)
    assert there.store.view() == here.store.view()


def test_an_unfinished_snapshot_claims_nothing_and_batches_complete_it(
    realm: Realm, here: Replica, there: Replica
) -> None:
    fill(here)
    manifest, pages = here.manifest_and_pages(FILES, bytes_max=1024)
    for raw in pages[: len(pages) // 2]:
        there.store.apply_page(raw, manifest, here.device_id, there.roster)
    assert there.store.view().stream(FILES).frontier.entries == {}
    assert there.store.view().stream(FILES) != here.store.view().stream(FILES)
    realm.exchange()
    assert rows(there) == rows(here)


def test_batches_that_came_by_snapshot_are_not_in_the_log_and_the_base_says_so(here: Replica, there: Replica) -> None:
    fill(here)
    there.pull_snapshot(here, FILES)
    assert there.batches(FILES) == []
    assert there.store.log_base(FILES) == here.store.view().stream(FILES).frontier
    assert here.store.log_base(FILES).entries == {}


def test_what_is_written_while_pages_are_read_arrives_once(here: Replica, there: Replica) -> None:
    fill(here)
    manifest = here.store.snapshot_manifest(FILES)
    first = here.store.read_page(manifest, 0, None, 1024)
    here.write("UPDATE drill_items SET uses = uses + 1", insert_item(60, tags='["late"]'), delete_item(2))
    cursor, index = first.next_cursor, 1
    there.store.apply_page(first.raw, manifest, here.device_id, there.roster)
    while cursor is not None:
        page = here.store.read_page(manifest, index, cursor, 1024)
        there.store.apply_page(page.raw, manifest, here.device_id, there.roster)
        cursor, index = page.next_cursor, index + 1
    there.store.adopt_snapshot(manifest)
    there.pull(here)
    assert there.store.view() == here.store.view()
    assert rows(there) == rows(here)


def test_an_element_ahead_of_its_batch_cannot_be_removed_until_the_batch_is_there(
    here: Replica, there: Replica
) -> None:
    here.write(insert_item(1, tags='["a"]'))
    manifest, pages = here.manifest_and_pages(FILES)
    there.store.apply_page(pages[0], manifest, here.device_id, there.roster)
    with pytest.raises(ConstraintError, match="still arriving"):
        there.write("UPDATE drill_items SET tags = '[]'")
    there.store.adopt_snapshot(manifest)
    there.write("UPDATE drill_items SET tags = '[]'")
    here.pull(there)
    assert here.query("SELECT tags FROM drill_items") == [("[]",)]


def test_a_page_from_another_snapshot_sender_or_stream_is_refused(realm: Realm, here: Replica, there: Replica) -> None:
    fill(here)
    manifest, pages = here.manifest_and_pages(FILES)
    other = here.store.snapshot_manifest(FILES)
    with pytest.raises(RemoteProtocolError):
        there.store.apply_page(pages[0], other, here.device_id, there.roster)
    with pytest.raises(RemoteProtocolError):
        there.store.apply_page(pages[0], manifest, there.device_id, there.roster)
    with pytest.raises(RemoteProtocolError):
        there.store.apply_page(pages[0], here.store.snapshot_manifest(Stream.MEDIA), here.device_id, there.roster)
    assert there.store.view().streams == {}


@pytest.mark.parametrize(
    "flaw", ["far stamp", "far cell stamp", "long seq", "row twice", "other layout", "NUL", "nested"]
)
def test_a_false_page_changes_nothing_and_the_store_writes_on(here: Replica, there: Replica, flaw: str) -> None:
    forger = Forger(there)
    whole = layout_of(here, "drill_items")
    now = here.time.milliseconds << 16
    good = make_stamp(now, forger.origin, 1)
    values: dict[str, object] = {"kind": "plain", "title": "false", "body": "a\0b" if flaw == "NUL" else "fine"}
    row = encode([row_id(1), 1, *(values.get(name) for name, _ in whole)])
    layouts = [("drill_items", whole)]
    page_rows: list[PageRow] = [(0, good, row, ())]
    match flaw:
        case "far stamp":
            page_rows = [(0, make_stamp(2**64 - 1, forger.origin, 1), row, ())]
        case "far cell stamp":
            page_rows = [(0, good, row, ((3, make_stamp(2**64 - 1, forger.origin, 1)),))]
        case "long seq":
            page_rows = [(0, make_stamp(now, forger.origin, SEQUENCE_MAX + 1), row, ())]
        case "row twice":
            page_rows = [(0, good, row, ()), (0, good, row, ())]
        case "other layout":
            layouts = [("drill_items", (column("title", "max"),))]
        case "nested":
            layouts = [("drill_items", (column("tags", "set"),))]
            nested = b"\x93\xc4\x10" + row_id(1) + b"\x01" + b"\x91" * 50_000 + b"\xc0"
            page_rows = [(0, good, nested, ())]
        case _:
            pass
    manifest, raw = forger.page(layouts, page_rows)
    with pytest.raises(RemoteProtocolError):
        here.store.apply_page(raw, manifest, there.device_id, here.roster)
    assert here.store.view().streams == {}
    here.write(insert_item(2))
    assert rows(here)[0][0] == row_id(2)


def test_a_page_holds_at_most_the_bytes_asked_for_where_rows_allow_it(here: Replica) -> None:
    here.write(*(insert_item(number, body="x" * 3_000) for number in range(1, 20)))
    _, pages = here.manifest_and_pages(FILES, bytes_max=10_000)
    assert len(pages) == 7


def test_a_batch_that_a_coming_snapshot_claims_waits_for_it_and_brings_back_nothing(
    here: Replica, there: Replica
) -> None:
    here.write(insert_item(1, tags='["a"]'))
    older = here.batches(FILES)
    here.write("UPDATE drill_items SET tags = '[]'")
    manifest, pages = here.manifest_and_pages(FILES)
    there.store.apply_page(pages[0], manifest, here.device_id, there.roster)
    report = there.store.apply_batches(older, there.roster, there.time.milliseconds, {FILES})
    assert [held.raw for held in report.held] == older
    there.store.adopt_snapshot(manifest)
    assert there.receive(older).duplicates == 1
    assert there.query("SELECT tags FROM drill_items") == [("[]",)]
    assert there.store.view() == here.store.view()


def test_a_snapshot_that_nobody_sends_any_longer_is_given_up_for_batches(here: Replica, there: Replica) -> None:
    here.write(insert_item(1, tags='["a"]'))
    here.write("UPDATE drill_items SET tags = '[]'")
    manifest, pages = here.manifest_and_pages(FILES)
    there.store.apply_page(pages[0], manifest, here.device_id, there.roster)
    there.pull(here)
    assert there.store.place_snapshot(manifest) == START
    there.store.adopt_snapshot(manifest)
    assert there.store.view() == here.store.view()
    assert there.store.log_base(FILES).entries == {}


def test_a_snapshot_goes_on_after_a_restart_where_it_stopped(here: Replica, there: Replica) -> None:
    fill(here)
    manifest, pages = here.manifest_and_pages(FILES, bytes_max=1024)
    for raw in pages[:3]:
        there.store.apply_page(raw, manifest, here.device_id, there.roster)
    there.reopen()
    here.write(insert_item(60, title="written meanwhile"))
    later = here.store.snapshot_manifest(FILES)
    cursor: RowKey | None = there.store.place_snapshot(later)
    assert cursor is not None
    assert cursor != START
    index = 0
    while cursor is not None:
        page = here.store.read_page(later, index, cursor, 1024)
        there.store.apply_page(page.raw, later, here.device_id, there.roster)
        cursor, index = page.next_cursor, index + 1
    assert index == len(pages) - 3
    there.store.adopt_snapshot(later)
    # Nothing newer is claimed than what the first sender held as it began: the rest comes as batches.
    assert there.store.view().stream(FILES).frontier == manifest.frontier
    there.pull(here)
    assert there.store.view() == here.store.view()


def join_pages(receiver: Replica, sender: Replica, manifest: Manifest, cursor: RowKey, pages_max: int = 1000) -> int:
    """Join at most so many pages that follow `cursor`, and return how many there were."""
    following: RowKey | None = cursor
    index = 0
    while following is not None and index < pages_max:
        page = sender.store.read_page(manifest, index, following, 1024)
        receiver.store.apply_page(page.raw, manifest, sender.device_id, receiver.roster)
        following, index = page.next_cursor, index + 1
    return index


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Realm]:
    """Three devices: the second has written what the first does not hold, and compacted its log beyond that."""
    realm = open_realm(tmp_path, devices=3)
    first, second, _ = realm.replicas
    fill(first)
    second.pull(first)
    second.write("UPDATE drill_items SET uses = uses + 1")
    second.write(insert_item(60, title="only the second has heard of this"))
    second.write(insert_item(61, title="nor of this"))
    second.store.compact({FILES: second.store.view().stream(FILES).frontier}, 100)
    yield realm
    realm.close()


def test_every_snapshot_that_ends_brings_the_receiver_up_to_its_senders_log(three: Realm) -> None:
    first, second, newcomer = three.replicas
    begun = first.store.snapshot_manifest(FILES)
    join_pages(newcomer, first, begun, newcomer.store.place_snapshot(begun), pages_max=3)
    manifest = second.store.snapshot_manifest(FILES)
    assert not begun.frontier.covers_all(manifest.log_base)
    join_pages(newcomer, second, manifest, newcomer.store.place_snapshot(manifest))
    newcomer.store.adopt_snapshot(manifest)
    assert newcomer.store.view().stream(FILES).frontier.covers_all(second.store.log_base(FILES))
    newcomer.pull(second)
    assert newcomer.store.view() == second.store.view()


def test_the_end_of_a_snapshot_whose_pages_were_given_up_claims_nothing_for_another(three: Realm) -> None:
    first, second, newcomer = three.replicas
    overtaken = first.store.snapshot_manifest(FILES)
    join_pages(newcomer, first, overtaken, newcomer.store.place_snapshot(overtaken))
    manifest = second.store.snapshot_manifest(FILES)
    assert newcomer.store.place_snapshot(manifest) == START
    assert join_pages(newcomer, second, manifest, START, pages_max=1) == 1
    newcomer.store.adopt_snapshot(overtaken)
    assert newcomer.store.view().stream(FILES).frontier == EMPTY_FRONTIER
    join_pages(newcomer, second, manifest, newcomer.store.place_snapshot(manifest))
    newcomer.store.adopt_snapshot(manifest)
    newcomer.pull(second)
    assert newcomer.store.view() == second.store.view()


def test_the_newest_rows_come_first(here: Replica) -> None:
    fill(here)
    _, pages = here.manifest_and_pages(FILES, bytes_max=1024)
    public = here.roster.sign_public(here.device_id)
    assert public is not None
    opened = [open_page(raw, here.author.realm_id, here.device_id, public) for raw in pages]
    keys_by_page = [
        [
            RowKey(table, row[0])
            for (table, _), section in zip(page.header.layouts, page.sections, strict=True)
            for row in decode(section.as_array())
        ]
        for page in opened
    ]
    keys = [key for keys in keys_by_page for key in keys]
    assert keys == sorted(keys, key=lambda key: (key.table, -int.from_bytes(key.row_id, "big")))
    assert [page.header.after for page in opened[1:]] == [keys[-1] for keys in keys_by_page[:-1]]


def test_a_page_may_end_with_the_last_row_of_a_table(here: Replica, there: Replica) -> None:
    here.write(insert_item(1), "INSERT INTO drill_folders (name) VALUES ('a folder')")
    for bytes_max in (1, 200):
        there.pull_snapshot(here, FILES, bytes_max)
    assert there.store.view() == here.store.view()
    _, pages = here.manifest_and_pages(FILES, bytes_max=1)
    assert len(pages) == 2


def test_a_page_that_leaves_out_rows_or_turns_their_order_round_is_refused(here: Replica, there: Replica) -> None:
    fill(here)
    manifest, pages = here.manifest_and_pages(FILES, bytes_max=1024)
    with pytest.raises(RemoteProtocolError, match="leaves out"):
        there.store.apply_page(pages[1], manifest, here.device_id, there.roster)
    forger = Forger(there)
    whole = layout_of(here, "drill_items")
    stamp = make_stamp(here.time.milliseconds << 16, forger.origin, 1)
    rows_upwards: list[PageRow] = [
        (0, stamp, encode([row_id(number), 1, *({"kind": "plain"}.get(name) for name, _ in whole)]), ())
        for number in (1, 2)
    ]
    _, raw = forger.page([("drill_items", whole)], rows_upwards)
    manifest, _ = forger.page([], [])
    with pytest.raises(RemoteProtocolError):
        here.store.apply_page(raw, manifest, there.device_id, here.roster)
    assert there.store.view().streams == {}

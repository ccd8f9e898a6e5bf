"""Compaction drops batches that everyone holds and nothing else: rows, tombstones, heads and sync stay as they were."""

from sync.frontier import Frontier, FrontierEntry
from sync.streams import Stream
from tests.support.realm import Realm, Replica, check_digests, delete_item, insert_item, row_id

FILES = Stream.FILES
ALL = 2**20


def stable_of(*replicas: Replica) -> dict[Stream, Frontier]:
    """Return what all replicas hold."""
    first, *others = (replica.store.view().stream(FILES).frontier for replica in replicas)
    for other in others:
        first = first.meet(other)
    return {FILES: first}


def write_much(here: Replica, there: Replica) -> None:
    for number in range(1, 11):
        here.write(insert_item(number, title=f"item {number}"))
    here.write(delete_item(3))
    there.pull(here)
    there.write("UPDATE drill_items SET title = 'edited there'")
    here.pull(there)


def test_what_all_hold_leaves_the_log_and_everything_else_stays(here: Replica, there: Replica) -> None:
    write_much(here, there)
    before, rows = here.store.view(), here.query("SELECT * FROM drill_items ORDER BY id")
    assert here.store.compact(stable_of(here, there), ALL) == 10
    assert len(here.batches(FILES, here.store.log_base(FILES))) == 2
    assert here.store.view() == before
    assert here.query("SELECT * FROM drill_items ORDER BY id") == rows
    assert here.store.is_forgotten("drill_items", [row_id(3)]) == {row_id(3)}
    check_digests(here)
    here.reopen()
    assert here.store.view() == before
    assert here.store.compact(stable_of(here, there), ALL) == 0


def test_what_one_device_lacks_stays(here: Replica, there: Replica) -> None:
    write_much(here, there)
    stable = stable_of(here, there)
    here.write(insert_item(20), insert_item(21))
    here.write(insert_item(22))
    here.store.compact(stable, ALL)
    there.pull(here)
    assert there.store.view() == here.store.view()


def test_it_goes_on_in_pieces_and_the_base_says_how_far_it_came(here: Replica, there: Replica) -> None:
    write_much(here, there)
    stable = stable_of(here, there)
    bases = []
    while here.store.compact(stable, 3) == 3:
        bases.append(here.store.log_base(FILES).entry(here.store.origin).seq)
    assert bases == [3, 6, 9]
    assert here.store.log_base(FILES).entry(here.store.origin).seq == 10


def test_the_base_names_the_batch_that_the_log_goes_on_from(here: Replica, there: Replica) -> None:
    write_much(here, there)
    hash_by_seq = {stored.seq: stored.hash for stored in here.store.read_batches(FILES, Frontier(), ALL)}
    here.store.compact(stable_of(here, there), 4)
    assert here.store.log_base(FILES).entry(here.store.origin) == FrontierEntry(4, hash_by_seq[4][:8])


def test_a_device_that_lies_behind_the_log_comes_back_by_snapshot_with_its_own_work(realm: Realm) -> None:
    here, there = realm.replicas
    here.write(insert_item(1, tags='["a"]'), insert_item(2))
    realm.exchange()
    there.write("UPDATE drill_items SET title = 'written while away'", insert_item(30))
    for number in range(3, 9):
        here.write(insert_item(number))
    here.write(delete_item(2), "UPDATE drill_items SET tags = '[]'")
    # It was not heard of for long, so nobody waited for it.
    here.store.compact(stable_of(here), ALL)
    away = there.store.view().stream(FILES).frontier
    assert not away.covers_all(here.store.log_base(FILES))
    there.pull_snapshot(here, FILES)
    realm.exchange()
    assert here.query("SELECT tags FROM drill_items WHERE title = 'written while away'") == [("[]",)]
    assert here.store.is_forgotten("drill_items", [row_id(2)]) == {row_id(2)}


def test_a_frontier_that_claims_what_is_not_held_drops_nothing_more(here: Replica, there: Replica) -> None:
    write_much(here, there)
    origin = here.store.origin
    here.store.compact({FILES: Frontier({origin: FrontierEntry(2**31 - 1, bytes(8))})}, ALL)
    assert here.store.read_batches(FILES, here.store.log_base(FILES), ALL)[0].seq == 11


def test_a_chain_of_which_others_hold_another_version_is_kept_whole(here: Replica, there: Replica) -> None:
    write_much(here, there)
    origin, at = here.store.origin, here.store.view().stream(FILES).frontier.entry(here.store.origin)
    other_version = {FILES: Frontier({origin: FrontierEntry(at.seq - 1, b"another!")})}
    assert here.store.compact(other_version, ALL) == 0
    assert len(here.batches(FILES)) == 12

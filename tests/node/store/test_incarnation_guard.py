"""A store that was restored, copied or cloned goes on under a new incarnation; one that only went on does not."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from crdt.identifiers import origin_device
from node.store import incarnation_guard
from node.store.incarnation_mark import MARK_BYTES, MarkFile, mark_path
from node.store.incarnations import Cause
from node.store.opening import StoreOptions
from node.store.whereabouts import Whereabouts, locate
from sync.streams import Stream
from tests.support.realm import KEY, Realm, Replica, insert_item

Put = Callable[[Path, Path], object]


def back_up(replica: Replica, folder: Path) -> Path:
    """Copy a closed store and its mark into `folder`; return the store's copy."""
    folder.mkdir()
    shutil.copy(mark_path(replica.path), folder)
    return Path(shutil.copy(replica.path, folder))


def overwrite(backup: Path, path: Path) -> None:
    """Put a backup's bytes into the file that is there, which stays the same file."""
    path.write_bytes(backup.read_bytes())


def cause_after(replica: Replica) -> Cause:
    """Open the store and return why its present incarnation was minted."""
    replica.store = replica.open(replica.path)
    return replica.store.last_minted().cause


@pytest.fixture
def written(here: Replica, tmp_path: Path) -> Path:
    """A backup of `here` as it was before its last write; the store itself is closed."""
    here.write(insert_item(1, title="before"))
    here.store.close()
    backup = back_up(here, tmp_path / "backup")
    here.store = here.open(here.path)
    here.write(insert_item(2, title="after"))
    here.store.close()
    return backup


def test_a_store_that_only_went_on_keeps_its_incarnation(here: Replica) -> None:
    origin = here.store.origin
    for number in range(3):
        here.reopen()
        here.write(insert_item(number))
        assert here.store.origin == origin
    here.reopen()
    assert (here.store.origin, here.store.last_minted().cause) == (origin, Cause.CREATED)
    assert here.store.last_minted().sentence is None


def test_a_moved_home_keeps_its_incarnation(here: Replica, tmp_path: Path) -> None:
    here.write(insert_item(1))
    origin = here.store.origin
    here.store.close()
    moved = tmp_path / "moved"
    moved.mkdir()
    for path in (here.path, mark_path(here.path)):
        path.rename(moved / path.name)
    here.path = moved / here.path.name
    here.store = here.open(here.path)
    assert here.store.origin == origin


def test_an_older_copy_written_over_the_store_is_noticed(here: Replica, written: Path) -> None:
    overwrite(written, here.path)
    assert cause_after(here) is Cause.WENT_BACK
    assert "put back" in (here.store.last_minted().sentence or "")


def test_an_older_copy_put_in_the_place_of_the_store_is_noticed(here: Replica, written: Path) -> None:
    shutil.copy(written, here.path.with_suffix(".restored"))
    here.path.with_suffix(".restored").rename(here.path)
    assert cause_after(here) is Cause.WENT_BACK


def test_a_whole_home_restored_with_its_mark_is_noticed_by_the_file(here: Replica, written: Path) -> None:
    here.path.unlink()
    shutil.copy(written, here.path)
    overwrite(mark_path(written), mark_path(here.path))
    assert cause_after(here) is Cause.COPIED


def test_a_store_without_its_mark_is_taken_for_restored(here: Replica, written: Path) -> None:
    mark_path(here.path).unlink()
    assert cause_after(here) is Cause.MARK_LOST


@pytest.mark.parametrize("damage", [lambda raw: raw[:-1], lambda raw: raw[:20] + b"?" + raw[21:], lambda raw: b""])
def test_a_damaged_mark_is_taken_for_none(here: Replica, written: Path, damage: Callable[[bytes], bytes]) -> None:
    mark = mark_path(here.path)
    mark.write_bytes(damage(mark.read_bytes()))
    assert cause_after(here) is Cause.MARK_LOST


def test_a_clone_on_another_machine_is_noticed_and_the_original_is_not_disturbed(
    here: Replica, there: Replica, tmp_path: Path
) -> None:
    here.write(insert_item(1, title="shared"))
    origin = here.store.origin
    here.store.close()
    there.options = StoreOptions(locate=lambda path: Whereabouts(b"another machine", locate(here.path).file))
    there.author, there.seed = here.author, 77
    there.store.close()
    for source, target in ((here.path, there.path), (mark_path(here.path), mark_path(there.path))):
        overwrite(source, target)
    assert cause_after(there) is Cause.OTHER_MACHINE
    here.store = here.open(here.path)
    assert here.store.origin == origin != there.store.origin
    assert origin_device(there.store.origin) == origin_device(origin)


def test_what_a_restored_store_writes_never_takes_a_number_that_a_peer_has_seen(
    realm: Realm, here: Replica, there: Replica, written: Path
) -> None:
    here.store = here.open(here.path)
    there.pull(here)
    here.store.close()
    overwrite(written, here.path)
    here.store = here.open(here.path)
    here.write(insert_item(3, title="restored"))
    realm.exchange()
    titles = [("before",), ("after",), ("restored",)]
    for replica in realm.replicas:
        assert replica.query("SELECT title FROM drill_items ORDER BY id") == titles


def test_without_the_guard_the_same_story_ends_in_a_fork(
    here: Replica, there: Replica, written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planted bug: a guard that sees nothing."""
    monkeypatch.setattr(incarnation_guard.IncarnationGuard, "_judge", lambda self, present, earlier: None)
    here.store = here.open(here.path)
    there.pull(here)
    here.store.close()
    overwrite(written, here.path)
    here.store = here.open(here.path)
    here.write(insert_item(3, title="restored"))
    report = there.receive(here.batches(Stream.FILES))
    assert [refused.seq for refused in report.refused] == [2]


def test_a_mark_of_an_incarnation_left_behind_only_lags(here: Replica, written: Path) -> None:
    """The machine stopped after a new incarnation was committed and before its mark was written."""
    before = mark_path(here.path).read_bytes()
    overwrite(written, here.path)
    assert cause_after(here) is Cause.WENT_BACK
    origin = here.store.origin
    here.store.close()
    mark_path(here.path).write_bytes(before)
    here.store = here.open(here.path)
    assert here.store.origin == origin


def test_a_mark_that_lags_behind_the_store_is_no_finding(here: Replica) -> None:
    origin = here.store.origin
    here.write(insert_item(1))
    lagging = mark_path(here.path).read_bytes()
    here.write(insert_item(2))
    here.store.close()
    mark_path(here.path).write_bytes(lagging)
    here.store = here.open(here.path)
    assert here.store.origin == origin


def test_a_mark_that_cannot_be_written_stops_no_commit(here: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(MarkFile, "rewrite", fail)
    here.write(insert_item(1))
    here.write(insert_item(2))
    assert here.query("SELECT count(*) FROM drill_items") == [(2,)]


def test_the_mark_has_one_length_and_shows_neither_machine_nor_file(here: Replica) -> None:
    here.write(insert_item(1))
    raw = mark_path(here.path).read_bytes()
    place = locate(here.path)
    assert len(raw) == MARK_BYTES < 512
    assert place.machine not in raw
    assert place.file not in raw
    assert KEY not in raw


def test_a_mark_under_another_key_is_none(here: Replica) -> None:
    with pytest.raises(ValueError, match="another store"):
        MarkFile(here.path, bytes(32)).read()


def test_a_store_whose_last_write_the_disk_lost_is_noticed(here: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that lied about a flush leaves the mark one write ahead of the store."""
    origin = here.store.origin
    here.write(insert_item(1))
    ahead = incarnation_guard.IncarnationGuard.committed
    monkeypatch.setattr(
        incarnation_guard.IncarnationGuard,
        "committed",
        lambda self, heads: ahead(self, {s: h._replace(seq=h.seq + 1) for s, h in heads.items()}),
    )
    here.write(insert_item(2))
    here.reopen()
    assert here.store.origin != origin

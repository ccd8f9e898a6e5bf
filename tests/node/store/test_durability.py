"""What is committed survives a kill and a restart, under the right key alone, and nothing on disk is readable."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from node.errors import NewerStoreError, StorageError, WrongKeyError
from node.store.opening import create_store
from node.store.schema import Column, Component, Migration
from simulations.workloads.component import DRILL
from sync.streams import Stream
from tests.support.realm import KEY, Realm, Replica, check_digests, delete_item, insert_item, row_id

CANARY = "canary-7f3a-quokka"


def abandon(replica: Replica, folder: Path) -> Replica:
    """Return the replica that a machine would find after this one's process was killed: a copy of its files now."""
    folder.mkdir()
    for file in replica.path.parent.glob(f"{replica.path.name}*"):
        if not file.name.endswith("-shm"):
            shutil.copy(file, folder / file.name)
    return Replica(
        path=folder / replica.path.name,
        author=replica.author,
        roster=replica.roster,
        time=replica.time,
        components=replica.components,
        seed=replica.seed,
    )


def test_frontier_digest_and_rows_are_the_same_after_reopening(realm: Realm, here: Replica, there: Replica) -> None:
    here.write(insert_item(1, title="a", tags='["x"]', uses=3), insert_item(2))
    here.write(delete_item(2))
    realm.exchange()
    there.write("UPDATE drill_items SET uses = uses + 1")
    realm.exchange()
    for replica in realm.replicas:
        before = (replica.store.view(), replica.store.origin, replica.query("SELECT * FROM drill_items"))
        replica.reopen()
        assert (replica.store.view(), replica.store.origin, replica.query("SELECT * FROM drill_items")) == before
        check_digests(replica)
        replica.write("UPDATE drill_items SET title = title || '!'")
    realm.exchange()


def test_stamps_keep_growing_over_a_restart_with_a_clock_set_back(here: Replica) -> None:
    here.write(insert_item(1, title="a"))
    here.offset_milliseconds = -(365 * 86_400_000)
    here.reopen()
    here.write("UPDATE drill_items SET title = 'b'")
    here.write("UPDATE drill_items SET title = 'c'")
    fresh = Replica(
        path=here.path.with_name("fresh.db"),
        author=here.author,
        roster=here.roster,
        time=here.time,
        components=here.components,
        seed=5,
    )
    assert fresh.receive(here.batches(Stream.FILES)[::1]).applied == 3
    assert fresh.query("SELECT title FROM drill_items") == [("c",)]
    fresh.store.close()


def test_a_killed_process_leaves_every_committed_transaction_and_nothing_of_an_open_one(
    here: Replica, tmp_path: Path
) -> None:
    here.write(insert_item(1, title="kept"))
    before = here.store.view()
    with here.store.transaction() as transaction:
        transaction.execute(*insert_item(2))
        found = abandon(here, tmp_path / "killed")
        assert found.store.view() == before
        assert found.query("SELECT title FROM drill_items") == [("kept",)]
        check_digests(found)
        found.write(insert_item(3))
        found.store.close()
    found = abandon(here, tmp_path / "later")
    assert found.query("SELECT id FROM drill_items ORDER BY id") == [(row_id(1),), (row_id(2),)]
    found.store.close()


def test_a_wrong_key_is_refused_and_the_store_unharmed(here: Replica) -> None:
    here.write(insert_item(1))
    here.store.close()
    before = here.path.read_bytes()
    with pytest.raises(WrongKeyError):
        here.open(here.path, key=bytes(32))
    assert here.path.read_bytes() == before
    here.store = here.open(here.path)
    assert here.query("SELECT count(*) FROM drill_items") == [(1,)]


@pytest.mark.parametrize("key", [b"", b"short", KEY + b"\0", KEY[:31]])
def test_a_key_of_another_length_is_refused_before_a_file_is_made(here: Replica, tmp_path: Path, key: bytes) -> None:
    path = tmp_path / "unkeyed.db"
    with pytest.raises(StorageError, match="32 random bytes"):
        here.open(path, key=key)
    assert not path.exists()


def test_creating_over_a_store_is_refused(here: Replica) -> None:
    here.write(insert_item(1))
    with pytest.raises(StorageError, match="already"):
        create_store(
            here.path,
            key=KEY,
            author=here.author,
            components=here.components,
            clock=here.store._clock,
            entropy=here.store._entropy,
        )
    assert here.query("SELECT count(*) FROM drill_items") == [(1,)]


def test_a_store_of_another_device_is_refused(here: Replica, there: Replica) -> None:
    here.store.close()
    stolen = replace_author(here, there)
    with pytest.raises(StorageError, match="another device"):
        stolen.open(here.path)
    here.store = here.open(here.path)


def replace_author(replica: Replica, other: Replica) -> Replica:
    mixed = Replica.__new__(Replica)
    for name in ("path", "roster", "time", "components", "seed", "options", "offset_milliseconds", "times_opened"):
        setattr(mixed, name, getattr(replica, name))
    mixed.author = other.author
    return mixed


def test_nothing_of_a_person_stands_readable_on_disk(realm: Realm, here: Replica, there: Replica) -> None:
    here.write(insert_item(1, title=CANARY, body=CANARY, tags=f'["{CANARY}"]', payload=CANARY.encode()))
    realm.exchange()
    there.write(f"UPDATE drill_items SET body = '{CANARY} again'")
    realm.exchange()
    here.write(delete_item(1))
    files = [file for file in here.path.parent.rglob("*") if file.is_file()]
    assert {file.suffix for file in files} >= {".db", ".db-wal"}
    for stage in ("open", "checkpointed"):
        for file in files:
            if file.exists():
                content = file.read_bytes().lower()
                for trace in (CANARY.encode(), CANARY.encode("utf-16-le"), b"drill_items", b"create table"):
                    assert trace not in content, f"{trace!r} in {file.name} while {stage}"
        for replica in realm.replicas:
            replica.store.checkpoint()


def versioned(version: int, *, extra: str | None = None, migration: bool = False) -> Component:
    """Return the drill component as another version of the program would declare it."""
    items = DRILL.tables[1]
    columns = items.columns if extra is None else (*items.columns, Column(name=extra, type="TEXT", strategy="lww"))
    up = (f"ALTER TABLE drill_items ADD COLUMN {extra} TEXT",)
    steps = (Migration(version=version, description="one more column", up=up, down=()),) if migration else ()
    tables = tuple(replace(table, columns=columns) if table is items else table for table in DRILL.tables)
    return replace(DRILL, version=version, tables=tables, migrations=steps)


OTHER = Component(
    name="other", version=1, kind="core", priority=1, tables=(replace(DRILL.tables[0], name="others", references=()),)
)


def test_a_store_of_a_newer_schema_is_refused_untouched(here: Replica) -> None:
    here.write(insert_item(1))
    here.components = (versioned(2),)
    here.reopen()
    tables = here.query("SELECT name FROM sqlite_master ORDER BY name")
    here.components = (OTHER, DRILL)
    with pytest.raises(NewerStoreError, match="newer"):
        here.reopen()
    here.components = (versioned(2),)
    here.store = here.open(here.path)
    assert here.query("SELECT name FROM sqlite_master ORDER BY name") == tables


def test_a_declaration_changed_without_a_new_version_is_refused(here: Replica) -> None:
    here.components = (versioned(1, extra="mood"),)
    with pytest.raises(StorageError, match="without a new version"):
        here.reopen()
    here.components = (DRILL,)
    here.store = here.open(here.path)


def test_a_migration_that_does_not_lead_to_the_declaration_is_undone(here: Replica) -> None:
    here.components = (versioned(2, extra="mood"),)
    with pytest.raises(StorageError, match="not what"):
        here.reopen()
    here.components = (DRILL,)
    here.store = here.open(here.path)
    assert here.query("SELECT version FROM _component") == [(1,)]


def test_rows_written_before_a_migration_agree_with_those_that_arrive_after_it(
    realm: Realm, here: Replica, there: Replica
) -> None:
    here.write(insert_item(1, title="plain"), insert_item(2, title="edited", tags='["x"]'), insert_item(3))
    here.write("UPDATE drill_items SET body = 'later' WHERE title = 'edited'", delete_item(3))
    third = Replica(
        path=here.path.with_name("third.db"),
        author=there.author,
        roster=there.roster,
        time=there.time,
        components=(versioned(2, extra="mood", migration=True),),
        seed=3,
    )
    for replica in (here, there):
        replica.components = third.components
        replica.reopen()
    there.pull(here)
    third.pull_snapshot(here, Stream.FILES)
    there.write("UPDATE drill_items SET title = 'new'", insert_item(4))
    there.write("UPDATE drill_items SET mood = 'calm' WHERE id = x'00000000000000000000000000000002'")
    for replica in (here, third):
        replica.pull(there)
        assert replica.store.view() == there.store.view()
        assert replica.query("SELECT mood FROM drill_items ORDER BY id") == [(None,), ("calm",), (None,)]
    third.store.close()


def test_a_migration_brings_its_column_and_is_noted(here: Replica) -> None:
    here.write(insert_item(1, title="before"))
    here.components = (versioned(2, extra="mood", migration=True),)
    here.reopen()
    here.write("UPDATE drill_items SET mood = 'calm'")
    assert here.query("SELECT title, mood FROM drill_items") == [("before", "calm")]
    history = here.query("SELECT version, description FROM _migration_history ORDER BY number")
    assert history == [(1, "created"), (2, "one more column")]


def test_a_kill_while_a_store_is_made_leaves_nothing_in_the_way(here: Replica) -> None:
    path = here.path.with_name("begun.db")
    path.with_name("begun.db.new").write_bytes(b"half a store")
    here.open(path).close()
    assert sorted(file.name for file in path.parent.glob("begun.db*")) == ["begun.db", "begun.db.mark"]


def test_a_subscriber_that_fails_does_not_fail_the_commit_before_it(
    here: Replica, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_notice: object) -> None:
        raise RuntimeError("a broken listener")

    here.store.subscribe(fail)
    here.write(insert_item(1, title="kept"))
    assert here.query("SELECT title FROM drill_items") == [("kept",)]
    assert "a subscriber to commits failed" in caplog.text

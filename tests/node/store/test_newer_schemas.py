"""Two versions of a schema in one realm: what the older does not know it merges, forwards, and shows once updated."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.errors import ConstraintError
from node.store.schema import Column, Component, Migration, Reference, Table
from simulations.workloads.component import DRILL
from sync.streams import Stream
from tests.node.store.test_references import comment, delete, ids, item
from tests.support.forgery import Forger, column
from tests.support.realm import Realm, Replica, check_digests, open_realm, row_id

_NEW_COLUMNS = (
    Column(name="mood", type="TEXT", strategy="lww", default="'calm'"),
    Column(name="votes", type="INTEGER", strategy="counter", default="0"),
    Column(name="words", type="TEXT", strategy="set", default="'[]'"),
    Column(name="peak", type="REAL", strategy="max"),
    Column(name="shelf_id", type="BLOB", strategy="lww"),
    Column(name="story", type="TEXT", strategy="text", default="''"),
    Column(name="facts", type="TEXT", strategy="document"),
    Column(name="first", type="INTEGER", strategy="min"),
)
_SHELVES = Table(
    name="drill_shelves",
    stream=Stream.FILES,
    columns=(
        Column(name="label", type="TEXT", strategy="lww", default="''"),
        Column(name="item_id", type="BLOB", strategy="immutable"),
        Column(name="marks", type="TEXT", strategy="set", default="'[]'"),
        Column(name="uses", type="INTEGER", strategy="counter", default="0"),
    ),
    references=(Reference(column="item_id", table="drill_items", on_delete="cascade"),),
    indexes=("CREATE INDEX drill_shelves_by_item ON drill_shelves (item_id)",),
    full_text=("label",),
)


def _newer(table: Table) -> Table:
    if table.name != "drill_items":
        return table
    reference = Reference(column="shelf_id", table="drill_shelves", on_delete="set_null")
    return replace(table, columns=(*table.columns, *_NEW_COLUMNS), references=(*table.references, reference))


NEWER = replace(
    DRILL,
    version=2,
    tables=(*map(_newer, DRILL.tables), _SHELVES),
    migrations=(
        Migration(
            version=2,
            description="moods, votes, words and shelves",
            up=tuple(
                f"ALTER TABLE drill_items ADD COLUMN {column.name} {column.type}"
                + ("" if column.default is None else f" NOT NULL DEFAULT {column.default}")
                for column in _NEW_COLUMNS
            ),
            down=tuple(f"ALTER TABLE drill_items DROP COLUMN {column.name}" for column in _NEW_COLUMNS),
        ),
    ),
)


def update(replica: Replica, component: Component = NEWER) -> None:
    """Open a store with another version of the program."""
    replica.components = (component,)
    replica.store.close()
    replica.store = replica.open(replica.path)


def shelf(number: int, of: int, label: str = "oak shelf") -> tuple[str, list[object]]:
    sql = "INSERT INTO drill_shelves (id, item_id, label, marks, uses) VALUES (?, ?, ?, '[\"dusty\"]', 3)"
    return sql, [row_id(number), row_id(of), label]


def shown(replica: Replica) -> list[list[tuple[object, ...]]]:
    """Return all that a person sees of the tables that differ between the versions."""
    items = ", ".join(column.name for column in _newer(DRILL.tables[1]).columns)
    return [
        replica.query(f"SELECT id, {items} FROM drill_items ORDER BY id"),
        replica.query("SELECT id, label, item_id, marks, uses FROM drill_shelves ORDER BY id"),
    ]


@pytest.fixture
def realm(tmp_path: Path) -> Realm:
    """A device that was updated first, two that were not, and one more that holds nothing yet."""
    opened = open_realm(tmp_path, devices=4)
    opened.replicas[0].write(item(1), item(2))
    for replica in opened.replicas[1:3]:
        replica.pull(opened.replicas[0])
    update(opened.replicas[0])
    return opened


def test_an_older_device_holds_the_same_as_a_newer_one_and_shows_it_after_its_update(realm: Realm) -> None:
    newer, older, late, fresh = realm.replicas
    newer.write(
        (
            "UPDATE drill_items SET mood = 'glad', votes = votes + 4, words = '[\"new\"]', peak = 2.5 WHERE id = ?",
            [row_id(1)],
        ),
        (
            "INSERT INTO drill_items (id, title, mood, words) VALUES (?, 'born new', 'keen', '[\"a\",\"b\"]')",
            [row_id(3)],
        ),
        shelf(10, 1),
        shelf(11, 3, "elm shelf"),
        ("UPDATE drill_items SET shelf_id = ? WHERE id = ?", [row_id(11), row_id(1)]),
    )
    older.pull(newer)
    older.write(("UPDATE drill_items SET title = 'by the older' WHERE id = ?", [row_id(1)]), item(4))
    newer.pull(older)
    newer.write(
        ("UPDATE drill_shelves SET label = 'ash shelf', uses = uses + 2 WHERE id = ?", [row_id(10)]),
        delete("drill_shelves", 11),
    )
    realm.exchange()
    late.store.close()
    late.store = late.open(late.path)
    assert older.query("SELECT title FROM drill_items WHERE id = ?", row_id(3)) == [("born new",)]
    before = [replica.store.view() for replica in realm.replicas]
    for replica in (older, late, fresh):
        update(replica)
    assert [replica.store.view() for replica in realm.replicas] == before, "an update changes no digest"
    for replica in realm.replicas:
        check_digests(replica)
        assert shown(replica) == shown(newer)
        found = replica.query("SELECT rowid FROM _fts_drill_shelves WHERE _fts_drill_shelves MATCH 'ash'")
        assert len(found) == 1
    assert newer.query("SELECT mood, votes, title FROM drill_items WHERE id = ?", row_id(1)) == [
        ("glad", 4, "by the older")
    ]
    older.write(("UPDATE drill_items SET votes = votes + 1, words = '[\"newer\"]' WHERE id = ?", [row_id(1)]))
    realm.exchange()
    assert shown(newer) == shown(older)


def test_an_older_device_forwards_what_it_does_not_know_by_batch_and_by_snapshot(realm: Realm) -> None:
    newer, older, late, fresh = realm.replicas
    newer.write(shelf(10, 1), ("UPDATE drill_items SET words = '[\"x\"]', votes = 2 WHERE id = ?", [row_id(2)]))
    older.pull(newer)
    update(late)
    late.pull(older)
    assert shown(late) == shown(newer)
    fresh.pull_snapshot(older, Stream.FILES, bytes_max=200)
    fresh.pull_snapshot(newer, Stream.FILES, bytes_max=200)
    assert fresh.store.view() == newer.store.view()
    update(fresh)
    assert shown(fresh) == shown(newer)
    assert fresh.store.view() == newer.store.view()


def test_a_delete_on_the_older_device_takes_the_unknown_part_along(realm: Realm) -> None:
    newer, older, *_ = realm.replicas
    newer.write(("UPDATE drill_items SET mood = 'glad' WHERE id = ?", [row_id(1)]), shelf(10, 1))
    older.pull(newer)
    older.write(delete("drill_items", 1))
    realm.exchange()
    assert ids(newer, "drill_shelves") == []
    update(older)
    for replica in (newer, older):
        assert ids(replica, "drill_items") == [(row_id(2),)]
        assert ids(replica, "drill_shelves") == []
        check_digests(replica)


def test_concurrent_values_of_an_unknown_column_merge_on_the_older_device(realm: Realm) -> None:
    newer, older, other, _ = realm.replicas
    update(other)
    newer.write(("UPDATE drill_items SET mood = 'glad', votes = 1, words = '[\"a\"]', peak = 1.5", []))
    other.write(("UPDATE drill_items SET mood = 'sad', votes = 2, words = '[\"b\"]', peak = 0.5", []))
    newer.write(("UPDATE drill_items SET story = 'of a fox', facts = '{\"a\":1}'", []))
    other.write(("UPDATE drill_items SET story = 'once', facts = '{\"b\":2}'", []))
    older.pull(newer)
    older.pull(other)
    older.pull(newer)
    newer.pull(other)
    assert older.store.view() == newer.store.view()
    update(older)
    assert shown(older) == shown(newer)
    assert newer.query("SELECT DISTINCT mood, votes, words, peak FROM drill_items") == [("sad", 3, '["a","b"]', 1.5)]
    assert older.query("SELECT DISTINCT facts FROM drill_items") == [('{"a":1,"b":2}',)]
    told = older.query("SELECT story FROM drill_items LIMIT 1")[0][0]
    assert "of a fox" in str(told)
    assert "once" in str(told)


def test_orphans_of_a_table_that_was_unknown_go_out_of_sight_with_the_update(realm: Realm) -> None:
    newer, older, other, _ = realm.replicas
    older.write(delete("drill_items", 1))
    newer.write(shelf(10, 1))
    other.pull(older)
    other.pull(newer)
    update(other)
    assert ids(other, "drill_shelves") == []
    other.write(item(1))
    assert ids(other, "drill_shelves") == [(row_id(10),)]


def test_an_update_that_was_cut_off_is_made_good_at_the_next_start(
    realm: Realm, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer, older, *_ = realm.replicas
    newer.write(shelf(10, 1), ("UPDATE drill_items SET mood = 'glad'", []))
    older.pull(newer)
    with monkeypatch.context() as patched:
        patched.setattr("node.store.store.adopt", _killed)
        with pytest.raises(KeyboardInterrupt):
            update(older)
    older.store = older.open(older.path)
    assert shown(older) == shown(newer)


def _killed(*arguments: object) -> int:
    raise KeyboardInterrupt


def test_a_column_that_an_update_merges_otherwise_stays_as_it_came_and_the_log_tells(
    realm: Realm, caplog: pytest.LogCaptureFixture
) -> None:
    newer, older, *_ = realm.replicas
    newer.write(("UPDATE drill_items SET mood = 'glad'", []))
    older.pull(newer)
    items = NEWER.tables[1]
    columns = tuple(replace(column, strategy="max") if column.name == "mood" else column for column in items.columns)
    otherwise = replace(NEWER, tables=(NEWER.tables[0], replace(items, columns=columns), *NEWER.tables[2:]))
    update(older, otherwise)
    assert "do not fit a column" in caplog.text
    assert older.store.view() == newer.store.view()
    assert older.query("SELECT DISTINCT mood FROM drill_items") == [("calm",)]
    older.write("UPDATE drill_items SET title = 'of the other version'")
    check_digests(older)
    newer.pull(older)
    assert older.store.view() == newer.store.view()


@pytest.mark.parametrize(
    ("name", "strategy", "forged", "default"),
    [
        ("mood", "lww", 7, "calm"),
        ("mood", "lww", None, "calm"),
        ("mood", "max", "7", "calm"),
        ("peak", "max", "high", None),
        ("shelf_id", "lww", 1.5, None),
        ("first", "min", b"1", None),
        ("votes", "lww", 9, 0),
        ("story", "document", '{"a":1}', ""),
    ],
)
def test_a_member_that_writes_what_a_later_column_cannot_hold_does_not_keep_others_from_their_update(
    realm: Realm, name: str, strategy: str, forged: object, default: object
) -> None:
    newer, older, other, _ = realm.replicas
    forger = Forger(newer)
    raw = forger.batch([forger.change("drill_items", [column(name, strategy)], row_id(1), 1, forged)])
    for replica in (older, other):
        assert replica.receive([raw]).applied == 1
        view = replica.store.view()
        update(replica)
        assert replica.store.view() == view
        assert replica.query(f"SELECT {name} FROM drill_items WHERE id = ?", row_id(1)) == [(default,)]
        check_digests(replica)
    older.write("UPDATE drill_items SET title = 'still here'", "UPDATE drill_items SET size = 7")
    older.write(("UPDATE drill_items SET mood = 'glad', votes = votes + 1 WHERE id = ?", [row_id(2)]))
    other.pull(older)
    assert other.store.view() == older.store.view()
    assert shown(other) == shown(older)
    older.reopen()
    check_digests(older)
    with suppress(ConstraintError):
        # Of what merges otherwise a sentence tells; whatever is of the column's own strategy can be written again.
        older.write((f"UPDATE drill_items SET {name} = ? WHERE id = ?", [_WRITTEN[name], row_id(1)]))
    check_digests(older)
    older.write(delete("drill_items", 1))
    other.pull(older)
    assert other.store.view() == older.store.view()
    check_digests(other)


_WRITTEN = {"mood": "mine", "peak": 3.5, "shelf_id": None, "first": 1, "votes": 4, "story": "mine"}


def test_a_device_that_skipped_the_version_that_added_a_table_takes_the_later_changes_of_that_table(
    realm: Realm,
) -> None:
    colour = Column(name="colour", type="TEXT", strategy="lww")
    shelves = replace(
        _SHELVES,
        columns=(*_SHELVES.columns, colour),
        indexes=(*_SHELVES.indexes, "CREATE INDEX drill_shelves_by_colour ON drill_shelves (colour)"),
    )
    up = ("ALTER TABLE drill_shelves ADD COLUMN colour TEXT", shelves.indexes[-1])
    step = Migration(version=3, description="colours", up=up, down=())
    newest = replace(NEWER, version=3, tables=(*NEWER.tables[:-1], shelves), migrations=(*NEWER.migrations, step))
    newer, older, never_heard, _ = realm.replicas
    update(newer, newest)
    newer.write(shelf(10, 1), "UPDATE drill_shelves SET colour = 'red'")
    older.pull(newer)
    for replica in (older, never_heard):
        update(replica, newest)
        replica.pull(newer)
        assert replica.query("SELECT label, colour FROM drill_shelves") == [("oak shelf", "red")]
    assert older.store.view() == newer.store.view()


def test_a_comment_still_finds_its_place_beside_rows_of_two_versions(realm: Realm) -> None:
    newer, older, *_ = realm.replicas
    newer.write(("INSERT INTO drill_items (id, mood) VALUES (?, 'keen')", [row_id(3)]))
    older.pull(newer)
    older.write(comment(5, 3))
    newer.pull(older)
    newer.write(delete("drill_items", 3))
    realm.exchange()
    for replica in realm.replicas:
        assert ids(replica, "drill_comments") == []


_STEPS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 11)), min_size=6, max_size=30)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(steps=_STEPS)
def test_whenever_each_device_is_updated_all_come_to_hold_and_show_the_same(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int]]
) -> None:
    realm = open_realm(tmp_path_factory.mktemp("versions"), devices=4)
    first = realm.replicas[0]
    first.write(item(1), item(2))
    realm.exchange()
    update(first)
    for device, choice in steps:
        _step(realm, realm.replicas[device], choice)
    realm.exchange()
    views = [replica.store.view() for replica in realm.replicas]
    for replica in realm.replicas:
        if replica.components != (NEWER,):
            update(replica)
        check_digests(replica)
        assert shown(replica) == shown(first)
    assert [replica.store.view() for replica in realm.replicas] == views
    realm.close()


def _step(realm: Realm, replica: Replica, choice: int) -> None:
    """Write what the device's version can write, hand something on, or update the device."""
    number = 50 + replica.seed
    newer = replica.components == (NEWER,)
    match choice:
        case 0 | 1 | 2:
            other = realm.replicas[(realm.replicas.index(replica) + choice + 1) % len(realm.replicas)]
            replica.pull(other)
        case 3:
            replica.write(("INSERT OR IGNORE INTO drill_items (id, tags) VALUES (?, '[\"t\"]')", [row_id(number)]))
        case 4:
            replica.write(("UPDATE drill_items SET title = title || ?, uses = uses + 1", [str(replica.seed)]))
        case 5:
            replica.write(delete("drill_items", 1))
        case 6 if newer:
            values = [f"mood {number}", f'["w{number}"]', float(replica.seed)]
            replica.write(
                ("UPDATE drill_items SET mood = ?, words = ?, votes = votes + 2, peak = ?", values),
                ("UPDATE drill_items SET story = story || ?, facts = ?", [f"word{number} ", f'{{"k{number}":1}}']),
            )
        case 7 if newer:
            shelves = "INSERT OR IGNORE INTO drill_shelves (id, item_id, marks)"
            replica.write((f"{shelves} SELECT ?, id, '[\"m\"]' FROM drill_items LIMIT 1", [row_id(100 + number)]))
        case 8 if newer:
            replica.write("UPDATE drill_shelves SET label = label || 'x', uses = uses + 1")
        case 9 if newer:
            replica.write("UPDATE drill_items SET shelf_id = (SELECT id FROM drill_shelves LIMIT 1)")
        case 10 if newer:
            replica.write("DELETE FROM drill_shelves WHERE uses > 1")
        case 11 if not newer:
            update(replica)
        case _:
            replica.write(("INSERT OR REPLACE INTO drill_items (id, title) VALUES (?, 'again')", [row_id(1)]))

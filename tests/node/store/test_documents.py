"""JSON columns merge by path: what devices write to different keys apart is all kept."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.errors import ConstraintError
from sync.streams import Stream
from tests.node.store.test_scrub import scrub
from tests.support.diary import DIARY
from tests.support.realm import Realm, Replica, Statement, check_digests, open_realm, row_id


@pytest.fixture
def realm(tmp_path: Path) -> Iterator[Realm]:
    """Three devices with a diary that holds nothing yet."""
    opened = open_realm(tmp_path, devices=3, components=(DIARY,))
    yield opened
    opened.close()


def insert(number: int, **cells: str | None) -> Statement:
    marks = ", ".join("?" * (len(cells) + 1))
    return f"INSERT INTO diary_pages ({', '.join(('id', *cells))}) VALUES ({marks})", [row_id(number), *cells.values()]


def write(column: str, value: str | None) -> Statement:
    return f"UPDATE diary_pages SET {column} = ?", [value]


def everywhere(realm: Realm, column: str) -> object:
    realm.exchange()
    shown = {replica.query(f"SELECT {column} FROM diary_pages")[0][0] for replica in realm.replicas}
    assert len(shown) == 1
    for replica in realm.replicas:
        assert scrub(replica).sound
    return shown.pop()


def test_keys_that_were_set_apart_are_all_kept(realm: Realm, here: Replica, there: Replica) -> None:
    here.write(insert(1, settings='{"theme":"dark","view":{"font":12}}'))
    there.pull(here)
    here.write(write("settings", '{"theme":"dark","view":{"font":14}}'))
    there.write(write("settings", '{"theme":"light","view":{"font":12,"wide":true}}'))
    assert everywhere(realm, "settings") == '{"theme":"light","view":{"font":14,"wide":true}}'


def test_a_key_taken_away_here_stays_away_where_another_was_set(realm: Realm, here: Replica, there: Replica) -> None:
    here.write(insert(1, settings='{"a":1,"b":2}'))
    there.pull(here)
    here.write(write("settings", '{"b":2}'))
    there.write(write("settings", '{"a":1,"b":2,"c":[1,2]}'))
    assert everywhere(realm, "settings") == '{"b":2,"c":[1,2]}'


def test_a_document_is_written_in_any_spelling_and_shown_in_one(realm: Realm, here: Replica) -> None:
    here.write(insert(1, settings='{ "b" : "caf\\u00e9",\n"a":1.0 }', weather="[1, 2]"))
    assert here.query("SELECT settings, weather FROM diary_pages") == [('{"a":1.0,"b":"café"}', "[1,2]")]
    assert everywhere(realm, "settings") == '{"a":1.0,"b":"café"}'
    assert everywhere(realm, "weather") == "[1,2]"
    before = here.store.view()
    here.write(write("settings", '{"b":"café", "a":1.0}'))
    assert here.store.view() == before
    assert here.query("SELECT settings FROM diary_pages") == [('{"a":1.0,"b":"café"}',)]


def test_an_emptied_document_is_empty_everywhere_and_can_be_filled_again(
    realm: Realm, here: Replica, there: Replica
) -> None:
    here.write(insert(1, settings='{"a":1}', weather='{"sun":true}'))
    there.pull(here)
    there.write(write("settings", "{}"), write("weather", None))
    assert everywhere(realm, "settings") == "{}"
    assert everywhere(realm, "weather") is None
    here.write(write("settings", '{"a":2}'), write("weather", "{}"))
    assert everywhere(realm, "settings") == '{"a":2}'
    assert everywhere(realm, "weather") == "{}"


def test_rows_inserted_apart_join_their_documents(realm: Realm, here: Replica, there: Replica) -> None:
    here.write(insert(1, settings='{"here":1}'))
    there.write(insert(1, settings='{"there":2}'))
    assert everywhere(realm, "settings") == '{"here":1,"there":2}'


def test_what_is_no_json_is_refused_in_a_sentence(here: Replica) -> None:
    with pytest.raises(ConstraintError, match="written as JSON"):
        here.write(insert(1, settings="{oops"))
    assert here.query("SELECT count(*) FROM diary_pages") == [(0,)]


def test_documents_travel_in_snapshot_pages(realm: Realm, here: Replica, there: Replica) -> None:
    here.write(insert(1, settings='{"a":1}'), insert(2), insert(3, weather='{"sun":true}'))
    here.write(write("settings", '{"a":1,"b":2}'))
    here.write(write("settings", '{"b":3}'))
    there.pull_snapshot(here, Stream.MEMORIES, bytes_max=300)
    assert there.store.view() == here.store.view()
    check_digests(there)
    assert scrub(there).sound
    shown = there.query("SELECT settings, weather FROM diary_pages ORDER BY id")
    assert shown == [('{"b":3}', None), ('{"b":3}', None), ('{"b":3}', '{"sun":true}')]


def test_a_hundred_keys_set_on_three_devices_are_all_there(realm: Realm) -> None:
    realm.replicas[0].write(insert(1))
    realm.exchange()
    for number in range(99):
        replica = realm.replicas[number % 3]
        shown = replica.query("SELECT settings FROM diary_pages")[0][0]
        assert isinstance(shown, str)
        replica.write(write("settings", json.dumps({**json.loads(shown), f"key {number}": number})))
    shown = everywhere(realm, "settings")
    assert isinstance(shown, str)
    assert json.loads(shown) == {f"key {number}": number for number in range(99)}

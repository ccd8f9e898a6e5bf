"""Changes of texts that are merged as they lie leave what the long way leaves, and are left to it in doubt."""

import random
from collections.abc import Sequence
from pathlib import Path
from shutil import rmtree

import pytest

from node.store.plain_edits import PlainEdits
from tests.support.diary import DIARY
from tests.support.realm import Realm, Replica, check_digests, open_realm, row_id

ROWS, ROUNDS = 4, 9
WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "owl", "élan", "雨"]
TABLES = {"diary_pages": "id", "_row_diary_pages": "id", "_batch": "position", "_conflict": "key"}
# Within one batch the rows that go the long way are noted last.
HISTORY = "SELECT row_id, generation, hlc, origin, seq, differences FROM _history ORDER BY row_id, number"


def everything(device: Replica) -> list[object]:
    rows: list[object] = []
    for table, order in TABLES.items():
        rows += device.query(f"SELECT * FROM {table} ORDER BY {order}")
    return [*rows, *device.query(HISTORY)]


def edited(text: str, draw: random.Random) -> str:
    words = text.split(" ")
    for _ in range(draw.randrange(1, 4)):
        at = draw.randrange(len(words))
        words[at : at + draw.randrange(2)] = draw.choices(WORDS, k=draw.randrange(3)) or ["so"]
    return " ".join(words)


def write_at_random(realm: Realm, draw: random.Random) -> None:
    for replica in realm.replicas:
        with replica.store.transaction() as transaction:
            for number in range(1, ROWS + 1):
                ((body,),) = transaction.execute("SELECT body FROM diary_pages WHERE id = ?", [row_id(number)]).rows
                what = draw.randrange(5)
                if what == 0:
                    transaction.execute("UPDATE diary_pages SET title = ? WHERE id = ?", [str(body), row_id(number)])
                elif what == 1:
                    change = "margin = ?, title = title || 'x', settings = '{\"a\":1}'"
                    transaction.execute(f"UPDATE diary_pages SET {change} WHERE id = ?", [str(body), row_id(number)])
                else:
                    values = [edited(str(body), draw), row_id(number)]
                    transaction.execute("UPDATE diary_pages SET body = ? WHERE id = ?", values)


def written(folder: Path) -> list[list[object]]:
    """Let three devices edit at random and meet now and then; return everything that they hold."""
    folder.mkdir()
    realm = open_realm(folder, devices=3, components=(DIARY,))
    draw = random.Random(29)
    for number in range(1, ROWS + 1):
        realm.replicas[0].write(
            (
                "INSERT INTO diary_pages (id, body, weather) VALUES (?, ?, ?)",
                [row_id(number), " ".join(WORDS) if number > 1 else "", '{"sun":1}' if number > 2 else None],
            )
        )
    realm.exchange()
    for _ in range(ROUNDS):
        write_at_random(realm, draw)
        first, second = draw.sample(realm.replicas, 2)
        first.pull(second)
    realm.exchange()
    held = [everything(replica) for replica in realm.replicas]
    for replica in realm.replicas:
        check_digests(replica)
    realm.close()
    # The next stores have the same path, and with it the same incarnations.
    rmtree(folder)
    return held


def test_texts_edited_at_random_are_the_same_bytes_by_both_ways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = written(tmp_path / "stores")
    monkeypatch.setattr(PlainEdits, "join", lambda self, table, layout, rows, stamp, vector: ([], rows))
    assert written(tmp_path / "stores") == quick


def test_texts_written_at_random_are_the_same_bytes_by_both_ways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Within a batch the changes of rows that go the long way come last: all but the batches' own bytes is equal.
    monkeypatch.delitem(TABLES, "_batch")
    author, counts = PlainEdits.author, [0]

    def counting(self: PlainEdits, *arguments: object) -> object:
        edits, changes, others = author(self, *arguments)  # type: ignore[arg-type]
        counts[0] += sum("body" in edit.differences for edit in edits)
        return edits, changes, others

    monkeypatch.setattr(PlainEdits, "author", counting)
    quick = written(tmp_path / "stores")
    assert counts[0] >= 20
    monkeypatch.setattr(PlainEdits, "author", lambda self, table, rows, stamp, vector: ([], [], rows))
    assert written(tmp_path / "stores") == quick


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    counts: list[int] = []
    join = PlainEdits.join

    def counting(self: PlainEdits, *arguments: Sequence[object]) -> object:
        edits, others = join(self, *arguments)  # type: ignore[arg-type]
        counts.append(len(edits))
        return edits, others

    monkeypatch.setattr(PlainEdits, "join", counting)
    return counts


def test_each_change_of_a_text_is_merged_as_it_lies_however_many_there_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    realm = open_realm(tmp_path, components=(DIARY,))
    here, there = realm.replicas
    counts = counted(monkeypatch)
    here.write(("INSERT INTO diary_pages (id, body) VALUES (?, 'begin')", [row_id(1)]))
    there.pull(here)
    there.write("UPDATE diary_pages SET body = 'Well, ' || body")
    for number in range(40):
        here.write(("UPDATE diary_pages SET body = body || ?", [f" {number}"]))
        there.pull(here)
    assert counts == [1] * 40
    check_digests(there)
    realm.close()

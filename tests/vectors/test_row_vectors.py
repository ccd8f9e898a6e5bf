"""Rows, stamps and ids are spelled byte for byte as the frozen vectors say, which no code of this project made."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from crdt.digest import EMPTY_DIGEST, move_digest, sum_hashes
from crdt.identifiers import Origin, Stamp, make_dot, make_stamp, natural_row_id, uuid7
from crdt.row import hash_row, read_row, spell_row

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "row_spelling.json").read_text(encoding="utf-8"))


def unhex(value: Any) -> Any:
    match value:
        case {"hex": text}:
            return bytes.fromhex(text)
        case list():
            return [unhex(item) for item in value]
        case _:
            return value


@pytest.mark.parametrize("vector", VECTORS["rows"], ids=lambda vector: vector["description"])
def test_a_row_is_spelled_and_hashed_as_the_vector_says(vector: dict[str, Any]) -> None:
    layout = tuple((name, code) for name, code in vector["layout"])
    values = [bytes.fromhex(vector["row_id"]), vector["generation"], *unhex(vector["payloads"])]
    stamps = {int(index): Stamp(bytes.fromhex(stamp)) for index, stamp in vector["stamps"].items()}
    row_id, row = read_row(vector["table"], layout, values, Stamp(bytes.fromhex(vector["born"])), stamps)
    spelled = spell_row(row_id, row)
    assert spelled.layout == layout
    assert spelled.body.hex() == vector["body"]
    assert dict(spelled.stamp_by_index) == stamps
    assert hash_row(vector["table"], spelled).hex() == vector["hash"]
    decoded = msgspec.msgpack.decode(bytes.fromhex(vector["body"]))
    assert read_row(vector["table"], layout, decoded, spelled.born, stamps)[1] == row


def test_any_change_to_a_row_changes_its_hash() -> None:
    hashes = {vector["hash"] for vector in VECTORS["rows"]}
    assert len(hashes) == len(VECTORS["rows"])


def test_the_digest_is_the_sum_of_the_row_hashes_and_can_be_walked_back() -> None:
    hashes = [bytes.fromhex(vector["hash"]) for vector in VECTORS["rows"]]
    digest = move_digest(EMPTY_DIGEST, added=sum_hashes(hashes), removed=0)
    assert digest.hex() == VECTORS["digest"]["bytes"]
    assert move_digest(digest, added=0, removed=sum_hashes(reversed(hashes))) == EMPTY_DIGEST


def test_stamps_and_dots_are_fixed_width_and_big_endian() -> None:
    stamp, dot = VECTORS["stamp"], VECTORS["dot"]
    made = make_stamp(int(stamp["hlc"], 16), Origin(bytes.fromhex(stamp["origin"])), stamp["seq"])
    assert made.hex() == stamp["bytes"]
    assert make_dot(Origin(bytes.fromhex(dot["origin"])), dot["seq"], dot["index"]).hex() == dot["bytes"]


def test_ids_are_made_as_the_vectors_say() -> None:
    for vector in VECTORS["natural_row_ids"]:
        assert natural_row_id(vector["table"], vector["key"]).hex() == vector["row_id"]
    uuid = VECTORS["uuid7"]
    assert uuid7(uuid["unix_milliseconds"], bytes.fromhex(uuid["randomness"])).hex() == uuid["row_id"]

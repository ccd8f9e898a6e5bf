"""Texts are promoted, edited, merged and hashed byte for byte as the frozen vectors say; Automerge made them."""

import json
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from crdt import document, text_edits
from crdt.identifiers import RowId, Stamp
from crdt.place import Place
from crdt.row import RowState, hash_row, prove_row
from crdt.strategies import STRATEGY_BY_NAME, text
from crdt.strategies.text import Text
from crdt.text_chunk import parse_chunk
from tests.support.replayed_texts import edit_by_automerge

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "text_changes.json").read_text(encoding="utf-8"))
PLACE = Place(
    VECTORS["place"]["table"],
    RowId(bytes.fromhex(VECTORS["place"]["row_id"])),
    VECTORS["place"]["generation"],
    VECTORS["place"]["column"],
)
INSERTED = [text.plain_text(vector["value"], PLACE) for vector in VECTORS["inserted"]]


def edited(state: Text, vector: dict[str, Any]) -> Text:
    change = text.delta(state, vector["new_value"], Stamp(bytes.fromhex(vector["stamp"])), PLACE)
    assert change is not None
    return change


def merged() -> list[Text]:
    parts = [*INSERTED, *(edited(INSERTED[0], vector) for vector in VECTORS["edits"])]
    wholes = []
    for order in permutations(parts):
        whole = order[0]
        for part in order[1:]:
            whole = text.join(whole, part)
        wholes.append(whole)
    return wholes


def test_every_text_begins_with_the_frozen_base() -> None:
    assert document.BASE.raw.hex() == VECTORS["base"]["chunk"]
    assert document.BASE.hash.hex() == VECTORS["base"]["hash"]


@pytest.mark.parametrize("vector", VECTORS["inserted"], ids=lambda vector: vector["value"])
def test_an_inserted_value_is_promoted_to_the_frozen_change(vector: dict[str, Any]) -> None:
    assert text.inserter(PLACE, vector["value"]).hex() == vector["actor"]
    assert [head.hex() for head in text.heads_of(text.plain_text(vector["value"], PLACE))] == [vector["hash"]]
    assert vector["chunk"] in {raw.hex() for raw in merged()[0].chunks.values()}


def test_an_edit_is_the_frozen_change_as_automerge_writes_it_too() -> None:
    for state, vector in [*((INSERTED[0], vector) for vector in VECTORS["edits"]), (merged()[0], VECTORS["emptied"])]:
        change = edited(state, vector)
        assert [(name.hex(), raw.hex()) for name, raw in change.chunks.items()] == [(vector["hash"], vector["chunk"])]
        parts, heads = [document.BASE.raw, *text.promoted(state).chunks.values()], text.heads_of(state)
        actor = parse_chunk(bytes.fromhex(vector["chunk"])).actor
        written = edit_by_automerge(parts, heads, actor, text_edits.edits(state.shown, vector["new_value"]))
        assert written.hex() == vector["chunk"]


def test_merged_in_any_order_they_show_one_text_with_the_frozen_heads_and_row_hash() -> None:
    expected = VECTORS["merged"]
    for whole in merged():
        assert (whole.shown, [head.hex() for head in whole.heads]) == (expected["text"], expected["heads"])
        row = RowState(
            generation=PLACE.generation,
            born=Stamp(bytes.fromhex(expected["born"])),
            code_by_column={PLACE.column: STRATEGY_BY_NAME["text"].code},
            cell_by_column={PLACE.column: whole},
        )
        proof = prove_row(PLACE.row_id, row)
        assert proof.body.hex() == expected["proof"]
        assert hash_row(PLACE.table, proof).hex() == expected["row_hash"]

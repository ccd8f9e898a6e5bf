"""A change applied to a text as it is stored leaves what joining the states leaves, or is not applied."""

import random

import pytest

from crdt.errors import MergeError
from crdt.identifiers import HybridTime, Origin, RowId, Stamp, make_stamp
from crdt.place import Place
from crdt.strategies import text
from crdt.strategies.text import Text
from crdt.text_at_rest import to_stored
from crdt.text_merge_at_rest import TextAtRest, at_rest, merged

PLACE = Place("notes", RowId(bytes(16)), 1, "body")
WORDS = ["a", "bb", "ccc", "dddd", "owl", "élan", "雨"]


def stamp(number: int, device: int = 0) -> Stamp:
    return make_stamp(HybridTime(number), Origin(bytes([device]) * 40), number)


def edit(state: Text, value: str, number: int, device: int = 0) -> Text:
    change = text.delta(state, value, stamp(number, device), PLACE)
    assert change is not None
    return change


def rest(state: Text) -> TextAtRest:
    return at_rest(to_stored(state), state.shown)


@pytest.mark.parametrize("seed", range(12))
def test_it_leaves_what_joining_the_states_leaves(seed: int) -> None:
    draw = random.Random(seed)
    first = text.plain_text(" ".join(draw.choices(WORDS, k=draw.randrange(1, 9))), PLACE)
    devices: list[Text] = [first, first, first]
    taken = 0
    for number in range(1, 24):
        writer, reader = draw.sample(range(3), 2)
        words = devices[writer].shown.split(" ")
        at = draw.randrange(len(words))
        words[at : at + draw.randrange(2)] = [draw.choice(WORDS), str(number)]
        change = edit(devices[writer], " ".join(words), number, writer)
        devices[writer] = text.join(devices[writer], change)
        joined = text.join(devices[reader], text.from_wire(text.to_wire(change), stamp(number), PLACE))
        quick = merged(rest(devices[reader]), text.to_wire(change), PLACE)
        # A change that lacks one that it builds on is left to the long way.
        assert (quick is None) == bool(joined.waiting)
        if quick is not None:
            assert quick == TextAtRest(to_stored(joined), joined.shown, text.to_proof(joined))
            taken += 1
        devices[reader] = joined if draw.random() < 0.6 else text.join(devices[reader], devices[writer])
    assert taken > 0


def test_what_has_to_be_decided_is_not_done() -> None:
    plain = text.plain_text("an oak", PLACE)
    once = text.join(plain, first := edit(plain, "an old oak", 1))
    second = edit(once, "an old oak tree", 2)
    wire = text.to_wire(second)
    whole = text.to_wire(text.join(once, second))
    assert isinstance(wire, list)
    assert isinstance(whole, list)
    assert merged(rest(once), wire, PLACE) is not None
    assert merged(rest(once), "an elm", PLACE) is None, "another insertion"
    assert merged(rest(once), whole, PLACE) is None, "several changes"
    assert merged(rest(plain), wire, PLACE) is None, "it builds on what is not here"
    assert merged(rest(once), text.to_wire(first), PLACE) is None, "it is here"
    assert merged(rest(text.join(plain, second)), wire, PLACE) is None, "another one waits"
    assert merged(rest(text.come_ahead(once)), wire, PLACE) is None, "some changes came ahead"


def test_a_damaged_change_or_text_is_refused() -> None:
    plain = text.plain_text("an oak", PLACE)
    wire = text.to_wire(edit(plain, "an old oak", 1))
    assert isinstance(wire, list)
    raw: bytes = wire[0]
    for position in range(len(raw)):
        damaged = raw[:position] + bytes([raw[position] ^ 1]) + raw[position + 1 :]
        with pytest.raises(MergeError):
            merged(rest(plain), [damaged], PLACE)
    shorter = at_rest(to_stored(text.join(plain, edit(plain, "an old oak", 1))), "an old oa")
    later = edit(text.join(plain, edit(plain, "an old oak", 1)), "an old oak tree", 2)
    with pytest.raises(MergeError, match="not as long"):
        merged(shorter, text.to_wire(later), PLACE)

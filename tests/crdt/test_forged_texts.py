"""Changes that no device makes cost no more than their bytes allow, and part nobody."""

from itertools import permutations
from time import perf_counter, process_time

import pytest

from crdt import document
from crdt.errors import MergeError
from crdt.strategies import text
from crdt.text_change import ChangeHash, Deletion, Insertion, TextChange
from crdt.text_chunk import parse_chunk, read_chunk, written_out
from crdt.text_columns import signed
from crdt.text_growth import Waiting
from tests.support.texts import CHUNK, OAK, OLD, PLACE, edit, forged, merged, sealed, stamp


def test_a_change_that_goes_back_and_forth_over_a_long_text_is_applied_in_bounded_time() -> None:
    behind = tuple(Insertion(None, 0, "x") for _ in range(20_000))
    scattered = TextChange(b"h" * 16, (document.BASE.hash,), 1_000_000, behind)
    numbers = [1_000_000 + (index * 7919) % 20_000 for index in range(20_000)]
    shuffled = tuple(Deletion(b"h" * 16, number, 1) for number in numbers)
    whole = tuple(Deletion(b"h" * 16, 1_000_000, 20_000) for _ in range(300))
    states = [text.from_wire([forged(scattered)], stamp(2), PLACE)]
    (name,) = states[0].known
    began = process_time()
    for actor, start, operations in (
        (b"i", 1_020_000, shuffled),
        (b"j", 1_020_000, whole),
        # Each of these stands behind all that "h" wrote.
        (b"k", 2, tuple(Insertion(None, 0, "y") for _ in range(20_000))),
    ):
        change = TextChange(actor * 16, (name,), start, operations)
        states.append(text.from_wire([forged(change)], stamp(2), PLACE))
    joined, other = merged(*states), merged(*states[::-1])
    assert process_time() - began < 6, "some 1.5 seconds; walks along the runs take minutes"
    assert joined.shown == other.shown == "y" * 20_000
    assert not joined.waiting
    assert joined == other


def test_a_few_bytes_that_name_a_million_characters_one_by_one_are_refused_in_no_time() -> None:
    many = tuple(Deletion(b"h" * 16, number, 1) for number in range(2, 40_000, 2))
    bomb = forged(TextChange(b"i" * 16, (document.BASE.hash,), 50_000, many))
    assert len(bomb) < 200
    longer = sealed(bomb[11:].replace(signed(len(many)), signed(1_000_000)))
    for raw in (bomb, longer):
        began = process_time()
        with pytest.raises(MergeError, match="more than its bytes"):
            text.from_wire([raw], stamp(2), PLACE)
        assert process_time() - began < 0.1
    written = written_out(TextChange(b"i" * 16, (document.BASE.hash,), 50_000, many))
    assert sorted(written.operations) == sorted(many)
    assert parse_chunk(forged(written)) == written


def test_a_person_may_delete_every_other_letter_and_the_rest_after_it() -> None:
    state = text.plain_text("ab" * 1_000, PLACE)
    halved = merged(state, change := edit(state, "a" * 1_000, 2))
    gone = merged(halved, last := edit(halved, "", 3))
    assert (halved.shown, gone.shown) == ("a" * 1_000, "")
    for one in (change, last):
        assert text.from_wire(text.to_wire(one), stamp(2), PLACE) == one
    assert text.is_whole(halved)
    assert text.is_whole(gone)


def test_a_deletion_under_the_name_of_a_later_author_waits_for_it() -> None:
    heads = text.heads_of(OAK)
    written = TextChange(b"h" * 16, read_chunk(CHUNK).deps, 40, (Insertion(None, 0, "words "),))
    late = TextChange(b"g" * 16, (read_chunk(forged(written)).hash,), 50, (Insertion(b"h" * 16, 41, "!"),))
    deleted = TextChange(b"g" * 16, heads, 60, (Deletion(b"g" * 16, 50, 1),))
    changes = [text.from_wire([forged(change)], stamp(2), PLACE) for change in (written, late, deleted)]
    for order in permutations([OAK, *changes]):
        state = merged(*order)
        assert (state.shown, state.waiting) == ("words an oak by the pond", [])


def test_a_long_chain_of_changes_is_read_in_any_order_in_a_moment() -> None:
    state, heads, last = OAK, text.heads_of(OAK), 1 + len(OAK.shown)
    raws = list(text.join(OAK, OLD).chunks.values())[:1]
    for number in range(600):
        change = TextChange(number.to_bytes(16, "big"), heads, last + 1, (Insertion(None, 0, "x"),))
        raw = forged(change)
        heads, last = (read_chunk(raw).hash,), last + 1
        raws.append(raw)
    wire = sorted(raws, key=lambda raw: read_chunk(raw).hash)
    began = perf_counter()
    state = text.from_wire(wire, stamp(2), PLACE)
    assert state.shown == "x" * 600 + OAK.shown
    assert perf_counter() - began < 5, "some 0.1 seconds"


def test_changes_that_wait_for_ever_are_not_looked_at_with_each_edit(monkeypatch: pytest.MonkeyPatch) -> None:
    heads, last = text.heads_of(OAK), 1 + len(OAK.shown)
    (inserted,) = {run[0] for run in text.promoted(OAK).spans}
    strange: list[bytes] = []
    for number in range(1_500):
        actor = number.to_bytes(16, "big")
        if number % 3 == 0:
            # One of them names what nobody wrote, one builds on what nobody has, one shares its author with another.
            change = TextChange(actor, heads, last + 9, (Insertion(b"z" * 16, number, "x"),))
        elif number % 3 == 1:
            change = TextChange(actor, (ChangeHash(number.to_bytes(32, "big")),), last + 9, (Deletion(inserted, 2, 1),))
        else:
            change = TextChange(b"h" * 16, heads, last + 9, (Insertion(inserted, 2, str(number)),))
        strange.append(forged(change))
    state = text.join(OAK, text.from_wire(sorted(strange, key=lambda raw: read_chunk(raw).hash), stamp(2), PLACE))
    assert len(state.waiting) == 1_499
    began = process_time()
    for number in range(3, 33):
        state = text.join(state, edit(state, f"{state.shown} {number}", number))
    seconds = process_time() - began
    assert state.shown.endswith(" 30 31 32")
    assert seconds < 1, "some 0.1 seconds; looking at all with each edit takes 2"
    # What comes at last for one of them is still seen.
    late = forged(TextChange(b"z" * 16, heads, 2, tuple(Insertion(None, 0, "x") for _ in range(9))))
    whole = text.join(state, text.from_wire([late], stamp(9), PLACE))
    assert len(whole.waiting) < 1_499
    assert whole == text.from_wire(text.to_wire(whole), stamp(9), PLACE)
    monkeypatch.setattr(Waiting, "lacks", property(lambda self: ()))
    blind = text.join(state, text.from_wire([late], stamp(9), PLACE))
    assert blind != whole, "a planted bug: nothing that waits is woken"

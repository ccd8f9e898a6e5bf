"""Texts: promotion, merging, waiting changes, keeping, old versions, long texts."""

import random
from itertools import permutations, product
from time import perf_counter

import msgspec
import pytest

from crdt import document, text_at_rest, text_edits
from crdt.errors import MergeError
from crdt.identifiers import RowId
from crdt.strategies import text
from tests.support.replayed_texts import insert_by_automerge, replay, replayed_text
from tests.support.texts import LAKE, OAK, OLD, PLACE, edit, merged, stamp


def test_edits_made_apart_come_together_without_a_word_lost() -> None:
    assert merged(OAK, OLD, LAKE).shown == "an old oak by the lake"


def test_promotion_gives_the_same_bytes_in_every_order_and_from_every_state() -> None:
    ash = text.plain_text("an ash", PLACE)
    parts = [OAK, ash, OLD, LAKE]
    wholes = [merged(*order) for order in permutations(parts)]
    wholes += [merged(merged(*a), merged(*b)) for a, b in product([(OAK, OLD), (ash, LAKE, OAK)], repeat=2)][1:3]
    first = wholes[0]
    assert all(whole == first and text.to_wire(whole) == text.to_wire(first) for whole in wholes[:-2])
    assert {bytes(head) for head in first.heads} == set(replay(parts).get_heads())
    assert first.shown == replayed_text(parts)
    assert "ash" in first.shown
    assert "old oak" in first.shown


def test_an_inserted_text_is_promoted_to_what_automerge_makes_of_it() -> None:
    for value in ("x", "an oak", "\U0001f333\nñandú " * 40, "a" * 300):
        promoted = text.join(text.plain_text(value, PLACE), OLD)
        assert insert_by_automerge(value, text.inserter(PLACE, value)) in promoted.chunks.values()


def test_a_text_of_another_row_or_life_is_promoted_to_another_change() -> None:
    places = [
        PLACE,
        PLACE._replace(generation=3),
        PLACE._replace(column="title"),
        PLACE._replace(row_id=RowId(bytes(16))),
    ]
    assert len({text.heads_of(text.plain_text("an oak", place)) for place in places}) == len(places)


def test_a_change_whose_dependency_is_missing_waits_and_is_applied_when_it_comes() -> None:
    later = edit(merged(OAK, OLD), "a very old oak by the pond", 4)
    state = text.join(OAK, later)
    assert state.shown == OAK.shown
    assert state.waiting
    assert merged(state, OLD).shown == "a very old oak by the pond"
    assert merged(state, OLD) == merged(OAK, OLD, later)
    assert not merged(state, OLD).waiting


def test_the_empty_text_is_promoted_too_and_an_edit_back_to_it_deletes_everything() -> None:
    empty = text.plain_text("", PLACE)
    assert merged(empty, edit(empty, "new", 2)).shown == "new"
    gone = merged(OAK, edit(OAK, "", 2))
    assert (gone.shown, gone.plain) == ("", None)
    assert text.join(empty, OAK) == OAK == text.join(OAK, empty)


@pytest.mark.parametrize("value", [7, b"oak", "an\0oak"])
def test_what_is_no_text_is_refused(value: object) -> None:
    with pytest.raises(MergeError):
        text.delta(OAK, value, stamp(2), PLACE)  # type: ignore[arg-type]
    with pytest.raises(MergeError):
        text.from_wire(value, stamp(2), PLACE)


def test_writing_what_stands_there_changes_nothing() -> None:
    assert text.delta(OAK, OAK.shown, stamp(2), PLACE) is None


def test_a_stored_text_comes_back_whole_with_its_waiting_changes() -> None:
    later = edit(merged(OAK, OLD), "a very old oak by the pond", 4)
    for state in (OAK, merged(OAK, OLD, LAKE), merged(OAK, edit(OAK, "", 2)), merged(OAK, LAKE, later)):
        stored = msgspec.msgpack.decode(msgspec.msgpack.encode(text_at_rest.to_stored(state)))
        back = text_at_rest.from_stored(stored, state.shown, PLACE)
        assert back == state
        assert (text.to_wire(back), text.to_proof(back)) == (text.to_wire(state), text.to_proof(state))
        assert merged(back, OLD, later) == merged(OAK, OLD, later, state)
    with pytest.raises(MergeError):
        text_at_rest.from_stored(text_at_rest.to_stored(merged(OAK, OLD)), "shorter", PLACE)


def test_a_text_is_kept_in_a_fraction_of_its_changes_and_each_is_written_anew_in_its_own_bytes() -> None:
    state, raws = OAK, {}
    for number in range(2, 40):
        change = edit(state, f"{number} " + state.shown.replace("oak", "oaken oak", number % 2), number)
        raws.update(change.chunks)
        state = merged(state, change)
    stored = msgspec.msgpack.encode(text_at_rest.to_stored(state))
    assert len(stored) * 2 < sum(map(len, state.chunks.values()))
    back = text_at_rest.from_stored(msgspec.msgpack.decode(stored), state.shown, PLACE)
    assert raws.items() <= back.chunks.items()
    assert len(back.chunks) == len(raws) + 1, "and the insertion"


def test_a_damaged_record_or_deleted_letter_is_found_when_the_change_is_written_anew() -> None:
    state = merged(OAK, OLD, LAKE)
    stored = text_at_rest.to_stored(state)
    assert isinstance(stored, list)
    names, actors, acts, spans = stored[1], stored[2], stored[3], stored[6]
    assert stored[7] == "pond"

    def damaged(place: int, value: object) -> list[object]:
        return [*stored[:place], value, *stored[place + 1 :]]

    for payload in (
        damaged(7, "pomd"),
        damaged(3, [acts[1], acts[0], acts[2]]),
        damaged(3, [acts[0], acts[1], acts[2][:-1]]),
        damaged(2, actors[16:32] + actors[:16] + actors[32:]),
        damaged(1, names[:32] + bytes(32) + names[64:]),
    ):
        with pytest.raises(MergeError, match="damaged"):
            text.to_wire(text_at_rest.from_stored(payload, state.shown, PLACE))
    for payload in (damaged(1, names[32:]), damaged(6, [9, *spans[1:]]), damaged(6, spans[1:])):
        with pytest.raises(MergeError, match="damaged"):
            text_at_rest.from_stored(payload, state.shown, PLACE)


def test_changes_can_be_taken_out_with_all_that_builds_on_them() -> None:
    later = edit(merged(OAK, OLD), "a very old oak by the pond", 4)
    whole = merged(OAK, OLD, LAKE, later)
    assert text.without(whole, OLD.chunks) == merged(OAK, LAKE)
    assert text.without(whole, [*OLD.chunks, *LAKE.chunks]) == OAK


def test_an_edit_of_an_old_version_erases_nothing_that_came_meanwhile() -> None:
    whole = merged(OAK, OLD)
    rebased = text.rebase(whole, text.heads_of(OAK), "an oak by the lake")
    assert rebased == "an old oak by the lake"
    assert text.rebase(whole, whole.heads, "gone") == "gone"
    with pytest.raises(MergeError, match="not known"):
        text.rebase(whole, [bytes(32)], "x")


def test_two_edits_under_one_stamp_of_a_forked_author_are_two_changes_and_both_stay() -> None:
    one, other = edit(OAK, "one oak by the pond", 2), edit(OAK, "an oak by two ponds", 2)
    whole = merged(OAK, one, other)
    assert whole == merged(OAK, other, one)
    assert whole.shown == "one oak by two ponds"
    assert replayed_text([OAK, one, other]) == whole.shown


def long_text(lines: bool) -> list[str]:
    source = random.Random(1)
    return [f"word{source.randrange(10**6)}" + ("\n" if lines and index % 10 == 0 else " ") for index in range(100_000)]


@pytest.mark.parametrize("lines", [False, True])
def test_a_text_of_a_megabyte_is_edited_far_apart_in_bounded_time(lines: bool) -> None:
    words = long_text(lines)
    state = text.plain_text("".join(words), PLACE)
    changed = [f"x{index} " if index % 1000 == 7 else word for index, word in enumerate(words)]
    began = perf_counter()
    one = edit(state, "".join(changed), 2, 1)
    other = edit(state, "".join([*words[:50_000], "in the middle ", *words[50_000:]]), 3, 2)
    whole = merged(state, one, other)
    seconds = perf_counter() - began
    assert whole.shown == "".join([*changed[:50_000], "in the middle ", *changed[50_000:]])
    assert len(text_edits.edits(state.shown, one_text := "".join(changed))) == 100
    assert one_text == merged(state, one).shown
    assert seconds < 20, "some 2 seconds on two busy cores"


def test_a_change_carries_those_that_no_batch_has_brought_and_only_those() -> None:
    copied = text.come_ahead(OLD)
    whole = merged(OAK, copied)
    assert whole.ahead == OLD.known | OLD.chunks.keys()
    change = edit(whole, "an old oak by a pond", 4)
    assert OLD.chunks.items() <= change.chunks.items()
    assert merged(whole, change).ahead == frozenset()
    assert merged(OAK, change).shown == "an old oak by a pond"
    # Once a batch has brought it, whichever came first, it is carried no more.
    assert merged(whole, OLD).ahead == merged(OLD, whole).ahead == frozenset()
    assert len(edit(merged(whole, OLD), "an old oak by a pond", 4).chunks) == 1


def test_which_changes_are_ahead_is_kept_and_no_part_of_the_state() -> None:
    whole = text.come_ahead(merged(OAK, OLD, LAKE))
    assert whole == merged(OAK, OLD, LAKE)
    stored = msgspec.msgpack.decode(msgspec.msgpack.encode(text_at_rest.to_stored(whole)))
    assert text_at_rest.from_stored(stored, whole.shown, PLACE).ahead == whole.ahead


def test_what_is_kept_of_a_text_is_proved_by_its_changes_and_by_automerge(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = merged(OAK, OLD, LAKE, edit(merged(OAK, OLD), "a very old oak by the pond", 4))
    assert text.is_whole(OAK)
    assert text.is_whole(whole)
    stored = text_at_rest.to_stored(whole)
    assert isinstance(stored, list)
    other_letters = [*stored[:7], "anpomd", *stored[8:]]
    assert stored[7] == "anpond"
    assert not text.is_whole(text_at_rest.from_stored(other_letters, whole.shown, PLACE))
    swapped = [*stored[:6], [*stored[6][-3:], *stored[6][3:-3], *stored[6][:3]], *stored[7:]]
    assert not text.is_whole(text_at_rest.from_stored(swapped, whole.shown, PLACE))
    monkeypatch.setattr(document, "replay", lambda chunks, heads: "another text")
    assert not text.is_whole(whole), "a planted bug: the library finds another text"

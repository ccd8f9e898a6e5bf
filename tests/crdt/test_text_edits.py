"""What a person changed is found: exactly, by whole words, within bounds."""

from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crdt import text_edits
from crdt.text_edits import Edit

ALPHABET = "ab \né🌳"
WORDS = st.text(alphabet=ALPHABET, max_size=12)
laws = settings(max_examples=120, derandomize=True, deadline=None)


@laws
@given(old=WORDS, new=WORDS, bound=st.sampled_from([1, 20, text_edits.COMPARED_MAX]))
@example(old="", new="a", bound=1)
def test_edits_lead_from_one_text_to_the_other(old: str, new: str, bound: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_edits, "COMPARED_MAX", bound)
        patch.setattr(text_edits, "_ANCHOR_PARTS", 2)
        patch.setattr(text_edits, "_WINDOW_PARTS", 2)
        found = text_edits.edits(old, new)
    assert text_edits.apply(old, found) == new
    assert all(one.position + one.removed < other.position for one, other in pairwise(found))


def test_an_edit_touches_no_more_than_the_words_that_changed() -> None:
    old = "The quick brown fox\njumps over the lazy dog\nand sleeps\n"
    new = "The quick red fox\njumps over the lazy dogs\nand sleeps\n"
    assert text_edits.edits(old, new) == [Edit(10, 5, "red"), Edit(43, 0, "s")]


def test_unrelated_words_are_replaced_whole_so_that_rewrites_are_not_mixed_by_letters() -> None:
    assert text_edits.edits("a tall tree", "a great tree") == [Edit(2, 4, "great")]


def test_an_inserted_word_is_whole_so_that_replacing_its_neighbour_elsewhere_leaves_no_letters_behind() -> None:
    assert text_edits.edits("an oak", "an old oak") == [Edit(3, 0, "old ")]
    assert text_edits.edits("an old oak", "an oak") == [Edit(3, 4, "")]
    assert text_edits.edits("the oak", "the oak and the elm") == [Edit(7, 0, " and the elm")]


def test_lines_that_stay_are_not_touched_by_edits_before_and_behind_them() -> None:
    edits = text_edits.edits("gone\nstays\n", "stays\nnew\n")
    assert edits == [Edit(0, 5, ""), Edit(11, 0, "new\n")]
    edits = text_edits.edits("first\ngone\nstays\nlast\n", "first\nstays\nnew\nlast\n")
    assert edits == [Edit(6, 5, ""), Edit(17, 0, "new\n")]
    assert text_edits.edits("gone\nstays", "stays\nnew") == [Edit(0, 5, ""), Edit(10, 0, "\nnew")]
    assert text_edits.edits("stays\ngone", "stays") == [Edit(5, 5, "")]

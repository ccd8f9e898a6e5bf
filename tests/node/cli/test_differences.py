"""How two versions of a text are drawn in one."""

from rich.console import Console
from rich.text import Text

from node.cli.differences import NEW, OLD, TextDifference, text_difference


def parts(drawn: Text) -> list[tuple[str, str]]:
    """Return (style, text) of what is struck through or put in."""
    return [(str(span.style), drawn.plain[span.start : span.end]) for span in drawn.spans if span.style in (OLD, NEW)]


def test_a_changed_word_is_shown_within_its_sentence() -> None:
    drawn = text_difference("The key is under the third pot.", "The key is under the fourth pot.")
    assert drawn.plain == "The key is under the thirdfourth pot."
    assert parts(drawn) == [(OLD, "third"), (NEW, "fourth")]


def test_neighbouring_words_are_drawn_as_one_change() -> None:
    drawn = text_difference("It stands by the old oak in the garden", "It stands by the young elm in the garden")
    assert parts(drawn) == [(OLD, "old oak"), (NEW, "young elm")]


def test_texts_that_have_little_in_common_stand_side_by_side() -> None:
    assert (
        text_difference("Key of the front door", "Garden shed key").plain == "Key of the front door → Garden shed key"
    )


def test_what_was_only_added_is_shown_where_it_was_added() -> None:
    assert parts(text_difference("Key", "Key of the front door")) == [(NEW, " of the front door")]


def test_of_a_long_text_only_the_surroundings_are_shown() -> None:
    words = " ".join(f"word{number}" for number in range(500))
    drawn = text_difference(words, words.replace("word250", "changed"))
    assert parts(drawn) == [(OLD, "word250"), (NEW, "changed")]
    assert len(drawn) < 120
    assert drawn.plain.count("…") == 2


def test_huge_texts_are_compared_by_lines_and_cut() -> None:
    lines = [f"line {number} of many\n" for number in range(20_000)]
    drawn = text_difference("".join(lines), "".join([*lines[:10_000], "in between\n", *lines[10_000:]]))
    assert parts(drawn) == [(NEW, "in between\n")]
    other = text_difference("x" * 100_000, "y" * 100_000)
    assert len(other) < 2_000


def test_what_would_move_the_cursor_is_made_harmless() -> None:
    assert "\x1b" not in text_difference("a \x1b[2J b", "a \x1b[2J c").plain


def drawn_by(console: Console) -> str:
    """Return what a person sees of a changed sentence."""
    with console.capture() as capture:
        console.print(TextDifference("Dentist on Monday at nine.", "Dentist on Tuesday at ten."))
    return capture.get()


def test_without_colour_what_went_and_what_came_stand_in_brackets() -> None:
    assert drawn_by(Console()) == "Dentist on [-Monday-]{+Tuesday+} at [-nine-]{+ten+}.\n"
    assert "[-Monday-]" in drawn_by(Console(force_terminal=True, no_color=True, color_system="standard"))


def test_with_colour_there_are_no_brackets() -> None:
    drawn = drawn_by(Console(force_terminal=True, no_color=False, color_system="standard"))
    assert "Monday" in drawn
    assert "[-" not in drawn
    assert "{+" not in drawn


def test_texts_side_by_side_need_no_brackets() -> None:
    drawn = text_difference("Key of the front door", "Garden shed key", bracketed=True)
    assert drawn.plain == "Key of the front door → Garden shed key"

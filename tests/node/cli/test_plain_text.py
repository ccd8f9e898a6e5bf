"""Foreign text on a terminal neither moves the cursor nor reverses what is read."""

import pytest

from node.cli.plain_text import plain, plain_line


@pytest.mark.parametrize("character", ["\x1b", "\x07", "\r", "\x00", "\x9b", "\u202e", "\u2066", "\u200f"])
def test_what_could_steer_a_terminal_is_replaced(character: str) -> None:
    assert plain(f"a{character}b") == "a\N{REPLACEMENT CHARACTER}b"


def test_ordinary_text_of_any_script_stays_as_it_is() -> None:
    text = "Zwei Zeilen:\n\tnaïve 日本語 שלום 👩‍👩‍👧"
    assert plain(text) == text


def test_a_line_is_cut_at_its_length_and_says_so() -> None:
    assert plain_line("one\n  two   three", 100) == "one two three"
    assert plain_line("abcdef", 6) == "abcdef"
    assert plain_line("abcdefg", 6) == "abcde…"

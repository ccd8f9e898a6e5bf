"""Draws what became of a text: taken out red, put in green, and of long texts only the surroundings."""

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

from rich.text import Text

from node.cli.plain_text import plain

_TOKENS = re.compile(r"\w+|\s+|[^\w\s]")
# Above this many words on a side whole lines are compared: word by word takes the square of it.
_WORDS_MAX = 1_500
_CONTEXT_CHARACTERS = 40
_SHOWN_CHARACTERS = 1_200
OLD, NEW, GAP = "red strike", "green", "dim"


def text_difference(old: str, new: str) -> Text:
    """Return both texts in one: what only the old one has is struck through, what only the new one has is green."""
    drawn = Text(overflow="fold")
    for kind, piece in _pieces(_tokens(old), _tokens(new)):
        drawn.append(plain(piece), style=kind)
        if len(drawn) > _SHOWN_CHARACTERS:
            drawn.truncate(_SHOWN_CHARACTERS)
            return drawn.append(" …", style=GAP)
    return drawn


def _tokens(text: str) -> list[str]:
    words = _TOKENS.findall(text)
    return words if len(words) <= _WORDS_MAX else text.splitlines(keepends=True)


def _pieces(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[str, str]]:
    steps = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    for number, (step, old_start, old_end, new_start, new_end) in enumerate(steps):
        if step == "equal":
            yield "", _context("".join(old[old_start:old_end]), first=number == 0, last=number == len(steps) - 1)
        if step in ("delete", "replace"):
            yield OLD, "".join(old[old_start:old_end])
        if step in ("insert", "replace"):
            yield NEW, "".join(new[new_start:new_end])


def _context(text: str, *, first: bool, last: bool) -> str:
    """Return what stands on both sides of a change, cut where it is long."""
    head = "" if first else text[:_CONTEXT_CHARACTERS]
    tail = "" if last else text[-_CONTEXT_CHARACTERS:]
    return text if len(head) + len(tail) + 3 >= len(text) else f"{head} … {tail}"

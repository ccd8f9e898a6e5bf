"""Draws what became of a text: taken out red, put in green, and of long texts only the surroundings.

Where nothing is coloured (in a pipe, or as the person asked) the two stand in brackets: [-taken out-]{+put in+}.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from node.cli.plain_text import plain

_TOKENS = re.compile(r"\w+|\s+|[^\w\s]")
# Above this many words on a side whole lines are compared: word by word takes the square of it.
_WORDS_MAX = 1_500
_CONTEXT_CHARACTERS = 40
_SHOWN_CHARACTERS = 1_200
# At least this part of the shorter text must stay for a word-by-word drawing to be read easily: one in …
_ALIKE_MIN = 3
OLD, NEW, GAP = "red strike", "green", "dim"
_BRACKETS_BY_STYLE = {OLD: ("[-", "-]"), NEW: ("{+", "+}")}


@dataclass(frozen=True, slots=True)
class TextDifference:
    """Both texts in one, drawn in colour where there is colour and in brackets where there is none."""

    old: str
    new: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it as the console can."""
        yield text_difference(self.old, self.new, bracketed=console.color_system is None or console.no_color)


def text_difference(old: str, new: str, *, bracketed: bool = False) -> Text:
    """Return both texts in one: what only the old one has is struck through, what only the new one has is green.

    Where little is left of the old text, it is shown before the new one instead of within it.
    """
    drawn = Text(overflow="fold")
    steps = _steps(_tokens(old), _tokens(new))
    if sum(len(piece) for style, piece in steps if not style) * _ALIKE_MIN < min(len(old), len(new)):
        steps = [(OLD, old), ("", " → "), (NEW, new)]
        bracketed = False
    for number, (style, piece) in enumerate(steps):
        shown = piece if style else _context(piece, first=number == 0, last=number == len(steps) - 1)
        begin, end = _BRACKETS_BY_STYLE.get(style, ("", "")) if bracketed else ("", "")
        drawn.append(f"{begin}{plain(shown)}{end}", style=style)
        if len(drawn) > _SHOWN_CHARACTERS:
            drawn.truncate(_SHOWN_CHARACTERS)
            return drawn.append(" …", style=GAP)
    return drawn


def _tokens(text: str) -> list[str]:
    words = _TOKENS.findall(text)
    return words if len(words) <= _WORDS_MAX else text.splitlines(keepends=True)


def _steps(old: Sequence[str], new: Sequence[str]) -> list[tuple[str, str]]:
    """Return (style, text) of what stayed, went and came; a gap between two changed words belongs to both."""
    steps: list[tuple[str, str]] = []
    went = came = ""
    for kind, old_start, old_end, new_start, new_end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        before, after = "".join(old[old_start:old_end]), "".join(new[new_start:new_end])
        if kind == "equal" and (not before.isspace() or not (went or came)):
            steps += [(style, text) for style, text in ((OLD, went), (NEW, came)) if text]
            steps.append(("", before))
            went = came = ""
        else:
            went += before
            came += after
    return steps + [(style, text) for style, text in ((OLD, went), (NEW, came)) if text]


def _context(text: str, *, first: bool, last: bool) -> str:
    """Return what stands on both sides of a change, cut where it is long."""
    head = "" if first else text[:_CONTEXT_CHARACTERS]
    tail = "" if last else text[-_CONTEXT_CHARACTERS:]
    return text if len(head) + len(tail) + 3 >= len(text) else f"{head} … {tail}"

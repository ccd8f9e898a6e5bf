"""Makes foreign text harmless on a terminal: it must neither move the cursor nor reverse what is read."""

import unicodedata

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
# Characters that reorder what follows them (Unicode Bidirectional Algorithm, explicit formatting characters).
_REORDERING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def plain(text: str) -> str:
    """Return the text with control and reordering characters replaced; line ends and tabs stay."""
    return "".join(_harmless(character) for character in text)


def plain_line(text: str, length_max: int) -> str:
    """Return the text on one line of at most `length_max` characters."""
    line = " ".join(plain(text).split())
    return line if len(line) <= length_max else line[: length_max - 1] + "…"


def _harmless(character: str) -> str:
    if character in "\n\t":
        return character
    if character in _REORDERING or unicodedata.category(character) == "Cc":
        return _REPLACEMENT
    return character

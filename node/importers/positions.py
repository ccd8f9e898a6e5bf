"""Finds the line of a JSON text on which the value at a path stands, so that an error can name it."""

import re
from collections.abc import Sequence

PathStep = str | int

_PIECE = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)


def line_of(text: str, path: Sequence[PathStep]) -> int:
    """Return the line (from 1) of the value at `path` of a valid JSON text, or of its nearest container.

    It reads the text again from the start, which an error, once, is worth.
    """
    wanted = list(path)
    # Of each open container: its kind, and the key or index of the value that comes next.
    here: list[PathStep] = []
    opened: list[str] = []
    found, depth = 1, -1
    key_expected = False
    for match in _PIECE.finditer(text):
        piece = match.group()
        if piece in "}]":
            opened.pop()
            here.pop()
            key_expected = False
        elif piece == ",":
            key_expected = opened[-1] == "{"
            if not key_expected:
                here[-1] = int(here[-1]) + 1
        elif key_expected and piece.startswith('"'):
            here[-1] = piece[1:-1]
            key_expected = False
        elif piece != ":":
            if len(here) > depth and here == wanted[: len(here)]:
                found, depth = text.count("\n", 0, match.start()) + 1, len(here)
            if piece in "{[":
                opened.append(piece)
                here.append("" if piece == "{" else 0)
                key_expected = piece == "{"
    return found


def path_text(path: Sequence[PathStep]) -> str:
    """Return a path as a person writes it: `session_3[4].text`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text

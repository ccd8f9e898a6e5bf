"""Reads the SQL literals that SQLite's `quote()` writes."""

from crdt.values import Scalar


def parse_literal(literal: str) -> Scalar:
    """Return the value of NULL, a number, a 'text' or an X'blob' as `quote()` spells it."""
    if literal == "NULL":
        return None
    if literal.startswith("'"):
        return literal[1:-1].replace("''", "'")
    if literal.startswith("X'"):
        return bytes.fromhex(literal[2:-1])
    if any(mark in literal for mark in ".eEInN"):
        return float(literal)
    return int(literal)

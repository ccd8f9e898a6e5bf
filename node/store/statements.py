"""What the store must know of an SQL statement before it runs: a defence beneath the guard for people's own SQL."""

import re
from dataclasses import dataclass
from functools import lru_cache

from node.errors import ConstraintError

# Texts, names in any of SQLite's three quotes, and comments, in one pass: each could hold the marks of another.
_QUOTED = re.compile(
    r"'(?:[^']|'')*'|(\"(?:[^\"]|\"\")*\"|`(?:[^`]|``)*`|\[[^\]]*\])|--[^\n]*|/\*.*?(?:\*/|\Z)", re.DOTALL
)
_ROWID = re.compile(r"\b(?:rowid|_rowid_|oid)\b", re.IGNORECASE)
_CALL = re.compile(r"(?:\b(into)\s+[\w.\"]+\s*\()|(\w+)\s*\(", re.IGNORECASE)
_PLAIN_WORDS = frozenset({"values", "in", "and", "or", "not", "where", "exists", "set", "select", "on", "conflict"})
_VERBS = frozenset({"select", "insert", "update", "delete", "replace", "with"})


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementFacts:
    """`computes_text`: it could make a text that none of its parameters is. `placeholders`: how many `?` it has, None
    where they are numbered."""

    computes_text: bool
    placeholders: int | None


@lru_cache(maxsize=512)
def examine(sql: str) -> StatementFacts:
    """Return the facts of one statement.

    In a STRICT table only a function or an operator that joins texts can make a text with a NUL in it. Raises
    ConstraintError for what would go past capture: a second statement (the binding drops it without a word), anything
    but reading and writing rows, and the writing of rowids, by which the store tells new rows from old ones.
    """
    if "\0" in sql:
        raise ConstraintError("A statement cannot hold a NUL character; the engine would stop reading there.")
    bare = _QUOTED.sub(_without_content, sql).strip().rstrip(";")
    verb = (bare.split(None, 1) or [""])[0].lower()
    if verb not in _VERBS:
        raise ConstraintError("Only SELECT, INSERT, UPDATE, DELETE and WITH can be run on the store.")
    if ";" in bare:
        raise ConstraintError("Run one statement at a time.")
    if verb != "select" and _ROWID.search(bare):
        raise ConstraintError("Rowids belong to the store; name rows by their id.")
    computes = (
        "||" in bare
        or "->" in bare
        or any(match.group(1) is None and match.group(2).lower() not in _PLAIN_WORDS for match in _CALL.finditer(bare))
    )
    numbered = re.search(r"\?\d|[:@$]\w", bare) is not None
    return StatementFacts(computes_text=computes, placeholders=None if numbered else bare.count("?"))


def _without_content(match: re.Match[str]) -> str:
    text = match.group()
    if match.group(1) is not None:
        # A name stays, without its quotes: "char"(0) is as much a call as char(0).
        return re.sub(r"\W", "_", text[1:-1]) or "_"
    return "''" if text.startswith("'") else " "


def check_parameters(facts: StatementFacts, given: int) -> None:
    """Raise ConstraintError where parameters are missing or too many: the binding would fill in NULL or ignore them."""
    if facts.placeholders is not None and facts.placeholders != given:
        raise ConstraintError(f"The statement takes {facts.placeholders} parameters and was given {given}.")

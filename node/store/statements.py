"""What a person's SQL statement could do that the store must know before it runs."""

import re
from functools import lru_cache

from node.errors import ConstraintError

_TEXT = re.compile(r"'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/", re.DOTALL)
_ROWID = re.compile(r"\b(?:rowid|_rowid_|oid)\b", re.IGNORECASE)
_CALL = re.compile(r"(?:\b(into)\s+[\w.\"]+\s*\()|(\w+)\s*\(", re.IGNORECASE)
_PLAIN_WORDS = frozenset({"values", "in", "and", "or", "not", "where", "exists", "set", "select", "on", "conflict"})


@lru_cache(maxsize=512)
def computes_text(sql: str) -> bool:
    """Tell whether a statement could make a text that none of its parameters is, such as one with a NUL.

    In a STRICT table only a function or an operator that joins texts can. Raises ConstraintError for a statement that
    writes rowids, by which the store tells new rows from old ones.
    """
    bare = _TEXT.sub("''", sql)
    if not bare.lstrip().lower().startswith("select") and _ROWID.search(bare):
        raise ConstraintError("Rowids belong to the store; name rows by their id.")
    if "||" in bare or "->" in bare:
        return True
    return any(
        match.group(1) is None and match.group(2).lower() not in _PLAIN_WORDS for match in _CALL.finditer(bare)
    )

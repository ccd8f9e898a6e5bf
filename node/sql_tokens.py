"""Cuts one SQL statement into tokens as SQLite does, and writes it again in one plain spelling.

A checker and an engine that read the same text differently can be played against each other with comments, odd quotes
or a second statement. So the text of a person is never executed: the tokens are, joined by single spaces, comments
gone, every quoted name in double quotes. What this lexer does not know it refuses; SQLite's own rules are in
https://sqlite.org/lang_expr.html and src/tokenize.c.
"""

import re
from dataclasses import dataclass
from enum import Enum, auto

from node.errors import UsageError

STATEMENT_CHARACTERS_MAX = 100_000


class TokenKind(Enum):
    """What a token is."""

    WORD = auto()
    QUOTED_NAME = auto()
    STRING = auto()
    BLOB = auto()
    NUMBER = auto()
    PARAMETER = auto()
    OPERATOR = auto()


@dataclass(frozen=True, slots=True)
class Token:
    """One token; `text` is the name without quotes, or the token as it is written."""

    kind: TokenKind
    text: str

    @property
    def written(self) -> str:
        """The token in its one spelling."""
        return f'"{self.text}"' if self.kind is TokenKind.QUOTED_NAME else self.text

    @property
    def is_name(self) -> bool:
        """Whether the token can name something."""
        return self.kind in (TokenKind.WORD, TokenKind.QUOTED_NAME)

    def is_word(self, *words: str) -> bool:
        """Whether the token is one of these unquoted words, in any case."""
        return self.kind is TokenKind.WORD and self.text.upper() in words

    def is_operator(self, operator: str) -> bool:
        """Whether the token is this operator."""
        return self.kind is TokenKind.OPERATOR and self.text == operator


_TOKEN = re.compile(
    r"""
    (?P<space>[ \t\r\n\f]+)
  | (?P<comment>--[^\n]*|/\*.*?\*/)
  | (?P<blob>[xX]'(?:[0-9a-fA-F]{2})*')
  | (?P<string>'(?:[^']|'')*')
  | (?P<quoted>"[^"]*"(?!")|`[^`]*`(?!`)|\[[^\]\[]*\])
  | (?P<number>0[xX][0-9a-fA-F]+|(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)(?![A-Za-z0-9_.])
  | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<parameter>\?)
  | (?P<operator>->>|->|\|\||<<|>>|<=|>=|<>|!=|==|[-+*/%&|~<>=(),.;])
    """,
    re.VERBOSE | re.DOTALL,
)
_KIND_BY_GROUP = {
    "blob": TokenKind.BLOB,
    "string": TokenKind.STRING,
    "quoted": TokenKind.QUOTED_NAME,
    "number": TokenKind.NUMBER,
    "word": TokenKind.WORD,
    "parameter": TokenKind.PARAMETER,
    "operator": TokenKind.OPERATOR,
}


def tokenize(sql: str) -> list[Token]:
    """Return the tokens of one statement, without comments and a closing semicolon.

    Raises UsageError for anything else: a second statement, an unclosed quote, a character that SQL does not have.
    """
    if len(sql) > STATEMENT_CHARACTERS_MAX:
        raise UsageError(f"A statement has at most {STATEMENT_CHARACTERS_MAX} characters; pass values as parameters.")
    tokens: list[Token] = []
    position = 0
    while position < len(sql):
        match = _TOKEN.match(sql, position)
        if match is None:
            raise UsageError(f"This is not understood as SQL, from character {position + 1} on.")
        kind = _KIND_BY_GROUP.get(match.lastgroup or "")
        if kind is not None:
            tokens.append(_token(kind, match.group(), position))
        position = match.end()
    while tokens and tokens[-1].is_operator(";"):
        tokens.pop()
    if not tokens:
        raise UsageError("There is no statement.")
    if any(token.is_operator(";") for token in tokens):
        raise UsageError("Only one statement at a time: there is another after the semicolon.")
    return tokens


def written(tokens: list[Token]) -> str:
    """Return the statement in its one spelling."""
    return " ".join(token.written for token in tokens)


def _token(kind: TokenKind, text: str, position: int) -> Token:
    if kind is TokenKind.STRING and ("\0" in text or _has_surrogate(text)):
        raise UsageError("A text in SQL cannot hold a NUL or half a character; pass it as a parameter.")
    if kind is not TokenKind.QUOTED_NAME:
        return Token(kind, text)
    name = text[1:-1]
    if not name.strip() or not name.isprintable() or any(quote in name for quote in "\"'`[]"):
        raise UsageError(f"The quoted name at character {position + 1} is empty or holds quotes or control characters.")
    return Token(kind, name)


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)

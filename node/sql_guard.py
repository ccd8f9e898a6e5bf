"""Decides whether a person's SQL statement may run: one statement, on the person's tables, with harmless functions.

The engine behind it has `readfile`, `writefile`, `ATTACH`, `VACUUM INTO` and the raw pages of the database, and its
internal tables hold keys' neighbours: row state, tombstones, the change log. So everything is refused that is not
known, twice:

1. By tokens (`node/sql_tokens.py`). The statement begins with SELECT, INSERT, UPDATE, DELETE or WITH. No word that
   only other statements have. No name that begins with an underscore, `sqlite` or `pragma`, no row number, no schema
   in front of a table. What is called is on the list of functions. After IN comes a parenthesis, because SQLite
   reads `x IN table` as well.
2. By syntax tree (sqlglot). Every node is of a known kind; every table read is one of the person's, a common table
   expression of this statement or `json_each`/`json_tree`; the table written is one of the person's.

What runs is the statement as this module wrote it from the tokens, not the text that came in. A common table
expression cannot refer to itself: an endless recursion would stop the node, and the engine cannot be interrupted.
`INSERT OR ROLLBACK` and its like are refused too: a person's statement does not end the store's transaction.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from node.errors import RefusedError, UsageError
from node.sql_tokens import Token, TokenKind, tokenize, written
from node.sql_vocabulary import (
    FORBIDDEN_WORDS,
    FUNCTIONS,
    KNOWN_NODES,
    ROW_NUMBER_NAMES,
    TABLE_FUNCTIONS,
    WORDS_BEFORE_PARENTHESIS,
)
from node.store.schema import Component

_BEGINNINGS = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardedStatement:
    """A statement that may run, in the spelling that was checked."""

    sql: str
    writes: bool
    parameter_count: int


def tables_of(components: Iterable[Component]) -> frozenset[str]:
    """Return the names of the tables that belong to the person."""
    return frozenset(table.name for component in components for table in component.tables)


def guard_statement(sql: str, tables: Collection[str], *, parameter_count: int) -> GuardedStatement:
    """Return the statement to run instead of `sql`.

    Raises RefusedError for what is not allowed, and UsageError for what is not understood or lacks parameters.
    """
    tokens = tokenize(sql)
    if not tokens[0].is_word(*_BEGINNINGS):
        raise RefusedError(
            f"A statement begins with {', '.join(_BEGINNINGS)}; this one begins with {tokens[0].text!r}."
        )
    _check_tokens(tokens)
    statement = written(tokens)
    tree = _parsed(statement)
    _check_tree(tree, frozenset(tables))
    wanted = sum(token.kind is TokenKind.PARAMETER for token in tokens)
    if wanted != parameter_count:
        raise UsageError(f"The statement has {wanted} parameters (?), and {parameter_count} values were given.")
    return GuardedStatement(
        sql=statement, writes=isinstance(tree, exp.Insert | exp.Update | exp.Delete), parameter_count=wanted
    )


def _check_tokens(tokens: list[Token]) -> None:
    for position, token in enumerate(tokens):
        if not token.is_name:
            continue
        if token.is_word(*FORBIDDEN_WORDS):
            raise RefusedError(f"{token.text.upper()} is not allowed here.")
        _check_name(token.text)
        following = tokens[position + 1] if position + 1 < len(tokens) else None
        called = following is not None and following.is_operator("(")
        if token.is_word("IN") and not called:
            raise RefusedError("IN is followed by a parenthesis: a list or a SELECT.")
        if called and not _may_stand_before_parenthesis(tokens, position):
            raise RefusedError(f"The function {token.text!r} is not one of those that can be used here.")


def _check_name(name: str) -> None:
    lowered = name.casefold()
    if lowered.startswith(("_", "sqlite", "pragma")) or lowered in ROW_NUMBER_NAMES:
        raise RefusedError(f"The name {name!r} belongs to the store itself and cannot be used.")


def _may_stand_before_parenthesis(tokens: list[Token], position: int) -> bool:
    token = tokens[position]
    if token.kind is TokenKind.WORD and (
        token.text.lower() in FUNCTIONS
        or token.text.lower() in TABLE_FUNCTIONS
        or token.text.upper() in WORDS_BEFORE_PARENTHESIS
    ):
        return True
    # The columns of `INSERT INTO table (…)` and of `WITH name (…) AS`: the tree says which name that is.
    before = tokens[position - 1] if position else None
    return before is not None and (
        before.is_word("INTO", "WITH") or (before.is_operator(",") and _names_columns(tokens, position))
    )


def _names_columns(tokens: list[Token], position: int) -> bool:
    """Whether `name ( a , b ) AS (` stands here, as in a second common table expression."""
    place = position + 2
    while place + 1 < len(tokens) and tokens[place].is_name and tokens[place + 1].is_operator(","):
        place += 2
    ending = tokens[place : place + 4]
    return (
        len(ending) == 4
        and ending[0].is_name
        and ending[1].is_operator(")")
        and ending[2].is_word("AS")
        and ending[3].is_operator("(")
    )


def _parsed(statement: str) -> exp.Expression:
    try:
        trees = sqlglot.parse(statement, read="sqlite")
    except (SqlglotError, RecursionError, ValueError, TypeError, AttributeError, LookupError) as error:
        # The parser is written for well-meant SQL and stumbles in many ways over other text.
        raise UsageError("This is not understood as one SQL statement of SQLite; check its syntax.") from error
    if len(trees) != 1 or not isinstance(
        trees[0], exp.Select | exp.SetOperation | exp.Insert | exp.Update | exp.Delete
    ):
        raise UsageError("This is not understood as one SELECT, INSERT, UPDATE or DELETE.")
    return trees[0]


def _check_tree(tree: exp.Expression, tables: frozenset[str]) -> None:
    for node in tree.walk():
        if not (isinstance(node, exp.Func) or type(node).__name__ in KNOWN_NODES):
            raise RefusedError(
                "This part of SQL is not among those that can be used here: " + type(node).__name__ + "."
            )
        if isinstance(node, exp.Anonymous) and node.name.lower() not in FUNCTIONS | TABLE_FUNCTIONS:
            raise RefusedError(f"The function {node.name!r} is not one of those that can be used here.")
        if isinstance(node, exp.Insert | exp.Update | exp.Delete) and node is not tree:
            raise RefusedError("A statement that writes cannot stand inside another.")
    definitions = _definitions(tree, tables)
    for table in tree.find_all(exp.Table):
        _check_table(table, tables, definitions)
    if isinstance(tree, exp.Insert | exp.Update | exp.Delete):
        _check_target(tree, tables)


def _definitions(tree: exp.Expression, tables: frozenset[str]) -> dict[str, exp.CTE]:
    """Return the common table expressions by name; they stand only in front of the whole statement."""
    clauses = list(tree.find_all(exp.With))
    if not clauses:
        return {}
    # sqlglot hangs the WITH before `a UNION b` on the union, before an INSERT on the INSERT.
    if len(clauses) != 1 or clauses[0].parent is not tree:
        raise RefusedError("WITH stands once, at the beginning of the statement.")
    definitions: dict[str, exp.CTE] = {}
    for definition in clauses[0].expressions:
        name = definition.alias.lower()
        if name in definitions or name in tables or name in TABLE_FUNCTIONS:
            raise RefusedError(f"WITH needs a new name instead of {name!r}.")
        for table in definition.find_all(exp.Table):
            referred = table.name.lower()
            # Only what was defined before: neither itself nor a circle.
            if referred not in definitions and referred not in tables and not isinstance(table.this, exp.Anonymous):
                raise RefusedError(
                    f"The table {table.name!r} is not among those that can be read here; an expression of WITH"
                    " refers to tables and to expressions before it."
                )
        definitions[name] = definition
    return definitions


def _check_table(table: exp.Table, tables: frozenset[str], definitions: Collection[str]) -> None:
    if table.args.get("db") is not None or table.args.get("catalog") is not None:
        raise RefusedError("A table is named without a schema in front of it.")
    if isinstance(table.this, exp.Func):
        called = table.this.name if isinstance(table.this, exp.Anonymous) else ""
        if called.lower() not in TABLE_FUNCTIONS:
            raise RefusedError("Only json_each and json_tree can be read like a table.")
        return
    if not isinstance(table.this, exp.Identifier):
        raise RefusedError("A table is named plainly.")
    if table.name.lower() not in tables and table.name.lower() not in definitions:
        raise RefusedError(
            f"The table {table.name!r} is not among those that can be used here: {', '.join(sorted(tables))}."
        )


def _check_target(tree: exp.Insert | exp.Update | exp.Delete, tables: frozenset[str]) -> None:
    target = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
    # The engine looks for the table to write among real tables only, whatever WITH defines.
    if not isinstance(target, exp.Table) or target.name.lower() not in tables:
        raise RefusedError(f"The table to write is not among those that can be written: {', '.join(sorted(tables))}.")
    if tree.args.get("tables"):
        raise RefusedError("One table is written at a time.")

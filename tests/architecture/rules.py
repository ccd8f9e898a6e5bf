"""The rules of form: how long, how named, how documented, and that no error is swallowed.

Each rule is a function from one source to the list of its violations, as sentences beginning with the place.
"""

import ast
import re
from pathlib import PurePosixPath

from tests.architecture.source_tree import Source

FUNCTION_LINES_MAX = 60
MODULE_LINES_MAX = 400
BANNED_NAMES = frozenset({"base", "common", "helper", "helpers", "manager", "misc", "util", "utils"})
BROAD_ERRORS = frozenset({"Exception", "BaseException"})


def function_lengths(source: Source) -> list[str]:
    """Functions longer than a screen, counted from `def` to the last line."""
    return [
        f"{source.path}:{node.lineno} {node.name} has {lines} lines, at most {FUNCTION_LINES_MAX} are allowed."
        for node in ast.walk(source.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES_MAX
    ]


def module_length(source: Source) -> list[str]:
    lines = len(source.text.splitlines())
    return [f"{source.path} has {lines} lines, at most {MODULE_LINES_MAX}."] if lines > MODULE_LINES_MAX else []


def module_docstring(source: Source) -> list[str]:
    """A docstring whose first paragraph is one sentence: the module's single responsibility."""
    docstring = ast.get_docstring(source.tree)
    if not docstring:
        return [f"{source.path} has no docstring."]
    first = docstring.split("\n\n", 1)[0].strip()
    if not re.search(r"[.:?]($|\s)", first) or not first[0].isalnum():
        return [f"{source.path} begins with {first[:40]!r}, which is no sentence."]
    return []


def module_name(source: Source) -> list[str]:
    """Names that say nothing about what is inside, in any part of the path."""
    path = PurePosixPath(source.path)
    words = {word for part in (*path.parts[:-1], path.stem) for word in part.split("_")}
    return [f"{source.path} is named {word!r}; name what it does." for word in sorted(words & BANNED_NAMES)]


def swallowed_errors(source: Source) -> list[str]:
    """Handlers of every error that do nothing with it, and `suppress(Exception)`."""
    found = []
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ExceptHandler) and _is_broad(node.type) and all(map(_does_nothing, node.body)):
            found.append(f"{source.path}:{node.lineno} swallows every error.")
        if isinstance(node, ast.Call) and _name(node.func) == "suppress" and any(map(_is_broad, node.args)):
            found.append(f"{source.path}:{node.lineno} suppresses every error.")
    return found


def _name(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def _is_broad(kind: ast.expr | None) -> bool:
    if kind is None:
        return True
    if isinstance(kind, ast.Tuple):
        return any(map(_is_broad, kind.elts))
    return _name(kind) in BROAD_ERRORS


def _does_nothing(statement: ast.stmt) -> bool:
    match statement:
        case ast.Pass() | ast.Continue() | ast.Break() | ast.Expr(value=ast.Constant()):
            return True
        case ast.Return(value=value):
            return value is None or (isinstance(value, ast.Constant) and value.value is None)
        case _:
            return False

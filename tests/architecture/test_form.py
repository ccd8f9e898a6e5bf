"""The code keeps its own form: short functions and modules, told responsibilities, names that say something."""

from collections.abc import Callable

import pytest

from tests.architecture.rules import (
    FUNCTION_LINES_MAX,
    MODULE_LINES_MAX,
    function_lengths,
    module_docstring,
    module_length,
    module_name,
    swallowed_errors,
)
from tests.architecture.source_tree import EVERYTHING, Source, parse, sources

Rule = Callable[[Source], list[str]]
RULES: tuple[Rule, ...] = (function_lengths, module_length, module_docstring, module_name, swallowed_errors)


def _function(lines: int) -> str:
    return "def long() -> None:\n" + "    x = 1\n" * (lines - 1)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_whole_project_keeps(rule: Rule) -> None:
    violations = [violation for source in sources(EVERYTHING) for violation in rule(source)]
    assert not violations, "\n".join(violations)


PLANTED: tuple[tuple[Rule, str, str], ...] = (
    (function_lengths, "node/x.py", _function(FUNCTION_LINES_MAX + 1)),
    (function_lengths, "node/x.py", "class A:\n    async " + _function(FUNCTION_LINES_MAX + 1).replace("\n", "\n    ")),
    (module_length, "node/x.py", "x = 1\n" * (MODULE_LINES_MAX + 1)),
    (module_docstring, "node/x.py", "x = 1\n"),
    (module_docstring, "node/x.py", '"""   """\n'),
    (module_docstring, "node/x.py", '"""no sentence at all"""\n'),
    (module_name, "node/utils.py", ""),
    (module_name, "node/store/common/rows.py", ""),
    (module_name, "node/session_manager.py", ""),
    (swallowed_errors, "node/x.py", "try:\n    f()\nexcept Exception:\n    pass\n"),
    (swallowed_errors, "node/x.py", "try:\n    f()\nexcept:\n    ...\n"),
    (swallowed_errors, "node/x.py", "try:\n    f()\nexcept (OSError, BaseException) as error:\n    'told'\n"),
    (swallowed_errors, "node/x.py", "def g():\n    try:\n        f()\n    except Exception:\n        return None\n"),
    (swallowed_errors, "node/x.py", "with contextlib.suppress(Exception):\n    f()\n"),
)


@pytest.mark.parametrize(("rule", "path", "text"), PLANTED)
def test_a_planted_violation_is_seen(rule: Rule, path: str, text: str) -> None:
    assert rule(parse(path, text))


ALLOWED: tuple[tuple[Rule, str, str], ...] = (
    (function_lengths, "node/x.py", _function(FUNCTION_LINES_MAX)),
    (module_length, "node/x.py", "x = 1\n" * MODULE_LINES_MAX),
    (module_docstring, "node/x.py", '"""Keeps one thing."""\n'),
    (module_name, "node/store/database.py", ""),
    (swallowed_errors, "node/x.py", "try:\n    f()\nexcept OSError:\n    pass\n"),
    (swallowed_errors, "node/x.py", "try:\n    f()\nexcept Exception as error:\n    raise ValueError from error\n"),
)


@pytest.mark.parametrize(("rule", "path", "text"), ALLOWED)
def test_what_is_just_within_a_rule_is_let_through(rule: Rule, path: str, text: str) -> None:
    assert not rule(parse(path, text))

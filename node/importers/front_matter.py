"""Reads the front matter of Markdown files, YAML between two lines of dashes; the only module that knows YAML.

Values are taken as JSON has them: texts, numbers, true and false, null, lists, mappings. A date stays the text that it
is, and `yes`, `no`, `on`, `off` are words. Anchors and aliases are refused: a few lines of them unfold to gigabytes.
"""

import re
from collections.abc import Mapping

import yaml

from node.importers.json_records import Unreadable, keepable
from node.importers.plan import INTEGER_MAX

_FENCED = re.compile(r"\A---[ \t]*\r?\n(.*?)(?:^|(?<=\n))---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
_RESOLVERS: tuple[tuple[str, str, str], ...] = (
    ("tag:yaml.org,2002:bool", r"true|false|True|False", "tTfF"),
    ("tag:yaml.org,2002:null", r"~|null|Null|", "~nN"),
    ("tag:yaml.org,2002:int", r"-?(?:0|[1-9][0-9]*)", "-0123456789"),
    ("tag:yaml.org,2002:float", r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+(?:[eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+)", "-0123456789"),
)


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML has no types
    """YAML without what JSON cannot say."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise Unreadable("the front matter uses an alias (*), which is not supported")
        return super().compose_node(parent, index)


def _number(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> object:
    """Return a number only if it says all that is written: 1.10 is a version, and so a text."""
    written = str(loader.construct_scalar(node))
    number = float(written) if any(mark in written for mark in ".eE") else int(written)
    is_kept = isinstance(number, float) or abs(number) <= INTEGER_MAX
    return number if is_kept and repr(number) == written else written


# A copy of its own: the resolvers of the class that it derives from are shared with everybody.
_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in _RESOLVERS:
    _Loader.add_implicit_resolver(_tag, re.compile(f"(?:{_pattern})\\Z"), [*_first, ""])
for _tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float"):
    _Loader.add_constructor(_tag, _number)


def split_front_matter(text: str) -> tuple[Mapping[str, object], str]:
    """Return the fields and the text after them, which is exact; raises Unreadable where the YAML is malformed.

    A text that begins with a rule (`---`) and no mapping after it has no front matter.
    """
    match = _FENCED.match(text)
    if match is None:
        return {}, text
    try:
        # SafeLoader makes values alone, and no objects.
        loaded = yaml.load(match[1], Loader=_Loader)  # noqa: S506
    except yaml.MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f", line {error.problem_mark.line + 2}"
        raise Unreadable(f"the front matter is no YAML{line}: {error.problem or error.context}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise Unreadable("the front matter is no YAML") from error
    except RecursionError as error:
        raise Unreadable("the front matter is nested too deeply") from error
    if loaded is None:
        return {}, text[match.end() :]
    if not isinstance(loaded, dict):
        return {}, text
    return {keepable(str(key)): _plain(value) for key, value in loaded.items()}, text[match.end() :]


def _plain(value: object) -> object:
    match value:
        case dict():
            return {keepable(str(key)): _plain(item) for key, item in value.items()}
        case list():
            return [_plain(item) for item in value]
        case str():
            return keepable(value)
        case None | bool() | int() | float():
            return value
        case _:
            return keepable(str(value))

"""Reads the project's own Python files, so that rules about the code can be measured."""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
PRODUCT = ("crdt", "sync", "node")
CORE = ("crdt", "sync")
EVERYTHING = (*PRODUCT, "simulations", "tests")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One Python file: where it is, what it says and its syntax tree."""

    path: str
    text: str
    tree: ast.Module

    @property
    def top(self) -> str:
        return self.path.split("/", 1)[0]


def parse(path: str, text: str) -> Source:
    return Source(path=path, text=text, tree=ast.parse(text, filename=path))


def sources(tops: Sequence[str]) -> Iterator[Source]:
    """The files under the named top-level folders, in a stable order."""
    for top in tops:
        for file in sorted((PROJECT / top).rglob("*.py")):
            yield parse(file.relative_to(PROJECT).as_posix(), file.read_text(encoding="utf-8"))

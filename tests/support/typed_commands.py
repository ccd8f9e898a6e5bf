"""Reads in a document of the project what a person is told to type, on which device, and what is then shown."""

import re
from dataclasses import dataclass
from pathlib import Path

FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: A comment of its own line says on which device the lines below it are typed.
ON_DEVICE = re.compile(r"# on the (\w+)")
FIRST_DEVICE = "laptop"


@dataclass(frozen=True, slots=True)
class Command:
    """One line as it is typed, without the comment behind it."""

    device: str
    line: str


@dataclass(frozen=True, slots=True)
class Block:
    """Commands that stand together; `shown` are lines that the last of them writes, in this order, among others."""

    document: str
    commands: tuple[Command, ...]
    shown: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.document}: {self.commands[0].line}" if self.commands else self.document


def blocks(project: Path, document: str) -> list[Block]:
    """Return the blocks of shell commands of a document in their order; a block of text below one is its output."""
    found: list[Block] = []
    text = (project / document).read_text(encoding="utf-8")
    fenced = list(FENCED.finditer(text))
    for number, fence in enumerate(fenced):
        if fence[1] != "sh":
            continue
        following = fenced[number + 1] if number + 1 < len(fenced) else None
        is_output = (
            following is not None and following[1] == "text" and not text[fence.end() : following.start()].strip()
        )
        shown = following[2].splitlines() if following is not None and is_output else []
        found.append(Block(document, tuple(_commands(fence[2])), tuple(line for line in shown if line.strip())))
    return found


def _commands(text: str) -> list[Command]:
    commands, device = [], FIRST_DEVICE
    for line in text.splitlines():
        if named := ON_DEVICE.match(line):
            device = named[1]
        typed = re.sub(r"(^|\s+)#(\s.*)?$", "", line).strip()
        if typed:
            commands.append(Command(device, typed))
    return commands


def in_order(shown: tuple[str, ...], output: str) -> str | None:
    """Return the first line of `shown` that the output does not have below those before it, None if it has all.

    Words with a digit in them, another one each time, and the space between words are not compared.
    """
    lines = iter([_shape(line) for line in output.splitlines()])
    return next((line for line in shown if _shape(line) not in lines), None)


def _shape(line: str) -> str:
    return re.sub(r"\S*\d\S*", "#", " ".join(line.split()))

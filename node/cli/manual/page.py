"""What a page of the manual says, and how it stands below a command's options."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from node.cli.failures import FAILED, INTERRUPTED, READER_GONE
from node.errors import NotRunningError, RefusedError, UsageError, WrongPassphraseError

DONE = 0
USAGE, LOCKED = UsageError.exit_code, WrongPassphraseError.exit_code
NO_NODE, REFUSED = NotRunningError.exit_code, RefusedError.exit_code

_MEANING_BY_CODE: Mapping[int, str] = {
    DONE: "done",
    FAILED: "failed; the sentence on standard error says why",
    USAGE: "wrong usage, or a setting is wrong",
    LOCKED: "the passphrase is wrong or missing",
    NO_NODE: "no node runs on this home",
    REFUSED: "refused: by you, by the other device, or to protect what is there",
    INTERRUPTED: "interrupted with Ctrl-C",
    READER_GONE: "whoever read the output has closed it",
}
#: What most commands end with: they ask the running node, or open the home themselves.
USUAL_CODES = (DONE, FAILED, USAGE, LOCKED, NO_NODE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A command line as it is typed, and what it does."""

    line: str
    does: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What one command's help says beyond its options.

    `notes` is a paragraph; `meanings` tells a code of this command more exactly.
    """

    examples: tuple[Example, ...]
    notes: str = ""
    codes: tuple[int, ...] = USUAL_CODES
    meanings: Mapping[int, str] = field(default_factory=dict)


def page(
    *examples: tuple[str, str],
    notes: str = "",
    codes: tuple[int, ...] = USUAL_CODES,
    meanings: Mapping[int, str] | None = None,
) -> Page:
    """Return a page; its examples are pairs of a line and what it does."""
    return Page(
        examples=tuple(Example(line=line, does=does) for line, does in examples),
        notes=notes,
        codes=codes,
        meanings=meanings or {},
    )


def epilog(shown: Page) -> str:
    """Return the page as the text below a command's help, in rich's markup."""
    parts = [_escaped(shown.notes)] if shown.notes else []
    lines = [
        line
        for example in shown.examples
        for line in (f"  {_escaped(example.line)}", f"      {_escaped(example.does)}")
    ]
    parts.append("\n".join(["[bold]Examples[/bold]", *lines]))
    codes = [f"  {code:<4}{_escaped(shown.meanings.get(code, _MEANING_BY_CODE[code]))}" for code in shown.codes]
    parts.append("\n".join(["[bold]Exit codes[/bold]", *codes]))
    return "\n\n".join(parts)


def _escaped(text: str) -> str:
    """Return the text so that rich shows its brackets instead of obeying them."""
    return text.replace("[", "\\[")

"""How an examination looks to a person: what needs them first, what is well in one quiet list."""

from collections.abc import Mapping

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from node.cli.plain_text import plain
from node.requests import Examined, Finding
from node.requests.doctor import State

_MARK_BY_STATE: Mapping[State, tuple[str, str]] = {
    "good": ("✓", "green"),
    "notice": ("!", "yellow"),
    "unknown": ("?", "cyan"),
    "bad": ("✗", "bold red"),
}


def render_examined(value: Examined) -> RenderableType:
    """Draw the findings in the order of the examination, and the judgement at the end, where the eye is."""
    listed = Table.grid(padding=(0, 2, 0, 0))
    listed.add_column(width=2, justify="right")
    listed.add_column(no_wrap=True)
    listed.add_column(overflow="fold")
    for finding in value.findings:
        mark, style = _MARK_BY_STATE[finding.state]
        name_style = "dim" if finding.state == "good" else "bold"
        text_style = "red" if finding.state == "bad" else ""
        listed.add_row(
            Text(mark, style=style), Text(finding.name, style=name_style), Text(plain(finding.says), text_style)
        )
        if finding.mend:
            listed.add_row("", "", Text.assemble(("→ ", style), (plain(finding.mend), "bold")))
    return Group(listed, Text(), _judgement(value.findings))


def _judgement(findings: list[Finding]) -> Text:
    count = {state: sum(finding.state == state for finding in findings) for state in _MARK_BY_STATE}
    if count["bad"]:
        what = "One thing is broken" if count["bad"] == 1 else f"{count['bad']} things are broken"
        return Text(f"{what}: do what stands after →.", style="bold red")
    if count["notice"] or count["unknown"]:
        return Text(f"Nothing is broken; {_also(count)}.", style="bold yellow")
    return Text("All is well.", style="bold green")


def _also(count: Mapping[State, int]) -> str:
    parts = []
    if count["notice"]:
        parts.append("one thing is worth knowing" if count["notice"] == 1 else f"{count['notice']} are worth knowing")
    if count["unknown"]:
        parts.append("one could not be told" if count["unknown"] == 1 else f"{count['unknown']} could not be told")
    return " and ".join(parts)

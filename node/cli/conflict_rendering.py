"""How conflicts look to a person: both versions side by side, who wrote them, and what can be done."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from node.cli.differences import TextDifference
from node.cli.plain_text import plain, plain_line
from node.cli.rendering import cell, entries, short_time
from node.requests import ConflictList, ConflictReport, ConflictVersion, NameClashReport, Reopened, Resolved

KEY_DIGITS_SHOWN = 8
_LABEL_CHARACTERS = 60
_VALUE_CHARACTERS = 120
_STYLE_BY_STATE = {"open": "bold yellow", "reopened": "bold yellow", "settled": "green", "resolved": "green"}
_CHOICES = {
    "shown": "what was shown was kept",
    "other": "the other version was taken",
    "text": "a third version was written",
}


def render_conflicts(value: ConflictList) -> RenderableType:
    """Draw the inbox: of each conflict the record, both versions and its key."""
    if not value.conflicts and value.name_clashes:
        return _name_clashes(value.name_clashes)
    if not value.conflicts:
        return Text.assemble(
            ("No conflict is open. ", "bold green"), "Nothing that was written apart was lost to sight."
        )
    drawn = entries()
    for conflict in value.conflicts:
        drawn.add_row(Text("≠", style=_STYLE_BY_STATE[conflict.state]), _heading(conflict))
        drawn.add_row("", _line("shown", conflict.shown, "green"))
        drawn.add_row("", _line("other", conflict.other, "yellow"))
        key = conflict.key[:KEY_DIGITS_SHOWN]
        drawn.add_row("", Text(f"{conflict.state} · {key}", style="dim"))
    waiting = f"{value.open:,} open. " if value.open else ""
    hint = Text.assemble(
        f"\n{waiting}Look at one: ",
        ("nuthatch conflicts show KEY", "bold"),
        "\nChoose: ",
        ("nuthatch conflicts resolve KEY --keep shown|other", "bold"),
    )
    return Group(drawn, hint, *([Text(), _name_clashes(value.name_clashes)] if value.name_clashes else []))


def _name_clashes(clashes: Sequence[NameClashReport]) -> RenderableType:
    drawn = entries()
    for clash in clashes:
        name = plain_line(clash.name, _LABEL_CHARACTERS)
        drawn.add_row(
            Text("=", style="bold yellow"), Text.assemble((name, "italic"), f" names {len(clash.ids)} {clash.table}")
        )
        for number, row_id in enumerate(clash.ids):
            drawn.add_row(
                "", Text(f"{row_id}{'  made first; this one is found by name' if number == 0 else ''}", style="dim")
            )
    return Group(drawn, Text("\nRename all but one, and each is found by its name."))


def render_conflict(value: ConflictReport) -> RenderableType:
    """Draw one conflict whole: both versions, how they differ, and where it stands."""
    versions = Table.grid(padding=(0, 2, 0, 0))
    versions.add_column(style="bold", no_wrap=True)
    versions.add_column(no_wrap=True)
    versions.add_column(overflow="fold")
    for name, version, style in (("shown", value.shown, "green"), ("other", value.other, "yellow")):
        who = Text.assemble((plain(version.device), style), f"  {short_time(version.at)}")
        versions.add_row(name, who, cell(version.value))
    parts: list[RenderableType] = [
        Text.assemble(_heading(value), "\n", (f"{value.table} {value.id}", "dim"), "\n"),
        versions,
    ]
    shown, other = value.shown.value, value.other.value
    if isinstance(shown, str) and isinstance(other, str) and shown != other:
        parts += [Text("\nfrom the other version to the one shown", style="dim")]
        parts += [TextDifference(other, shown)]
    return Group(*parts, Text(), _standing(value))


def render_resolved(value: Resolved) -> RenderableType:
    """Draw what stands now."""
    return Text.assemble(
        ("Resolved. ", "bold green"),
        f"{value.column} is now ",
        cell(value.value),
        ", on every device. Take it back: ",
        (f"nuthatch conflicts undo {value.key[:KEY_DIGITS_SHOWN]}", "bold"),
    )


def render_reopened(value: Reopened) -> RenderableType:
    """Draw that a choice was taken back."""
    said = "the value that it replaced stands again" if value.restored else "what stands was left as it is"
    return Text.assemble(("Open again: ", "bold yellow"), f"{said}.")


def _heading(conflict: ConflictReport) -> Text:
    label = plain_line(conflict.label or conflict.id, _LABEL_CHARACTERS)
    return Text.assemble((plain(conflict.column), "bold cyan"), " of ", (label, "italic"))


def _line(name: str, version: ConflictVersion, style: str) -> Text:
    text = plain_line(cell(version.value).plain, _VALUE_CHARACTERS)
    return Text.assemble((f"{name}  ", "dim"), (text, style), (f"  {version.device}, {short_time(version.at)}", "dim"))


def _standing(value: ConflictReport) -> Text:
    key = value.key[:KEY_DIGITS_SHOWN]
    match value.state:
        case "resolved":
            said = f"Resolved by {_who(value)}: {_CHOICES[value.choice or 'shown']}. "
            return Text.assemble((said, "green"), "Take it back: ", (f"nuthatch conflicts undo {key}", "bold"))
        case "settled":
            said = f"Settled by {_who(value)}, who had seen this version and wrote anew."
            return Text(said, style="green")
        case _:
            return Text.assemble(
                ("Open. ", "bold yellow"),
                ("nuthatch conflicts resolve ", "bold"),
                (key, "bold"),
                (" --keep shown", "bold"),
                " keeps what is shown, ",
                ("--keep other", "bold"),
                " takes the other, ",
                ("--text TEXT", "bold"),
                " writes a third.",
            )


def _who(value: ConflictReport) -> str:
    return f"{plain(value.done_by or '')}, {short_time(value.done_at)}"

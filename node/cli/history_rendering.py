"""How history looks to a person: what was done, by whom, from what to what."""

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from node.cli.differences import NEW, OLD, TextDifference
from node.cli.plain_text import plain, plain_line
from node.cli.rendering import cell, entries, short_time
from node.requests import FieldChange, Forgotten, LogEntry, LogReport, Undone

_LABEL_CHARACTERS = 70
_MARK_BY_WHAT = {"created": ("+", "bold green"), "changed": ("~", "bold yellow"), "forgotten": ("-", "bold red")}
_VERB_BY_WHAT = {"created": "created", "changed": "changed", "forgotten": "forgot"}
# Kept by the store itself with every edit: it says nothing that the entry does not say.
_BOOKKEEPING = frozenset({"updated_at"})


def render_log(value: LogReport) -> RenderableType:
    """Draw what was done, newest first; the version at the end of a line can be given to `undo --to`."""
    if not value.entries:
        return Text("Nothing was done here yet.", style="dim")
    drawn = entries()
    one_record = len({entry.id for entry in value.entries}) == 1
    for entry in value.entries:
        mark, style = _MARK_BY_WHAT[entry.what]
        drawn.add_row(Text(mark, style=style), _headline(entry))
        if entry.what == "changed":
            drawn.add_row("", Padding(fields_table(entry.fields), (0, 0, 0, 2)))
        parts = [short_time(entry.at), entry.table, f"version {entry.version}"]
        drawn.add_row("", Text(" · ".join(parts if one_record else [*parts, entry.id]), style="dim", overflow="fold"))
    return drawn


def render_undone(value: Undone) -> RenderableType:
    """Draw what was set back."""
    return Text.assemble(
        ("Set back ", "bold green"),
        ", ".join(value.columns),
        " of ",
        (plain(value.id), "bold"),
        ". The undo is a ",
        "change like any other: ",
        ("nuthatch log", "bold"),
        " shows it, and another undo takes it back.",
    )


def render_forgotten(value: Forgotten) -> RenderableType:
    """Draw what is gone, or would go."""
    lines = [f"{_counted(count, 'record')} of {table}" for table, count in value.rows_by_table.items()]
    lines += [f"{_counted(value.changes, 'change')} in the history"] if value.changes else []
    lines += [f"{_counted(value.conflicts, 'losing version')}"] if value.conflicts else []
    listed = Text("\n".join(f"  · {line}" for line in lines))
    if value.dry_run:
        heading = Text.assemble(
            ("This would go, on every device", "bold yellow"), ", with its words in the change log:"
        )
        return Group(heading, listed, Text("Nothing was changed.", style="dim"))
    heading = Text.assemble(("Forgotten ", "bold green"), (plain(value.id), "bold"))
    return Group(heading.append(". It will not come back on any device."), listed)


def fields_table(fields: list[FieldChange]) -> RenderableType:
    """Draw the old and the new value of each column, of texts as one difference."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(overflow="fold")
    for field in fields:
        if field.column not in _BOOKKEEPING or len(fields) == 1:
            table.add_row(plain(field.column), difference(field.before, field.after))
    return table


def difference(before: object, after: object) -> RenderableType:
    """Draw how one value became another."""
    if isinstance(before, str) and isinstance(after, str) and before and after:
        return TextDifference(before, after)
    old, new = cell(before), cell(after)
    old.stylize(OLD)
    new.stylize(NEW)
    return Text.assemble(old, (" → ", "dim"), new)


def _headline(entry: LogEntry) -> Text:
    label = plain_line(entry.label or "", _LABEL_CHARACTERS)
    return Text.assemble(
        (plain(entry.device), "bold"), f" {_VERB_BY_WHAT[entry.what]} ", (label or "a record", "italic")
    )


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"

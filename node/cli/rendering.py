"""How results look to a person: one function for each kind of value, each returning something that rich can draw."""

from datetime import UTC, datetime

import msgspec
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from node.cli.export_file import Exported
from node.cli.layout import FullWidth
from node.cli.plain_text import plain, plain_line
from node.requests import (
    Edited,
    Imported,
    MemoryList,
    Recalled,
    Remembered,
    Shown,
    SqlResult,
)

_SNIPPET_CHARACTERS = 400
_CELL_CHARACTERS = 200
_NUMBER_CHARACTERS = 3


def render_remembered(value: Remembered) -> RenderableType:
    """Draw the id of a new memory."""
    return _done("Remembered", value.id)


def render_edited(value: Edited) -> RenderableType:
    """Draw the id of what was changed."""
    return _done("Changed", value.id)


def render_recalled(value: Recalled) -> RenderableType:
    """Draw the hits, best first, each with its text and where it comes from."""
    if not value.results:
        return Text("Nothing found. Fewer or other words may help.", style="dim")
    hits = entries()
    for number, hit in enumerate(value.results, start=1):
        hits.add_row(Text(f"{number}", style="bold cyan"), Text(plain_line(hit.text, _SNIPPET_CHARACTERS)))
        speaker = plain_line(hit.speaker or "", _CELL_CHARACTERS)
        hits.add_row("", _origin(hit.table, speaker, short_time(hit.created_at), hit.id))
    return hits


def render_memories(value: MemoryList) -> RenderableType:
    """Draw memories, each with where it belongs; the id stands at the end of a line, to be copied."""
    if not value.memories:
        return Text("Nothing is kept here yet. Try: nuthatch remember 'The key is under the third pot.'", style="dim")
    memories = entries()
    for memory in value.memories:
        memories.add_row(Text("·", style="bold cyan"), Text(plain_line(memory.text, _SNIPPET_CHARACTERS), style="bold"))
        tags = " ".join(f"#{plain(tag)}" for tag in memory.tags)
        memories.add_row("", _origin(plain(memory.namespace), tags, short_time(memory.created_at), memory.id))
    return memories


def render_record(value: Shown) -> RenderableType:
    """Draw one record, a field a line."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row("table", value.table)
    table.add_row("id", value.id)
    for name, field in value.fields.items():
        if name != "id":
            table.add_row(Text(plain(name)), cell(field))
    # One word to copy: a table would break it.
    version = Text(f"  version {plain(value.version)}, for nuthatch edit --base", style="dim", overflow="ignore")
    return Group(table, Text(), version)


def render_sql(value: SqlResult) -> RenderableType:
    """Draw the rows of a statement, or how many it changed."""
    if not value.columns:
        return Text(f"{_counted(value.changes, 'row')} changed.", style="green")
    table = plain_table(*(plain(column) for column in value.columns))
    for row in value.rows:
        table.add_row(*(cell(field) for field in row))
    return FullWidth(Group(table, Text(_counted(len(value.rows), "row"), style="dim")))


def render_imported(value: Imported) -> RenderableType:
    """Draw what an import did, or would do, and what it left out."""
    verb = "Would import" if value.dry_run else "Imported"
    text = Text.assemble((f"{verb}: ", "bold green"), f"{value.added:,} added, {value.unchanged:,} already here")
    if value.skipped:
        text.append(f", {value.skipped:,} left out because you forgot them")
    parts: list[RenderableType] = [text.append(".")]
    if value.added_by_table:
        counted = ", ".join(f"{count:,} {plain(table)}" for table, count in sorted(value.added_by_table.items()))
        parts.append(Text(f"{plain(value.format)}: {counted}", style="dim"))
    if value.left_out:
        parts.append(Text(f"{_counted(value.left_out, 'record')} could not be read:", style="yellow"))
        parts += [Text(f"  {plain_line(f'{one.place}: {one.problem}', _CELL_CHARACTERS)}") for one in value.problems]
        if value.left_out > len(value.problems):
            parts.append(Text("  …", style="dim"))
    if value.left_out_file:
        parts.append(Text("They are kept aside, in plain text, in", style="dim"))
        # A path to copy: the terminal may wrap it, this program must not.
        parts.append(Text(f"  {plain(value.left_out_file)}", style="bold", overflow="ignore", no_wrap=True))
    return Group(*parts)


def render_exported(value: Exported) -> RenderableType:
    """Draw where the export is, and that it is readable."""
    return Text.assemble(
        ("Exported ", "bold green"),
        f"{_counted(value.lines, 'record')} to {value.path}. ",
        ("It is plain text: keep it where only you can read it.", "yellow"),
    )


def short_time(instant: str | None) -> str:
    """Return an instant of the store in this device's time zone, to the minute."""
    if not instant:
        return ""
    try:
        parsed = datetime.fromisoformat(instant)
    except ValueError:
        return plain(instant)
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=UTC)
    return parsed.astimezone().strftime("%Y-%m-%d %H:%M")


def indented(content: RenderableType) -> RenderableType:
    """Set something off from the text around it."""
    return Padding(content, (1, 0, 1, 4))


def plain_table(*headings: str) -> Table:
    """Return an empty table without lines, in the manner of all of them."""
    table = Table(box=None, header_style="bold dim", padding=(0, 2, 0, 0))
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def _origin(*parts: str) -> Text:
    return Text(" · ".join(filter(None, parts)), style="dim", overflow="fold")


def entries() -> Table:
    """Return an empty list: a mark or number, and what it stands for, indented when it takes several lines."""
    table = Table.grid(padding=(0, 1))
    table.add_column(width=_NUMBER_CHARACTERS, justify="right")
    table.add_column(overflow="fold")
    return table


def _done(verb: str, record_id: str) -> Text:
    return Text.assemble((f"{verb} ", "bold green"), (plain(record_id), "bold"))


def cell(field: object) -> Text:
    """Draw one value of a record."""
    match field:
        case None:
            return Text("null", style="dim")
        case str():
            return Text(plain(field))
        case _:
            return Text(plain(msgspec.json.encode(field).decode()))


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"

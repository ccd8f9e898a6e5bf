"""How the demonstration looks to a person."""

from typing import assert_never

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from node.cli.layout import Adaptive
from node.demo.findings import (
    Agreement,
    Apart,
    Began,
    DevicePaired,
    Finding,
    Finished,
    Step,
    Together,
    Unreadable,
)

_TITLE_CHARACTERS = 33
_NARROW_COLUMNS = 70
# Enough of a digest to compare columns by eye; JSON output has all of it.
_DIGEST_CHARACTERS = 12


def render_finding(finding: Finding) -> RenderableType:
    """Draw one finding."""
    match finding:
        case Began():
            return Text.assemble(
                ("Three devices of one person, three real nodes on this machine.\n", "bold"),
                (f"Their homes: {finding.directory}\n", "dim"),
            )
        case Step():
            return _line(finding.title, finding.detail, finding.seconds, finding.network_bytes)
        case DevicePaired():
            sas = f"{finding.sas[:3]} {finding.sas[3:]}"
            detail = Text.assemble("both screens: ", (sas, "bold bright_cyan"))
            return _line(f"The {finding.name} joins", detail, finding.seconds, finding.network_bytes)
        case Apart():
            return Group(
                _line("Cables pulled, all edit the same", "nobody sees another", finding.seconds, 0), _deeds(finding)
            )
        case Together():
            return _outcome(finding)
        case Agreement():
            return _agreement(finding)
        case Unreadable():
            return _unreadable(finding)
        case Finished():
            return _finished(finding)
        case _:
            assert_never(finding)


def counted_bytes(count: int) -> str:
    """Return a number of bytes as a person reads it."""
    if count < 1_000:
        return f"{count} B"
    if count < 1_000_000:
        return f"{count / 1_000:.1f} kB"
    return f"{count / 1_000_000:.1f} MB"


def _line(title: str, detail: str | Text, seconds: float, network_bytes: int) -> RenderableType:
    carried = Text(counted_bytes(network_bytes) if network_bytes else "", style="dim")
    took = f"{seconds:.2f} s"
    return Adaptive(
        lambda width: (
            _below(title, detail, took, carried) if width < _NARROW_COLUMNS else _beside(title, detail, took, carried)
        )
    )


def _below(title: str, detail: str | Text, took: str, carried: Text) -> RenderableType:
    line = Table.grid(padding=(0, 1))
    line.add_row(Text("✓", style="bold green"), Text(title, style="bold"))
    line.add_row("", detail)
    line.add_row("", Text(" · ", style="dim").join([Text(took, style="dim"), *([carried] if carried else [])]))
    return line


def _beside(title: str, detail: str | Text, took: str, carried: Text) -> RenderableType:
    line = Table.grid(padding=(0, 1), expand=False)
    line.add_column(width=1)
    line.add_column(width=_TITLE_CHARACTERS)
    line.add_column(justify="right", width=7)
    line.add_column(justify="right", width=9)
    line.add_column()
    line.add_row(Text("✓", style="bold green"), Text(title, style="bold"), took, carried, detail)
    return line


def _deeds(finding: Apart) -> RenderableType:
    table = Table(box=None, header_style="bold dim", padding=(0, 2, 0, 0))
    table.add_column()
    for device in finding.deeds_by_device:
        table.add_column(device, ratio=1, overflow="fold")
    for thing in next(iter(finding.deeds_by_device.values())):
        table.add_row(Text(thing, style="dim"), *(deeds[thing] for deeds in finding.deeds_by_device.values()))
    return Padding(table, (1, 0, 1, 4))


def _outcome(finding: Together) -> RenderableType:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim")
    table.add_column()
    for thing, outcome in finding.outcome.items():
        table.add_row(thing, outcome)
    return Padding(Group(Text("On all three now:", style="bold"), table), (1, 0, 1, 4))


def _agreement(finding: Agreement) -> RenderableType:
    return Adaptive(lambda width: _digests(finding, narrow=width < _NARROW_COLUMNS))


def _digests(finding: Agreement, *, narrow: bool) -> RenderableType:
    table = Table(box=None, header_style="bold dim", padding=(0, 1 if narrow else 2, 0, 0), pad_edge=not narrow)
    characters = _DIGEST_CHARACTERS // 3 if narrow else _DIGEST_CHARACTERS
    table.add_column("Digest of")
    table.add_column("Rows", justify="right")
    for device in finding.streams[0].digest_by_device:
        table.add_column(device)
    table.add_column()
    for stream in finding.streams:
        rows = sorted(set(stream.rows_by_device.values()))
        table.add_row(
            stream.name,
            " / ".join(f"{count:,}" for count in rows),
            *(Text(digest[:characters], style="cyan") for digest in stream.digest_by_device.values()),
            Text("=", style="bold green") if stream.equal else Text("DIFFERENT", style="bold red"),
        )
    return Padding(table, (0, 0, 1, 0 if narrow else 4))


def _unreadable(finding: Unreadable) -> RenderableType:
    looked = f"{counted_bytes(finding.file_bytes)} in {finding.files} files, {counted_bytes(finding.network_bytes)}"
    sought = f": {finding.phrases} sentences looked for in {looked} of network traffic, found in none."
    line = Table.grid(padding=(0, 1))
    line.add_row(Text("✓", style="bold green"), Text.assemble(("Nothing of it is readable", "bold"), sought))
    return line


def _finished(finding: Finished) -> RenderableType:
    homes = f"The homes stay in {finding.directory}." if finding.kept else "Homes removed."
    return Text.assemble(
        ("\nThree devices, one memory. ", "bold green"),
        f"{finding.seconds:.1f} s, {counted_bytes(finding.network_bytes)} over the network. {homes}",
    )

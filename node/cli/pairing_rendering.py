"""How a new realm and the meeting of two devices look to a person: codes to scan and digits to compare."""

from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.text import Text

from node.cli.big_digits import draw_digits
from node.cli.plain_text import plain
from node.cli.qr_picture import QrPicture
from node.cli.rendering import indented, short_time
from node.requests import StreamComplete, StreamReadable

if TYPE_CHECKING:
    from node.composition import Initialised
    from node.joining import Joined, SasShown, Synced
    from node.requests import CodeShown, ConfirmAsked, Delivered, Paired, Readable, TurnedAway


def render_initialised(value: "Initialised") -> RenderableType:
    """Draw a new device, and the recovery code that is never shown again."""
    return Group(
        Text("This is your first device now.", style="bold green"),
        Text(f"  device  {value.device_id}\n  realm   {value.realm_id}", style="dim"),
        Text("\nYour recovery code. Write it on paper; it is kept nowhere and not shown again:", style="bold yellow"),
        indented(Text(value.recovery_code, style="bold")),
        Text("Next: `nuthatch run` here, then `nuthatch pair` to add another device."),
    )


def render_code(value: "CodeShown") -> RenderableType:
    """Draw the code in the form to type, to paste and, last because it is large, to scan."""
    return Group(
        Text.assemble("On the new device run ", ("nuthatch join", "bold"), " and type this code there:"),
        Text(f"    {value.typed}", style="bold cyan", overflow="ignore", no_wrap=True),
        Text("or paste this:"),
        Text(f"nuthatch join {value.code}", style="bold", no_wrap=True, overflow="ignore"),
        Text(f"It works once, until {short_time(value.expires_at)}. Whoever has it can try to join.", style="dim"),
        Text("or scan:"),
        QrPicture(value.code),
    )


def render_turned_away(value: "TurnedAway") -> RenderableType:
    """Draw that somebody called from elsewhere."""
    return Text(
        f"Somebody called from {plain(value.address)}, which is in no network of this device, and was not heard. "
        "If that is your new device, begin again with: nuthatch pair --from-anywhere",
        style="yellow",
    )


def render_confirm(value: "ConfirmAsked") -> RenderableType:
    """Draw the six digits and what a yes means."""
    name = plain(value.name)
    parts: list[RenderableType] = [
        Text.assemble("\n", (name, "bold"), f" ({plain(value.platform)}) asks to join. It must show these digits:"),
        _Digits(value.sas),
        Text(f"If you say yes, {name} will be able to read ALL of your memory, now and from now on:", style="yellow"),
        Text(f"  {_counts(value.readable)}", style="yellow"),
    ]
    if value.name_taken:
        parts.append(Text(f"You have a device called {name} already: only their ids would tell the two apart."))
    return Group(*parts)


def render_paired(value: "Paired") -> RenderableType:
    """Draw that a device was added."""
    return Text.assemble((plain(value.name), "bold"), (" belongs to your devices now.", "green"))


def render_delivered(value: "Delivered") -> RenderableType:
    """Draw that the new device has everything."""
    return Text.assemble(
        ("Everything is there", "bold green"),
        f": {plain(value.name)} and this device hold the same {value.rows:,} rows, digests equal.",
    )


def render_sas(value: "SasShown") -> RenderableType:
    """Draw the six digits on the new device."""
    return Group(
        Text(f"\n{plain(value.name)} asks to join. The other device must show the same digits:"), _Digits(value.sas)
    )


def render_joined(value: "Joined") -> RenderableType:
    """Draw that this device was accepted."""
    text = Text("Joined: this is one of your devices now.", style="bold green")
    if not value.name_taken:
        return text
    return Group(text, Text("Another device of yours has the same name; `nuthatch devices` tells them apart by id."))


def render_arrival(value: StreamReadable | StreamComplete) -> RenderableType:
    """Draw that the newest part of a stream can be read, or that all of it is here."""
    if isinstance(value, StreamComplete):
        return Text(f"  {value.stream}: all {value.rows:,} rows are here", style="dim")
    return Text(f"  {value.stream}: the newest rows can be read", style="dim")


def render_synced(value: "Synced") -> RenderableType:
    """Draw that everything has arrived."""
    return Text.assemble(
        ("Everything is here", "bold green"),
        f": {value.rows:,} rows in {value.seconds:.1f} s, digests equal. Next: `nuthatch run`.",
    )


def _counts(value: "Readable") -> str:
    counted = (
        f"{_counted(value.conversations, 'conversation')} with {_counted(value.messages, 'message')}, "
        f"{_counted(value.memories, 'memory', 'memories')}, {_counted(value.rows, 'row')} in all"
    )
    return f"{counted}, from {value.since[:10]} on." if value.since else f"{counted}."


def _counted(count: int, one: str, many: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"


class _Digits:
    """Six digits to compare: large where the terminal can show that whole, and always as ordinary ones as well."""

    def __init__(self, digits: str) -> None:
        self._digits = digits

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        drawn = draw_digits(self._digits)
        if options.encoding.lower().startswith("utf") and options.max_width >= cell_len(drawn.splitlines()[0]) + 8:
            yield indented(Text(drawn, style="bold bright_cyan"))
        half = len(self._digits) // 2
        yield Text(f"    {self._digits[:half]} {self._digits[half:]}", style="bold bright_cyan")

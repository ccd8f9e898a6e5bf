"""How a new realm and the meeting of two devices look to a person: codes to scan and digits to compare."""

from io import StringIO
from typing import TYPE_CHECKING

import segno
from rich.console import Group, RenderableType
from rich.text import Text

from node.cli.big_digits import draw_digits
from node.cli.plain_text import plain
from node.cli.rendering import indented, short_time
from node.requests import StreamComplete, StreamReadable

if TYPE_CHECKING:
    from node.composition import Initialised
    from node.joining import Joined, SasShown, Synced
    from node.requests import CodeShown, ConfirmAsked, Paired


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
    """Draw the code as a QR code and in the form to type."""
    picture = StringIO()
    segno.make(value.code, error="l", micro=False).terminal(picture, border=2, compact=True)
    return Group(
        Text("On the new device, scan this:"),
        # The light modules are what is drawn, so the colours must not be left to the terminal's theme.
        indented(Text(picture.getvalue().rstrip("\n"), style="bright_white on black")),
        Text("or run there:"),
        Text(f"nuthatch join {value.code} --name NAME", style="bold", no_wrap=True, overflow="ignore"),
        Text.assemble("or type the code:  ", (value.typed, "bold cyan")),
        Text(f"It works once, until {short_time(value.expires_at)}. Whoever has it can try to join.", style="dim"),
    )


def render_confirm(value: "ConfirmAsked") -> RenderableType:
    """Draw the six digits and what a yes means."""
    return Group(
        Text.assemble(("\n", ""), (plain(value.name), "bold"), f" ({plain(value.platform)}) asks to join."),
        _large(value.sas),
        Text.assemble(("If you say yes, it will be able to read ALL of your memory.", "yellow")),
    )


def render_paired(value: "Paired") -> RenderableType:
    """Draw that a device was added."""
    return Text.assemble((plain(value.name), "bold"), (" belongs to your devices now.", "green"))


def render_sas(value: "SasShown") -> RenderableType:
    """Draw the six digits on the new device."""
    return Group(Text("\nThe other device must show the same digits:"), _large(value.sas))


def render_joined(value: "Joined") -> RenderableType:
    """Draw that this device was accepted."""
    return Text("Joined: this is one of your devices now.", style="bold green")


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


def _large(digits: str) -> RenderableType:
    return indented(Text(draw_digits(digits), style="bold bright_cyan"))

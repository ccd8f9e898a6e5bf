"""How devices look to a person: status, list, and what a running node tells."""

from typing import TYPE_CHECKING

from msgspec.structs import replace
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from node.cli.layout import Adaptive
from node.cli.plain_text import plain
from node.cli.rendering import entries, plain_table, short_time
from node.requests import (
    DeviceList,
    Notice,
    PeerChanged,
    PeerReport,
    RowsChanged,
    StatusReport,
    StreamComplete,
    StreamReadable,
    StreamReport,
)

if TYPE_CHECKING:
    from node.requests import NodeEvent
    from node.running import Ready

# Enough of a digest to compare two screens by eye; programs get all of it.
_DIGEST_CHARACTERS = 16
_SHORT_ID_CHARACTERS = 8
_NARROW_COLUMNS = 60


def render_devices(value: DeviceList) -> RenderableType:
    """Draw the devices of the realm."""
    listed = entries()
    for device in value.devices:
        remark = "this device" if device.this_device else "" if device.active else "no longer trusted"
        what = "  ".join(filter(None, (plain(device.platform), remark)))
        listed.add_row(
            Text("●" if device.active else "○", style="green" if device.active else "dim"),
            Text.assemble((plain(device.name), "bold"), "  ", what),
        )
        # Whole, though on two lines if need be: it is compared with another screen.
        listed.add_row("", Text(device.device_id, style="dim", overflow="fold"))
    return listed


def render_status(value: StatusReport) -> RenderableType:
    """Draw how this device stands with every other, and the digest of each stream."""
    running = ("running", "green") if value.running else ("not running", "yellow")
    parts: list[RenderableType] = [
        Text.assemble((plain(value.name), "bold"), "  ", running),
        _identity(value),
        Text(),
        _peers(value.peers) if value.peers else Text("No other device yet. Add one: nuthatch pair", style="dim"),
        Text(),
        Adaptive(lambda width: _streams(value.streams, width))
        if value.streams
        else Text("Nothing is kept here yet.", style="dim"),
    ]
    if value.streams:
        parts.append(_scrubbed(value))
    if value.conflicts:
        count = f"{value.conflicts:,} conflict{'' if value.conflicts == 1 else 's'}"
        parts.append(Text.assemble((f"\n{count} to look at: ", "yellow"), ("nuthatch conflicts", "bold")))
    if value.held:
        parts.append(Text(f"\n{value.held:,} batches held back", style="yellow"))
    if value.derived:
        said = f"\n{value.derived:,} rows hang on what was deleted: out of sight, or shown without it"
        parts.append(Text(said, style="dim"))
    if value.discovery_note:
        parts.append(Text(f"\n{value.discovery_note}", style="yellow"))
    parts += [Text(f"\n{notice}", style="yellow") for notice in value.notices]
    return Group(*parts)


def render_node_event(value: "Ready | NodeEvent") -> RenderableType:
    """Draw one line of a running node's life."""
    match value:
        case RowsChanged():
            counts = ", ".join(f"{count:,} in {table}" for table, count in sorted(value.changes_by_table.items()))
            return Text.assemble(("changed here       " if value.local else "changed elsewhere  ", "dim"), counts)
        case PeerChanged():
            mark = _mark(connected=value.connected, in_sync=value.in_sync)
            return Text.assemble(mark, (plain(value.name), "bold"), "  ", _why(value))
        case StreamReadable():
            return Text(f"arriving           {value.stream}: the newest rows can be read", style="dim")
        case StreamComplete():
            return Text(f"arrived            {value.stream}: {value.rows:,} rows", style="dim")
        case Notice():
            return Text(plain(value.text), style="yellow")
        case _:
            return _ready(value)


def unnamed(event: "Ready | NodeEvent") -> "Ready | NodeEvent":
    """Return the event with the short form of a device's id in the place of its name.

    Unless a person watches, what a node tells ends up in journals and files, where names have no business.
    """
    if isinstance(event, PeerChanged):
        return replace(event, name=event.device_id[:_SHORT_ID_CHARACTERS])
    return event


def _ready(value: "Ready") -> RenderableType:
    # The first is the one on the local network; the others are of this machine alone.
    address = value.addresses[0]
    return Text.assemble(
        ("Running. ", "bold green"),
        f"Other devices reach this one at {address}; its own programs at {value.api}. Ctrl-C stops it.",
    )


def _peers(peers: list[PeerReport]) -> Table:
    table = plain_table("Device", "State", "Last seen")
    for peer in peers:
        table.add_row(
            Text.assemble(_mark(connected=peer.connected, in_sync=peer.in_sync), (plain(peer.name), "bold")),
            _why(peer),
            Text("now" if peer.connected else short_time(peer.last_seen) or "never", style="dim"),
        )
    return table


def _identity(value: StatusReport) -> Table:
    drawn = Table.grid(padding=(0, 1, 0, 0))
    drawn.add_column(no_wrap=True)
    drawn.add_column(overflow="fold")
    for name, whole_id in (("device", value.device_id), ("realm", value.realm_id)):
        drawn.add_row(Text(name, style="dim"), Text(whole_id, style="dim"))
    return drawn


def _streams(streams: list[StreamReport], width: int) -> Table:
    """Draw the streams; where there is little room, digests are shorter and what is on its way stands apart."""
    narrow = width < _NARROW_COLUMNS
    headings = ("Stream", "Rows", "Digest") if narrow else ("Stream", "Rows", "Digest", "To come", "To send")
    table = plain_table(*headings)
    for column in (*table.columns[1:2], *table.columns[3:]):
        column.justify = "right"
    for stream in streams:
        digest = stream.digest[: _DIGEST_CHARACTERS // 2 if narrow else _DIGEST_CHARACTERS]
        on_the_way = (f"{stream.pending_in:,}", f"{stream.pending_out:,}")
        table.add_row(stream.name, f"{stream.rows:,}", Text(digest, style="cyan"), *(() if narrow else on_the_way))
        if narrow and (stream.pending_in or stream.pending_out):
            table.add_row(Text("  {} to come, {} to send".format(*on_the_way), style="yellow"))
    return table


def _scrubbed(value: StatusReport) -> Text:
    """Say how old the proof is that what lies on the disk is what the digests speak of."""
    if value.damaged:
        places = "One place in this store is" if value.damaged == 1 else f"{value.damaged:,} places in this store are"
        return Text(f"\n{places} damaged: nuthatch doctor --repair", style="bold red")
    if value.scrubbed is None:
        return Text("\nNever compared with what lies on the disk: nuthatch doctor --scrub", style="dim")
    return Text(f"\nAll rows on the disk were as the digests say on {short_time(value.scrubbed)}.", style="dim")


def _why(peer: PeerReport | PeerChanged) -> Text:
    if peer.in_sync:
        return Text("in sync", style="green")
    return Text(plain(peer.why), style="yellow" if peer.connected else "dim")


def _mark(*, connected: bool, in_sync: bool) -> tuple[str, str]:
    return ("● " if connected else "○ ", "green" if in_sync else "yellow" if connected else "dim")

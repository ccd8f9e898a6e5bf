"""A snapshot on its way: pages from one device into another, joined there while both go on living."""

from dataclasses import dataclass, field

from sync.snapshot import Manifest, RowKey
from sync.streams import Stream


@dataclass(slots=True, kw_only=True)
class Transfer:
    """One snapshot of one stream; `quiet` keeps its source from changing while the pages flow."""

    source: int
    destination: int
    stream: Stream
    manifest: Manifest
    quiet: bool
    source_life: int
    destination_life: int
    cursor: RowKey
    pages: int = field(default=0)

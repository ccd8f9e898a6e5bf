"""How far the snapshot of each stream has come in, over cuts, restarts and changes of the sender.

What is kept of a stream is a row key and a frontier. Every row of the stream up to the key, in the order of snapshots,
was read by some sender after it held that frontier. Where several senders had a part, that is true of what all of
their manifests cover: the frontiers' meet. Both move with each page, within its transaction.
"""

import msgspec

from node.store.database import Database
from sync.errors import RemoteProtocolError
from sync.frontier import Frontier
from sync.snapshot import START, Manifest, Page, RowKey
from sync.streams import Stream

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


class SnapshotPartials:
    """The unfinished snapshots of one store, at most one a stream."""

    __slots__ = ("_database",)

    def __init__(self, database: Database) -> None:
        """Keep them in `database`."""
        self._database = database

    def place(self, manifest: Manifest) -> RowKey:
        """Return the row behind which the snapshot of `manifest` has to begin, within the open transaction.

        What came from a sender that has nothing in common with this one is begun anew: it could not be adopted.
        """
        partial = self._read(manifest.stream)
        if partial is None:
            return START
        key, frontier = partial
        if manifest.frontier.entries and not frontier.meet(manifest.frontier).entries:
            self._delete(manifest.stream)
            return START
        return key

    def advance(self, page: Page, manifest: Manifest) -> None:
        """Take note of a joined page. Raises RemoteProtocolError if rows before it are missing, or out of order."""
        partial = self._read(manifest.stream)
        key, frontier = partial if partial is not None else (START, manifest.frontier)
        if page.header.after.stands_after(key):
            raise RemoteProtocolError("a snapshot page leaves out rows before it")
        last = page.header.after
        for row_key in page.row_keys():
            if not row_key.stands_after(last):
                raise RemoteProtocolError("the rows of a snapshot page are out of order")
            last = row_key
        reached = last if last.stands_after(key) else key
        self._database.change(
            "INSERT INTO _snapshot_partial VALUES (?, ?, ?, ?) ON CONFLICT(stream) DO UPDATE SET"
            " table_name = excluded.table_name, row_id = excluded.row_id, frontier = excluded.frontier",
            (int(manifest.stream), *reached, _encode(frontier.meet(manifest.frontier).to_wire())),
        )

    def claim(self, stream: Stream) -> Frontier | None:
        """Return what the unfinished snapshot of a stream will claim at most, None if there is none."""
        partial = self._read(stream)
        return partial[1] if partial is not None else None

    def take(self, stream: Stream) -> Frontier | None:
        """End a snapshot all of whose pages are here; return the frontier that it may claim, None if there is none."""
        partial = self._read(stream)
        self._delete(stream)
        return partial[1] if partial is not None else None

    def _read(self, stream: Stream) -> tuple[RowKey, Frontier] | None:
        rows = self._database.query(
            "SELECT table_name, row_id, frontier FROM _snapshot_partial WHERE stream = ?", (int(stream),)
        )
        if not rows:
            return None
        table, row_id, frontier = rows[0]
        return RowKey(table, row_id), Frontier.from_wire(_decode(frontier))

    def _delete(self, stream: Stream) -> None:
        self._database.change("DELETE FROM _snapshot_partial WHERE stream = ?", (int(stream),))

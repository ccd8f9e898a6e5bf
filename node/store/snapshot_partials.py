"""How far the snapshot of each stream has come in, over cuts, restarts and changes of the sender.

What is kept of a stream is a row key and a frontier. Every row of the stream up to the key, in the order of snapshots,
was read by some sender after it held that frontier. Where several senders had a part, that is true of what all of
their manifests cover: the frontiers' meet. Both move with each page, within its transaction.

Which snapshots brought these pages is known in memory alone: a restart ends every session, and with it every snapshot
that could still come to its end.
"""

from collections.abc import Sequence

import msgspec

from node.store.database import Database
from sync.errors import RemoteProtocolError
from sync.frontier import Frontier
from sync.snapshot import START, Manifest, RowKey
from sync.streams import Stream

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


class SnapshotPartials:
    """The unfinished snapshots of one store, at most one a stream."""

    __slots__ = ("_database", "_ids_by_stream")

    def __init__(self, database: Database) -> None:
        """Keep them in `database`."""
        self._database = database
        self._ids_by_stream: dict[Stream, set[bytes]] = {}

    def place(self, manifest: Manifest, held: Frontier) -> RowKey:
        """Return the row behind which the snapshot of `manifest` has to begin, within the open transaction.

        What another sender began is given up where going on would not bring this device, which holds `held`, up to
        the new sender's log: the sender could give nothing after its last page but all of its rows once more.
        """
        partial = self._read(manifest.stream)
        if partial is None:
            return START
        key, claim = partial
        if key == START or not manifest.can_finish(claim, held):
            self.give_up(manifest.stream)
            return START
        return key

    def advance(self, after: RowKey, bounds: Sequence[tuple[RowKey, RowKey]], manifest: Manifest) -> None:
        """Take note of a page that follows `after`; `bounds` are the first and last rows of each of its layouts.

        Raises RemoteProtocolError if rows before it are missing, or it holds some from before its beginning.
        """
        partial = self._read(manifest.stream)
        key, frontier = partial if partial is not None else (START, manifest.frontier)
        if after.stands_after(key):
            raise RemoteProtocolError("a snapshot page leaves out rows before it")
        reached = after
        for first, last in bounds:
            if not first.stands_after(after):
                raise RemoteProtocolError("the rows of a snapshot page are out of order")
            reached = last if last.stands_after(reached) else reached
        reached = reached if reached.stands_after(key) else key
        self._database.change(
            "INSERT INTO _snapshot_partial VALUES (?, ?, ?, ?) ON CONFLICT(stream) DO UPDATE SET"
            " table_name = excluded.table_name, row_id = excluded.row_id, frontier = excluded.frontier",
            (int(manifest.stream), *reached, _encode(frontier.meet(manifest.frontier).to_wire())),
        )
        self._ids_by_stream.setdefault(manifest.stream, set()).add(manifest.snapshot_id)

    def claim(self, stream: Stream) -> Frontier | None:
        """Return what the unfinished snapshot of a stream will claim at most, None if there is none."""
        partial = self._read(stream)
        return partial[1] if partial is not None else None

    def take(self, manifest: Manifest) -> Frontier | None:
        """End a snapshot all of whose pages are here; return the frontier that it may claim, None if there is none.

        None too where its pages were given up since and those of another sender came: they do not end with it.
        """
        if manifest.snapshot_id not in self._ids_by_stream.get(manifest.stream, ()):
            return None
        claim = self.claim(manifest.stream)
        self.give_up(manifest.stream)
        return claim

    def give_up(self, stream: Stream) -> None:
        """Forget an unfinished snapshot: its rows stay, and nothing was claimed."""
        self._ids_by_stream.pop(stream, None)
        self._database.change("DELETE FROM _snapshot_partial WHERE stream = ?", (int(stream),))

    def _read(self, stream: Stream) -> tuple[RowKey, Frontier] | None:
        rows = self._database.query(
            "SELECT table_name, row_id, frontier FROM _snapshot_partial WHERE stream = ?", (int(stream),)
        )
        if not rows:
            return None
        table, row_id, frontier = rows[0]
        return RowKey(table, row_id), Frontier.from_wire(_decode(frontier))

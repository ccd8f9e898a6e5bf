"""The sender's half of one snapshot: announced, placed by the receiver, sent page by page, ended, acknowledged."""

from sync.effects import OpenSnapshot, ReadPage
from sync.errors import LocalProtocolError, RemoteProtocolError
from sync.limits import PAGE_BYTES_TARGET
from sync.messages import SnapshotBegin, SnapshotEnd, SnapshotFrom, snapshot_begin
from sync.snapshot import Manifest, RowKey
from sync.streams import Stream


class OutgoingSnapshot:
    """One snapshot on its way out.

    1. No page is read before the receiver has said from where on it wants them.
    2. It lasts until its end is acknowledged: only then does the sender know which frontier the receiver has adopted,
       which is a lesser one where other devices sent parts of it.
    """

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self._manifest: Manifest | None = None
        self._cursor: RowKey | None = None
        self._pages = 0
        self._end_number: int | None = None

    def next_read(self) -> OpenSnapshot | ReadPage | None:
        """Return what to read next, None while an answer of the receiver is awaited."""
        if self._manifest is None:
            return OpenSnapshot(stream=self.stream)
        if self._cursor is None:
            return None
        return ReadPage(manifest=self._manifest, index=self._pages, cursor=self._cursor, bytes_max=PAGE_BYTES_TARGET)

    def opened(self, manifest: Manifest) -> SnapshotBegin:
        """Take the manifest asked for and return the announcement."""
        self._manifest = manifest
        return snapshot_begin(manifest)

    def placed(self, answer: SnapshotFrom) -> None:
        """The receiver wants what follows a row. Raises RemoteProtocolError if it was not asked."""
        self.check_answer(answer.snapshot_id)
        if not answer.after.is_sound():
            raise RemoteProtocolError("the peer asked for a snapshot from a place that is none")
        self._cursor = answer.after

    def check_answer(self, snapshot_id: bytes) -> None:
        """Raise RemoteProtocolError unless this is the first answer to the announcement."""
        if self._manifest is None or self._manifest.snapshot_id != snapshot_id or self._pages or self._cursor:
            raise RemoteProtocolError("the peer answered a snapshot that was not announced")

    def page_read(self, next_cursor: RowKey | None) -> None:
        """A page was sent, and the next one begins behind `next_cursor` (None: it was the last)."""
        self._pages += 1
        self._cursor = next_cursor

    def end(self, number: int) -> SnapshotEnd:
        """Return the message that ends it, numbered like an envelope."""
        if self._manifest is None:
            raise LocalProtocolError("a snapshot ends after it has begun")
        self._end_number = number
        return SnapshotEnd(number=number, snapshot_id=self._manifest.snapshot_id, pages=self._pages)

    def is_over(self, acknowledged: int) -> bool:
        """Tell whether the receiver is done with it, given the last number that it acknowledged."""
        return self._end_number is not None and self._end_number <= acknowledged

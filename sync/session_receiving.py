"""What one end of a session receives: envelopes in order, batches that came too early, the pages of a snapshot."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sync.effects import AdoptSnapshot, ApplyBatches, ApplyPage, ApplyRepair, PlaceSnapshot
from sync.errors import LocalProtocolError, RemoteProtocolError
from sync.limits import HELD_BATCHES_BYTES_MAX
from sync.messages import RepairPage, SnapshotBegin, SnapshotDecline, SnapshotEnd, SnapshotFrom
from sync.snapshot import Manifest, RowKey


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldBatch:
    """A batch that cannot be applied yet, and why, as the end of a sentence about it."""

    raw: bytes = field(repr=False)
    reason: str


class Receiving:
    """The receiving half of a session.

    1. Envelopes arrive in order of number, none twice.
    2. Batches that came too early are kept up to HELD_BATCHES_BYTES_MAX; what is beyond it is asked for later.
    3. A snapshot is adopted after all of its pages and no others; none is accepted before its place was told.
    """

    def __init__(self) -> None:
        self._last_number = 0
        self._held: list[HeldBatch] = []
        self._held_bytes = 0
        self._dropped = False
        self._retrying = False
        self._refused: str | None = None
        self._snapshot: Manifest | None = None
        self._placed = False
        self._pages = 0

    @property
    def held_reason(self) -> str | None:
        """Why the first batch held back waits, None if none does."""
        return self._held[0].reason if self._held else None

    @property
    def held_count(self) -> int:
        """How many batches are held back."""
        return len(self._held)

    @property
    def refused(self) -> str | None:
        """Why the last batch that can never be applied was refused, None if none was."""
        return self._refused

    @property
    def snapshot(self) -> Manifest | None:
        """The snapshot that is coming in."""
        return self._snapshot

    def bundle(self, number: int, batches: Sequence[bytes]) -> ApplyBatches:
        """Take an opened bundle and return what to apply. Raises RemoteProtocolError if it is out of order."""
        self._next(number)
        return ApplyBatches(number=number, batches=tuple(batches))

    def settle(self, held: Sequence[HeldBatch], refused: Sequence[str]) -> None:
        """Keep batches that cannot be applied yet, and why others never can be."""
        self._retrying = False
        if refused:
            self._refused = refused[-1]
        for batch in held:
            if self._held_bytes + len(batch.raw) > HELD_BATCHES_BYTES_MAX:
                self._dropped = True
                continue
            self._held.append(batch)
            self._held_bytes += len(batch.raw)

    def retry(self) -> ApplyBatches | None:
        """Return the held batches to be tried again, unless there are none or they are being tried."""
        if not self._held or self._retrying:
            return None
        batches = tuple(batch.raw for batch in self._held)
        self._held, self._held_bytes, self._retrying = [], 0, True
        return ApplyBatches(number=0, batches=batches)

    def wants_resend(self) -> bool:
        """Tell, once, whether batches were dropped and there is room for them again."""
        wanted = self._dropped and self._held_bytes <= HELD_BATCHES_BYTES_MAX // 2
        if wanted:
            self._dropped = False
        return wanted

    def snapshot_begin(self, message: SnapshotBegin) -> PlaceSnapshot:
        """A snapshot is announced. Raises RemoteProtocolError if one is under way."""
        if self._snapshot is not None:
            raise RemoteProtocolError("the peer began a snapshot inside another")
        self._snapshot = message.manifest()
        self._placed, self._pages = False, 0
        return PlaceSnapshot(manifest=self._snapshot)

    def snapshot_placed(self, after: RowKey | None) -> SnapshotFrom | SnapshotDecline:
        """Take up to which row it is here already (None: it is not wanted now) and return the answer."""
        manifest = self._snapshot
        if manifest is None or self._placed:
            raise LocalProtocolError("a snapshot is placed once, after it was announced")
        if after is None:
            self._snapshot = None
            return SnapshotDecline(snapshot_id=manifest.snapshot_id)
        self._placed = True
        return SnapshotFrom(snapshot_id=manifest.snapshot_id, after=after)

    def snapshot_page(self, number: int, items: Sequence[bytes]) -> ApplyPage:
        """Take an opened page. Raises RemoteProtocolError if no snapshot is under way or it is out of order."""
        self._next(number)
        if self._snapshot is None or not self._placed or len(items) != 1:
            raise RemoteProtocolError("the peer sent a page outside a snapshot")
        self._pages += 1
        return ApplyPage(number=number, manifest=self._snapshot, page=items[0])

    def snapshot_end(self, message: SnapshotEnd) -> AdoptSnapshot:
        """All pages are here. Raises RemoteProtocolError if some are missing or it ends another snapshot."""
        self._next(message.number)
        manifest, self._snapshot = self._snapshot, None
        if (
            manifest is None
            or not self._placed
            or message.snapshot_id != manifest.snapshot_id
            or message.pages != self._pages
        ):
            raise RemoteProtocolError("the peer ended a snapshot that it did not send whole")
        return AdoptSnapshot(number=message.number, manifest=manifest)

    def repair_page(self, message: RepairPage, items: Sequence[bytes]) -> ApplyRepair:
        """Take an opened page of rows. Raises RemoteProtocolError if it is out of order or malformed."""
        self._next(message.number)
        if len(items) != 1:
            raise RemoteProtocolError("the peer sent several pages in one envelope")
        return ApplyRepair(number=message.number, manifest=message.manifest(), page=items[0])

    def _next(self, number: int) -> None:
        if number != self._last_number + 1:
            raise RemoteProtocolError("the peer's envelopes are not numbered in order")
        self._last_number = number

"""What one end of a session sends, and when: streams by priority, within a window, snapshots where the log ends."""

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from sync.effects import OpenSnapshot, ReadBatches, ReadPage, ReadRepair
from sync.errors import LocalProtocolError, RemoteProtocolError
from sync.frontier import EMPTY_FRONTIER, Frontier, ReplicaView
from sync.limits import BUNDLE_BYTES_TARGET, PAGE_BYTES_TARGET, WINDOW_BYTES
from sync.messages import Bundle, Message, SnapshotDecline, SnapshotFrom, SnapshotPage, repair_page
from sync.row_ranges import RowRange
from sync.session_positions import Positions
from sync.session_snapshot import OutgoingSnapshot
from sync.snapshot import Manifest, RowKey
from sync.streams import STREAMS_BY_PRIORITY, Stream

# Beside the byte window: four bundles keep the receiver's store busy while acknowledgements travel, more only delay
# what is urgent (measured: 130,000 rows a second with a window of 1, 202,000 with 2, 227,000 with 4, 228,000 with 16).
ENVELOPES_IN_FLIGHT_MAX = 4

# A newcomer that lacks more batches than this gets rows instead of the history that led to them: as a rule they are
# fewer. Below it the batches go, so that the newcomer can pass them on.
NEWCOMER_BATCHES_MAX = 64

# A peer that has had a stream's rows this often in one session and still does not hold what they reach to will not by
# having them once more.
SNAPSHOTS_PER_STREAM_MAX = 3

_Asked = TypeVar("_Asked", ReadBatches, OpenSnapshot, ReadPage, ReadRepair)
_Reading = ReadBatches | OpenSnapshot | ReadPage | ReadRepair


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedBundle:
    """Batches of one stream in one envelope; `reaches` holds the last of each origin among them."""

    envelope: bytes = field(repr=False)
    reaches: Frontier


class Sending:
    """The sending half of a session.

    1. At most one read is asked for at a time, and none while the window is full.
    2. A batch is sent once a session, unless the peer asks for it again; what the peer has is not sent at all.
    3. Envelopes are numbered from 1 and acknowledged in order.
    """

    def __init__(self) -> None:
        self._sent: dict[Stream, Frontier] = {}
        self._in_flight: deque[tuple[int, int]] = deque()
        self._in_flight_bytes = 0
        self._last_number = 0
        self._asked: _Reading | None = None
        self._goal = EMPTY_FRONTIER
        self._snapshot: OutgoingSnapshot | None = None
        self._snapshots: Counter[Stream] = Counter()
        self._declined: set[Stream] = set()
        self._repairs: deque[tuple[Stream, tuple[RowRange, ...]]] = deque()

    def next_read(self, view: ReplicaView, positions: Positions) -> _Reading | None:
        """Return what to read next, if anything is to be sent now and fits the window."""
        if self._asked is not None or self._window_full():
            return None
        self._asked = self._choose(view, positions)
        return self._asked

    def _window_full(self) -> bool:
        return len(self._in_flight) >= ENVELOPES_IN_FLIGHT_MAX or self._in_flight_bytes >= WINDOW_BYTES

    def _choose(self, view: ReplicaView, positions: Positions) -> _Reading | None:
        if self._repairs:
            repaired, ranges = self._repairs[0]
            return ReadRepair(stream=repaired, ranges=ranges, bytes_max=PAGE_BYTES_TARGET)
        for stream in STREAMS_BY_PRIORITY:
            if self._snapshot is not None and self._snapshot.stream is stream:
                if (reading := self._snapshot.next_read()) is not None:
                    return reading
                continue
            if stream in self._declined:
                continue
            held = view.stream(stream).frontier
            known = positions.peer(stream).frontier.join(self._sent.get(stream, EMPTY_FRONTIER))
            if _is_newcomer(known, held):
                if self._begin_snapshot(stream):
                    return OpenSnapshot(stream=stream)
                continue
            if not known.covers_all(held):
                self._goal = held
                return ReadBatches(stream=stream, after=known, bytes_max=BUNDLE_BYTES_TARGET)
        return None

    def batches_read(self, stream: Stream, log_base: Frontier, bundle: SealedBundle | None) -> list[Message]:
        """Take what the log gave (None: nothing) and return the messages to send."""
        asked = self._answer(ReadBatches)
        if not asked.after.covers_all(log_base):
            # While another stream's snapshot is under way this one waits for its end.
            if not self._begin_snapshot(stream):
                self._declined.add(stream)
            return []
        # A log that has nothing more than the peer must not be asked in a circle.
        reaches = bundle.reaches if bundle is not None else self._goal
        self._sent[stream] = asked.after.join(reaches)
        return [Bundle(number=self._number(bundle.envelope), envelope=bundle.envelope)] if bundle is not None else []

    def snapshot_opened(self, manifest: Manifest) -> list[Message]:
        """Take the manifest asked for and return the messages to send."""
        self._answer(OpenSnapshot)
        return [self._under_way().opened(manifest)]

    def snapshot_placed(self, answer: SnapshotFrom) -> None:
        """The receiver said from where on it wants the rows. Raises RemoteProtocolError if it was not asked."""
        if self._snapshot is None:
            raise RemoteProtocolError("the peer answered a snapshot that was not announced")
        self._snapshot.placed(answer)

    def snapshot_declined(self, answer: SnapshotDecline) -> None:
        """The receiver has the stream from another device now. Raises RemoteProtocolError if it was not asked."""
        if self._snapshot is None:
            raise RemoteProtocolError("the peer answered a snapshot that was not announced")
        self._snapshot.check_answer(answer.snapshot_id)
        self._snapshots[self._snapshot.stream] -= 1
        self._declined.add(self._snapshot.stream)
        self._snapshot = None

    def page_read(self, envelope: bytes, next_cursor: RowKey | None) -> list[Message]:
        """Take a sealed page and return the messages to send."""
        self._answer(ReadPage)
        snapshot = self._under_way()
        snapshot.page_read(next_cursor)
        messages: list[Message] = [SnapshotPage(number=self._number(envelope), envelope=envelope)]
        if next_cursor is None:
            messages.append(snapshot.end(self._number(b"")))
        return messages

    def repair(self, stream: Stream, ranges: Sequence[RowRange]) -> None:
        """Send the rows of these ranges."""
        self._repairs.append((stream, tuple(ranges)))

    def repair_read(self, manifest: Manifest, envelope: bytes, rest: tuple[RowRange, ...]) -> list[Message]:
        """Take a sealed page of rows and the ranges that are left; return the messages to send."""
        asked = self._answer(ReadRepair)
        self._repairs.popleft()
        if rest:
            self._repairs.appendleft((asked.stream, rest))
        return [repair_page(self._number(envelope), manifest, envelope)]

    def time_passed(self) -> None:
        """What was declined or had to wait may be offered once more."""
        self._declined.clear()

    def _begin_snapshot(self, stream: Stream) -> bool:
        if self._snapshot is not None or self._snapshots[stream] >= SNAPSHOTS_PER_STREAM_MAX:
            return False
        self._snapshots[stream] += 1
        self._snapshot = OutgoingSnapshot(stream)
        return True

    def _under_way(self) -> OutgoingSnapshot:
        if self._snapshot is None:
            raise LocalProtocolError("a page was read although no snapshot is under way")
        return self._snapshot

    def acknowledged(self, number: int) -> None:
        """The peer is done with the envelopes up to `number`. Raises RemoteProtocolError if it cannot be."""
        if number > self._last_number:
            raise RemoteProtocolError("the peer acknowledged an envelope that was not sent")
        while self._in_flight and self._in_flight[0][0] <= number:
            self._in_flight_bytes -= self._in_flight.popleft()[1]
        if self._snapshot is not None and self._snapshot.is_over(number):
            self._snapshot = None
            self._declined.clear()

    def send_again(self) -> None:
        """The peer could not keep all that came early: what it does not hold is sent once more."""
        self._sent.clear()

    def _number(self, envelope: bytes) -> int:
        self._last_number += 1
        self._in_flight.append((self._last_number, len(envelope)))
        self._in_flight_bytes += len(envelope)
        return self._last_number

    def _answer(self, kind: type[_Asked]) -> _Asked:
        asked, self._asked = self._asked, None
        if not isinstance(asked, kind):
            raise LocalProtocolError("the session was given a reading that it did not ask for")
        return asked


def _is_newcomer(known: Frontier, held: Frontier) -> bool:
    """Tell whether a peer holds nothing of what we hold, and that is much."""
    return (
        known.entries.keys().isdisjoint(held.entries)
        and sum(entry.seq for entry in held.entries.values()) > NEWCOMER_BATCHES_MAX
    )

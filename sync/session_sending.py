"""What one end of a session sends, and when: streams by priority, within a window, snapshots where the log ends."""

from collections import deque
from dataclasses import dataclass, field
from typing import TypeVar

from sync.effects import OpenSnapshot, ReadBatches, ReadPage
from sync.errors import LocalProtocolError, RemoteProtocolError
from sync.frontier import EMPTY_FRONTIER, Frontier, ReplicaView
from sync.limits import BUNDLE_BYTES_TARGET, WINDOW_BYTES
from sync.messages import Bundle, Message, SnapshotEnd, SnapshotPage, snapshot_begin
from sync.session_positions import Positions
from sync.snapshot import Manifest
from sync.streams import Stream, stream_priority

# Beside the byte window: four bundles keep the receiver's store busy while acknowledgements travel, more only delay
# what is urgent (measured: 130,000 rows a second with a window of 1, 202,000 with 2, 227,000 with 4, 228,000 with 16).
ENVELOPES_IN_FLIGHT_MAX = 4

# A newcomer that lacks more batches than this gets rows instead of the history that led to them: as a rule they are
# fewer. Below it the batches go, so that the newcomer can pass them on.
NEWCOMER_BATCHES_MAX = 64

_Asked = TypeVar("_Asked", ReadBatches, OpenSnapshot, ReadPage)
_STREAMS_BY_PRIORITY = sorted(Stream, key=lambda stream: (stream_priority(stream), stream))


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedBundle:
    """Batches of one stream in one envelope; `reaches` holds the last of each origin among them."""

    envelope: bytes = field(repr=False)
    reaches: Frontier


@dataclass(slots=True, kw_only=True)
class _OutgoingSnapshot:
    manifest: Manifest
    cursor: bytes | None = None
    pages: int = 0


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
        self._asked: ReadBatches | OpenSnapshot | ReadPage | None = None
        self._goal = EMPTY_FRONTIER
        self._snapshot_wanted: Stream | None = None
        self._snapshot: _OutgoingSnapshot | None = None

    def next_read(self, view: ReplicaView, positions: Positions) -> ReadBatches | OpenSnapshot | ReadPage | None:
        """Return what to read next, if anything is to be sent now and fits the window."""
        if self._asked is not None or self._window_full():
            return None
        self._asked = self._choose(view, positions)
        return self._asked

    def _window_full(self) -> bool:
        return len(self._in_flight) >= ENVELOPES_IN_FLIGHT_MAX or self._in_flight_bytes >= WINDOW_BYTES

    def _choose(self, view: ReplicaView, positions: Positions) -> ReadBatches | OpenSnapshot | ReadPage | None:
        if self._snapshot is not None:
            return ReadPage(
                manifest=self._snapshot.manifest,
                index=self._snapshot.pages,
                cursor=self._snapshot.cursor,
                bytes_max=BUNDLE_BYTES_TARGET,
            )
        if self._snapshot_wanted is not None:
            return OpenSnapshot(stream=self._snapshot_wanted)
        for stream in _STREAMS_BY_PRIORITY:
            held = view.stream(stream).frontier
            known = positions.peer(stream).frontier.join(self._sent.get(stream, EMPTY_FRONTIER))
            if _is_newcomer(known, held):
                self._snapshot_wanted = stream
                return OpenSnapshot(stream=stream)
            if not known.covers_all(held):
                self._goal = held
                return ReadBatches(stream=stream, after=known, bytes_max=BUNDLE_BYTES_TARGET)
        return None

    def batches_read(self, stream: Stream, log_base: Frontier, bundle: SealedBundle | None) -> list[Message]:
        """Take what the log gave (None: nothing) and return the messages to send."""
        asked = self._answer(ReadBatches)
        if not asked.after.covers_all(log_base):
            self._snapshot_wanted = stream
            return []
        # A log that has nothing more than the peer must not be asked in a circle.
        reaches = bundle.reaches if bundle is not None else self._goal
        self._sent[stream] = asked.after.join(reaches)
        return [Bundle(number=self._number(bundle.envelope), envelope=bundle.envelope)] if bundle is not None else []

    def snapshot_opened(self, manifest: Manifest) -> list[Message]:
        """Take the manifest asked for and return the messages to send."""
        self._answer(OpenSnapshot)
        self._snapshot_wanted = None
        self._snapshot = _OutgoingSnapshot(manifest=manifest)
        return [snapshot_begin(manifest)]

    def page_read(self, envelope: bytes, next_cursor: bytes | None) -> list[Message]:
        """Take a sealed page and return the messages to send."""
        self._answer(ReadPage)
        snapshot = self._snapshot
        if snapshot is None:
            raise LocalProtocolError("a page was read although no snapshot is under way")
        snapshot.pages += 1
        messages: list[Message] = [SnapshotPage(number=self._number(envelope), envelope=envelope)]
        if next_cursor is not None:
            snapshot.cursor = next_cursor
            return messages
        manifest, self._snapshot = snapshot.manifest, None
        sent = self._sent.get(manifest.stream, EMPTY_FRONTIER)
        self._sent[manifest.stream] = sent.join(manifest.frontier)
        messages.append(SnapshotEnd(snapshot_id=manifest.snapshot_id, pages=snapshot.pages))
        return messages

    def acknowledged(self, number: int) -> None:
        """The peer is done with the envelopes up to `number`. Raises RemoteProtocolError if it cannot be."""
        if number > self._last_number:
            raise RemoteProtocolError("the peer acknowledged an envelope that was not sent")
        while self._in_flight and self._in_flight[0][0] <= number:
            self._in_flight_bytes -= self._in_flight.popleft()[1]

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

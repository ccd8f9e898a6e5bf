"""Tells when the first rows of a stream are here, and when all are that the peer held as it greeted us."""

from dataclasses import dataclass

from sync.effects import StreamComplete, StreamReadable
from sync.frontier import Frontier, ReplicaView
from sync.session_positions import Positions
from sync.streams import STREAMS_BY_PRIORITY, Stream

#: A screen or two: with so many of the newest rows a person can begin to read.
READABLE_ROWS = 200


@dataclass(slots=True)
class _Expected:
    """What is awaited of one stream: a frontier, from a number of live rows on."""

    frontier: Frontier
    rows_before: int
    readable: bool = False


class Arrivals:
    """The streams in which the peer was ahead when the session opened; what is written later arrives unannounced."""

    def __init__(self) -> None:
        self._expected: dict[Stream, _Expected] = {}

    def expect(self, view: ReplicaView, positions: Positions) -> None:
        """Note what the peer has ahead of `view`."""
        for stream in STREAMS_BY_PRIORITY:
            goal, state = positions.peer(stream).frontier, view.stream(stream)
            if not state.frontier.covers_all(goal):
                self._expected[stream] = _Expected(goal, state.rows)

    def progress(self, view: ReplicaView) -> list[StreamReadable | StreamComplete]:
        """Return what has come true with `view`, in order of stream priority."""
        news: list[StreamReadable | StreamComplete] = []
        for stream, expected in list(self._expected.items()):
            state = view.stream(stream)
            complete = state.frontier.covers_all(expected.frontier)
            if not expected.readable and (complete or state.rows - expected.rows_before >= READABLE_ROWS):
                expected.readable = True
                news.append(StreamReadable(stream=stream, rows=state.rows))
            if complete:
                del self._expected[stream]
                news.append(StreamComplete(stream=stream, rows=state.rows))
        return news

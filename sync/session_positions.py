"""Where the peer stands in every stream, what it was told of us, and whether the two provably agree."""

from collections.abc import Iterable
from dataclasses import dataclass

from crdt.identifiers import Origin
from sync.frontier import Frontier, ReplicaView, StreamState
from sync.messages import Position, position_of
from sync.streams import Stream

_NOTHING_TOLD = ReplicaView(streams={})


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """How many batches of a stream are still to come in and to go out on this session."""

    incoming: int
    outgoing: int


class Positions:
    """One session's knowledge of both ends; positions travel as differences to the last one told."""

    def __init__(self) -> None:
        self._peer: dict[Stream, StreamState] = {}
        self._told = _NOTHING_TOLD

    def peer(self, stream: Stream) -> StreamState:
        """Return where the peer said that it stands."""
        return self._peer.get(stream, StreamState())

    def found_equal(self, view: ReplicaView) -> None:
        """The summaries were equal: the peer stands where `view` stands, and knows that we do."""
        self._peer = dict(view.streams)
        self._told = view

    def moved(self, positions: Iterable[Position]) -> None:
        """Take the peer's new positions. Raises RemoteProtocolError if one is malformed."""
        for position in positions:
            self._peer[position.stream] = position.after(self.peer(position.stream))

    def forked(self, view: ReplicaView) -> list[tuple[Stream, Origin, int]]:
        """Return (stream, origin, number) of the chains whose last batch differs although both ends name one number."""
        return [
            (stream, origin, entry.seq)
            for stream, state in sorted(self._peer.items())
            for origin, entry in sorted(state.frontier.entries.items())
            if (mine := view.stream(stream).frontier.entry(origin)).seq == entry.seq and mine.prefix != entry.prefix
        ]

    def tell(self, view: ReplicaView) -> list[Position]:
        """Return what changed since the last call, in order of stream, and count it as told."""
        changed = [
            position_of(stream, view.stream(stream), self._told.stream(stream))
            for stream in Stream
            if view.stream(stream) != self._told.stream(stream)
        ]
        self._told = view
        return changed

    def pending(self, view: ReplicaView) -> dict[Stream, Pending]:
        """Return the streams in which one end lacks batches of the other."""
        counts = {
            stream: Pending(
                incoming=_batches_beyond(self.peer(stream).frontier, view.stream(stream).frontier),
                outgoing=_batches_beyond(view.stream(stream).frontier, self.peer(stream).frontier),
            )
            for stream in Stream
            if view.stream(stream).frontier != self.peer(stream).frontier
        }
        return {stream: count for stream, count in counts.items() if count.incoming or count.outgoing}

    def agree(self, view: ReplicaView) -> bool:
        """Tell whether every stream has equal frontiers and equal digests at both ends."""
        return all(view.stream(stream).agrees_with(self.peer(stream)) for stream in Stream)

    def diverged(self, view: ReplicaView) -> frozenset[Stream]:
        """Return the streams in which equal batches made different rows, or one number names different batches."""
        return frozenset(
            stream
            for stream in Stream
            if _same_numbers(view.stream(stream).frontier, self.peer(stream).frontier)
            and not view.stream(stream).agrees_with(self.peer(stream))
        )


def _batches_beyond(frontier: Frontier, base: Frontier) -> int:
    return sum(max(0, entry.seq - base.entry(origin).seq) for origin, entry in frontier.entries.items())


def _same_numbers(one: Frontier, other: Frontier) -> bool:
    return one.covers_all(other) and other.covers_all(one)

"""What a replica is known to hold: for each origin the highest contiguous batch and the start of its hash."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from crdt.digest import EMPTY_DIGEST
from crdt.identifiers import ORIGIN_BYTES, SEQUENCE_MAX, Origin, Sequence
from crdt.version_vector import VersionVector
from sync.errors import RemoteProtocolError
from sync.streams import Stream

PREFIX_BYTES = 8


class FrontierEntry(NamedTuple):
    """The sequence number of the last batch held of one origin, and the first 8 bytes of its hash."""

    seq: int
    prefix: bytes


class Dependency(NamedTuple):
    """A batch that another builds on: its number in the chain of its origin, and the first 8 bytes of its hash."""

    origin: Origin
    seq: int
    prefix: bytes


#: Stands for "nothing yet"; also what the first batch of an origin names as its predecessor.
NO_ENTRY = FrontierEntry(0, bytes(PREFIX_BYTES))


@dataclass(frozen=True, slots=True)
class Frontier:
    """An immutable map of origin to FrontierEntry; equal frontiers with equal digests mean equal replicas."""

    entries: Mapping[Origin, FrontierEntry] = field(default_factory=dict)

    def entry(self, origin: Origin) -> FrontierEntry:
        """Return the entry of `origin`, NO_ENTRY where nothing is held."""
        return self.entries.get(origin, NO_ENTRY)

    def covers(self, origin: Origin, seq: int) -> bool:
        """Tell whether the batch `seq` of `origin` is held."""
        return self.entry(origin).seq >= seq

    def covers_all(self, other: "Frontier") -> bool:
        """Tell whether everything that `other` holds is held here."""
        return all(self.covers(origin, entry.seq) for origin, entry in other.entries.items())

    def join(self, other: "Frontier") -> "Frontier":
        """Return the least frontier that covers both; of a forked author's two hashes the greater, on both sides."""
        merged = dict(self.entries)
        for origin, entry in other.entries.items():
            merged[origin] = max(entry, merged.get(origin, NO_ENTRY))
        return Frontier(merged)

    def meet(self, other: "Frontier") -> "Frontier":
        """Return the greatest frontier that both cover; a number under which they name different batches is in none."""
        entries: dict[Origin, FrontierEntry] = {}
        for origin, mine in self.entries.items():
            theirs = other.entry(origin)
            if theirs.seq != mine.seq or theirs.prefix == mine.prefix:
                entries[origin] = min(mine, theirs)
        return Frontier({origin: entry for origin, entry in entries.items() if entry.seq})

    def advanced(self, origin: Origin, entry: FrontierEntry) -> "Frontier":
        """Return this frontier with `origin` at `entry`."""
        return Frontier({**self.entries, origin: entry})

    def vector(self) -> VersionVector:
        """Return the same knowledge without the hashes."""
        return VersionVector({origin: Sequence(entry.seq) for origin, entry in self.entries.items()})

    def dependencies(self) -> tuple[Dependency, ...]:
        """Return what a batch that is written upon this frontier builds on, in order of origin."""
        return tuple(Dependency(origin, *entry) for origin, entry in sorted(self.entries.items()))

    def to_wire(self) -> list[list[object]]:
        """Return [[origin, seq, prefix], …] in order of origin."""
        return [[origin, entry.seq, entry.prefix] for origin, entry in sorted(self.entries.items())]

    @classmethod
    def from_wire(cls, value: object) -> "Frontier":
        """Return the frontier that `value` spells, else raise RemoteProtocolError."""
        if not isinstance(value, list):
            raise RemoteProtocolError("a frontier travels as a list")
        entries: dict[Origin, FrontierEntry] = {}
        for row in value:
            match row:
                case [bytes(origin), int(seq), bytes(prefix)] if (
                    type(seq) is int
                    and len(origin) == ORIGIN_BYTES
                    and 1 <= seq <= SEQUENCE_MAX
                    and len(prefix) == PREFIX_BYTES
                ):
                    entries[Origin(origin)] = FrontierEntry(seq, prefix)
                case _:
                    raise RemoteProtocolError("a frontier's entry is [origin, seq, hash prefix]")
        if len(entries) != len(value) or list(entries) != sorted(entries):
            raise RemoteProtocolError("a frontier's entries stand in order of origin, each once")
        return cls(entries)


EMPTY_FRONTIER = Frontier()


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamState:
    """Frontier, digest (32 bytes) and number of live rows of one stream, read in one transaction."""

    frontier: Frontier = EMPTY_FRONTIER
    digest: bytes = EMPTY_DIGEST
    rows: int = 0

    def agrees_with(self, other: "StreamState") -> bool:
        """Tell whether both hold the same batches and, as proof, the same rows."""
        return self.frontier == other.frontier and self.digest == other.digest


EMPTY_STREAM = StreamState()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaView:
    """One consistent reading of all streams that hold anything."""

    streams: Mapping[Stream, StreamState]

    def stream(self, stream: Stream) -> StreamState:
        """Return the state of `stream`, empty where nothing is held."""
        return self.streams.get(stream, EMPTY_STREAM)

"""A version vector: for each origin, the highest sequence number up to which all its batches are known."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from crdt.identifiers import Dot, Origin, Sequence, Stamp, dot_origin, dot_seq, stamp_origin, stamp_seq


@dataclass(frozen=True, slots=True)
class VersionVector:
    """An immutable map of origin to the highest contiguous sequence number."""

    seq_by_origin: Mapping[Origin, Sequence] = field(default_factory=dict)

    def covers(self, origin: Origin, seq: int) -> bool:
        """Tell whether the batch `seq` of `origin` is known."""
        return self.seq_by_origin.get(origin, 0) >= seq

    def covers_stamp(self, stamp: Stamp) -> bool:
        """Tell whether the batch that made `stamp` is known."""
        return self.covers(stamp_origin(stamp), stamp_seq(stamp))

    def covers_dot(self, dot: Dot) -> bool:
        """Tell whether the batch that made `dot` is known."""
        return self.covers(dot_origin(dot), dot_seq(dot))

    def join(self, other: "VersionVector") -> "VersionVector":
        """Return the least vector that covers both."""
        merged = dict(self.seq_by_origin)
        for origin, seq in other.seq_by_origin.items():
            merged[origin] = max(seq, merged.get(origin, Sequence(0)))
        return VersionVector(merged)

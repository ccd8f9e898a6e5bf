"""Finds the first number at which two replicas hold different batches of one origin.

Each batch names the one before it by hash, so chains that are equal at a number are equal before it, and chains that
differ at a number differ from there on: a search by sections, six rounds of 64 probes for the longest chain there can
be. Either end may lack batches that a compaction dropped: the search then ends at the first that both hold.
"""

from collections.abc import Mapping

from crdt.identifiers import Origin
from sync.identifiers import BatchHash
from sync.limits import CHAIN_PROBES_MAX
from sync.streams import Stream


class ChainSearch:
    """One search. `equal_to` is the last number known to be equal, `first_differing` known once it was found."""

    __slots__ = ("_differs", "_floor", "_high", "_stuck", "equal_to", "highest", "origin", "stream")

    def __init__(self, stream: Stream, origin: Origin, highest: int) -> None:
        """Both ends hold batches of `origin` up to `highest`, a positive number."""
        self.stream = stream
        self.origin = origin
        self.highest = highest
        self.equal_to = 0
        self._high = highest + 1
        self._floor = 0
        self._differs = False
        self._stuck = False

    @property
    def ended(self) -> bool:
        """Tell whether there is nothing more to ask."""
        return self._stuck or self._high == self._low + 1

    @property
    def first_differing(self) -> int | None:
        """Return the first number at which the chains differ, None while it is not known or where there is none."""
        return self._high if self._differs and self._high == self.equal_to + 1 else None

    @property
    def differs_at(self) -> int | None:
        """Return the least number at which they are known to differ, None where there is none."""
        return self._high if self._differs else None

    @property
    def _low(self) -> int:
        return max(self.equal_to, self._floor)

    def probes(self) -> tuple[int, ...]:
        """Return the numbers to compare next, in order; the first round asks for the highest, too."""
        between = self._high - self._low - 1
        if between <= CHAIN_PROBES_MAX:
            return tuple(range(self._low + 1, self._high))
        steps = range(1, CHAIN_PROBES_MAX + 1)
        return tuple(self._low + (between * step + CHAIN_PROBES_MAX - 1) // CHAIN_PROBES_MAX for step in steps)

    def learned(self, ours: Mapping[int, BatchHash], theirs: Mapping[int, BatchHash]) -> None:
        """Take the hashes that each end holds of the probes."""
        before = (self._low, self._high, self._differs)
        for seq in self.probes():
            if seq not in ours or seq not in theirs:
                # Logs are dropped from the front, so what lies before it cannot be compared either.
                self._floor = seq
            elif ours[seq] == theirs[seq]:
                self.equal_to = seq
            else:
                self._high, self._differs = seq, True
                break
        self._stuck = (self._low, self._high, self._differs) == before

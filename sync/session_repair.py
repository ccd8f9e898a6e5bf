"""Finds the rows in which two replicas differ although both hold the same batches, and has them exchanged.

The end with the lower device id asks; the other one sums up and answers. Both then send their rows of the ranges that
were found, and join what they receive: a repair takes nothing away on either side.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from sync.effects import SplitRanges, SumRanges
from sync.errors import LocalProtocolError, RemoteProtocolError
from sync.limits import REPAIR_ASKS_MAX, SUMMED_PASSES_MAX, SUMMED_ROWS_SPARE
from sync.messages import RangesAnswer, RangesAsk, RowsAsk
from sync.row_ranges import EVERYTHING, FAN_OUT, RangeSum, RowRange
from sync.streams import Stream

#: What two repairs of a stream did not mend in one session, a third would not either.
REPAIRS_PER_STREAM_MAX = 2

RepairStep = SplitRanges | SumRanges | RangesAsk | RangesAnswer | RowsAsk


class Repair:
    """One session's comparison of ranges; at most one stream is compared at a time."""

    def __init__(self) -> None:
        self._stream: Stream | None = None
        self._times: Counter[Stream] = Counter()
        self._to_split: list[RowRange] = []
        self._asked: list[tuple[RowRange, RangeSum]] | None = None
        self._answering: Stream | None = None
        self._asks = 0
        self._exchanged: set[Stream] = set()
        self._is_fresh = False
        self._fresh_asks: Counter[Stream] = Counter()
        self._summed_rows: Counter[Stream] = Counter()
        self._most_rows: Counter[Stream] = Counter()

    def given_up(self, stream: Stream) -> bool:
        """Tell whether a stream was compared as often as makes sense, and is not being compared now."""
        return self._times[stream] >= REPAIRS_PER_STREAM_MAX and self._stream is not stream

    def has_exchanged(self, stream: Stream) -> bool:
        """Tell whether rows of a stream were asked for since this was last asked: it did not come right by itself."""
        exchanged = stream in self._exchanged
        self._exchanged.discard(stream)
        return exchanged

    def begin(self, stream: Stream) -> list[RepairStep]:
        """Begin to compare a stream, unless one is being compared or it was tried in vain."""
        if self._stream is not None or self.given_up(stream):
            return []
        self._stream = stream
        self._times[stream] += 1
        self._is_fresh = True
        return [SplitRanges(stream=stream, ranges=(EVERYTHING,), fresh=True)]

    def split(self, parts: Sequence[tuple[RowRange, RangeSum]]) -> list[RepairStep]:
        """Take the parts of the ranges to be cut, with their sums here, and ask for the sums there."""
        if self._stream is None or self._asked is not None:
            raise LocalProtocolError("ranges were cut that nobody asked for")
        self._asked = list(parts)
        fresh, self._is_fresh = self._is_fresh, False
        return [RangesAsk(stream=self._stream, ranges=[part for part, _ in parts], fresh=fresh)]

    def answered(self, answer: RangesAnswer) -> tuple[list[RepairStep], list[RowRange]]:
        """Take the sums there; return what follows, and the ranges whose rows this end has to send.

        Raises RemoteProtocolError if they were not asked for.
        """
        asked, self._asked = self._asked, None
        if asked is None or answer.stream is not self._stream or len(answer.sums) != len(asked):
            raise RemoteProtocolError("the peer answered ranges that it was not asked for")
        leaves: list[RowRange] = []
        for (part, ours), theirs in zip(asked, answer.sums, strict=True):
            if ours == theirs:
                continue
            if ours.rows <= FAN_OUT or not theirs.rows:
                leaves.append(part)
            else:
                self._to_split.append(part)
        stream = self._stream
        steps: list[RepairStep] = [RowsAsk(stream=stream, ranges=leaves)] if leaves else []
        self._exchanged.update([stream] if leaves else [])
        self._to_split.sort()
        ranges, self._to_split = self._to_split[:FAN_OUT], self._to_split[FAN_OUT:]
        if ranges:
            steps.append(SplitRanges(stream=stream, ranges=tuple(ranges), fresh=False))
        else:
            self._stream = None
        return steps, leaves

    def asked(self, ask: RangesAsk) -> SumRanges:
        """Take a question. Raises RemoteProtocolError for one before the last was answered, or for too many.

        Each costs this end the reading of all rows in its ranges, so it is also counted what they come to.
        """
        self._count(ask.ranges)
        self._fresh_asks[ask.stream] += ask.fresh
        spent_max = SUMMED_PASSES_MAX * self._most_rows[ask.stream] + SUMMED_ROWS_SPARE
        if self._fresh_asks[ask.stream] > REPAIRS_PER_STREAM_MAX or self._summed_rows[ask.stream] > spent_max:
            raise RemoteProtocolError("the peer has the same rows added up again and again")
        if self._answering is not None:
            raise RemoteProtocolError("the peer asked for ranges before the last answer")
        self._answering = ask.stream
        return SumRanges(stream=ask.stream, ranges=tuple(ask.ranges), fresh=ask.fresh)

    def summed(self, sums: Sequence[RangeSum]) -> RangesAnswer:
        """Take the sums of the ranges asked for and return the answer."""
        stream, self._answering = self._answering, None
        if stream is None:
            raise LocalProtocolError("ranges were summed up that nobody asked for")
        rows = sum(one.rows for one in sums)
        self._summed_rows[stream] += rows
        self._most_rows[stream] = max(self._most_rows[stream], rows)
        return RangesAnswer(stream=stream, sums=list(sums))

    def wanted(self, ask: RowsAsk) -> list[RowRange]:
        """Return the ranges whose rows the peer wants. Raises RemoteProtocolError for malformed or too many ones."""
        self._count(ask.ranges)
        self._exchanged.add(ask.stream)
        return ask.ranges

    def _count(self, ranges: Sequence[RowRange]) -> None:
        self._asks += 1
        if self._asks > REPAIR_ASKS_MAX or not all(one.is_sound() for one in ranges) or not _ascending(ranges):
            raise RemoteProtocolError("the peer asked for ranges that are out of order, or for too many")


def _ascending(ranges: Sequence[RowRange]) -> bool:
    """Tell whether ranges follow each other without overlapping: no row is then summed or sent twice."""
    return all(one.end != EVERYTHING.end and one.end <= other.first for one, other in pairwise(ranges))

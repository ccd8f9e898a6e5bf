"""Ranges of a stream's rows and their sums: how two replicas find the rows in which they differ.

Equal frontiers with unequal digests mean that some rows differ. One end cuts its rows into sixteen ranges of equal
number, the other sums up its own rows in the same ranges, and only ranges whose sums or numbers differ are cut again:
range-based set reconciliation (Meyer 2022, arXiv:2212.13567) with the digest's own sums in the place of fingerprints.
"""

from typing import Annotated, NamedTuple

import msgspec

from sync.snapshot import START, RowKey

#: A range is cut into so many; and one of at most so many rows is not cut any more, but exchanged.
FAN_OUT = 16


class RowRange(NamedTuple):
    """Rows from `first` on and below `end`, in order of table and id; an `end` of START means no end."""

    first: RowKey
    end: RowKey

    def is_sound(self) -> bool:
        """Tell whether both ends name rows, or no row, and the range can hold any."""
        return self.first.is_sound() and self.end.is_sound() and (self.end == START or self.first < self.end)


class RangeSum(NamedTuple):
    """What a replica holds in a range: the sum of its row hashes modulo 2^256, and how many rows, tombstones too."""

    hashes: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
    rows: Annotated[int, msgspec.Meta(ge=0, le=2**53)]


#: All rows of a stream.
EVERYTHING = RowRange(START, START)

"""Spells the stamps of a row's cells short: each stamp once, its origin by number, with the columns that bear it.

A stamp is 56 bytes, and an edit gives as a rule one stamp to all the columns that it writes. Spelled out for each of
them a row's state would grow threefold at its first edit, and pages that were filled in order would be split by it.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache

from crdt.identifiers import Origin, Stamp, make_stamp, stamp_hlc, stamp_origin, stamp_seq
from node.store.origins import Origins

#: One stamp and the columns whose cells bear it: (hlc, number of the origin, seq, names).
Stamped = tuple[int, int, int, list[str]]


def gather_stamps(stamp_by_column: Mapping[str, Stamp], origins: Origins) -> list[Stamped]:
    """Return the stamps as they are kept; within a transaction, as an origin may be given its number by it."""
    names_by_stamp: dict[Stamp, list[str]] = {}
    for name, stamp in stamp_by_column.items():
        names_by_stamp.setdefault(stamp, []).append(name)
    gathered: list[Stamped] = []
    for stamp, names in names_by_stamp.items():
        hlc, origin, seq = _taken_apart(stamp)
        gathered.append((hlc, origins.number(origin), seq, names))
    return gathered


@lru_cache(maxsize=256)
def _taken_apart(stamp: Stamp) -> tuple[int, Origin, int]:
    # All rows that a batch writes bear one stamp.
    return stamp_hlc(stamp), stamp_origin(stamp), stamp_seq(stamp)


def spread_stamps(gathered: Sequence[Stamped], origins: Origins) -> dict[str, Stamp]:
    """Return the stamp of each column; raises LookupError for the number of no origin, which only damage can make."""
    return {
        name: stamp
        for hlc, number, seq, names in gathered
        for stamp in (make_stamp(hlc, origins.origin(number), seq),)
        for name in names
    }

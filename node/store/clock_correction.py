"""Finds what this device wrote while its clock was far ahead, and which times it gets when it is written again.

Peers hold such batches back until their time has come, which may be years, and everything after them. Written again
they bear times of now, in their old order, beyond every time that the store has applied from elsewhere.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from crdt.hybrid_clock import HybridClock, hybrid_milliseconds
from crdt.identifiers import DeviceId, HybridTime, Origin, origin_device
from node.errors import StorageError
from node.store.catalogue import Catalogue
from node.store.change_log import ChangeLog
from node.store.database import Database
from node.store.origins import Origins
from sync.batch import read_header
from sync.limits import CLOCK_AHEAD_MILLISECONDS_MAX
from sync.streams import Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class AheadChain:
    """The end of one chain of this device: the times of the batches behind number `after`, in order."""

    stream: Stream
    origin: Origin
    after: int
    times: Sequence[int]


def chains_ahead(log: ChangeLog, device_id: DeviceId, now_milliseconds: int) -> list[AheadChain]:
    """Return the chains of this device that end more than 24 hours ahead of `now_milliseconds`, by stream and origin.

    Times only grow along a chain, so only its end has to be read.
    """
    bound = now_milliseconds + CLOCK_AHEAD_MILLISECONDS_MAX
    if hybrid_milliseconds(log.clock) <= bound:
        return []
    found: list[AheadChain] = []
    for stream, state in sorted(log.view().streams.items()):
        for origin, entry in sorted(state.frontier.entries.items()):
            if origin_device(origin) != device_id:
                continue
            times: list[int] = []
            after = entry.seq
            while (raw := log.raw_of(stream, origin, after)) is not None:
                hlc = read_header(raw).hlc
                if hybrid_milliseconds(hlc) <= bound:
                    break
                times.append(hlc)
                after -= 1
            if times:
                found.append(AheadChain(stream=stream, origin=origin, after=after, times=times[::-1]))
    return found


def latest_elsewhere(
    database: Database, origins: Origins, catalogue: Catalogue, log: ChangeLog, chains: Iterable[AheadChain]
) -> HybridTime:
    """Return the greatest time in log and row states that none of `chains` wrote."""
    after_by_chain = {(chain.stream, chain.origin): chain.after for chain in chains}
    latest = 0
    for stream, number, seq, raw in database.query("SELECT stream, origin, seq, raw FROM _batch"):
        after = after_by_chain.get((Stream(stream), origins.origin(number)))
        if after is None or seq <= after:
            latest = max(latest, read_header(raw).hlc)
    for table in catalogue.held_tables:
        for number, seq, hlc in database.query(
            f"SELECT origin, min(seq), max(hlc) FROM {table.row_table} GROUP BY origin"
        ):
            after = after_by_chain.get((table.stream, origins.origin(number)))
            if after is None:
                latest = max(latest, int.from_bytes(hlc, "big"))
            elif seq <= after:
                rows = database.query(
                    f"SELECT max(hlc) FROM {table.row_table} WHERE origin = ? AND seq <= ?", (number, after)
                )
                latest = max(latest, int.from_bytes(rows[0][0], "big"))
    return HybridTime(latest)


def corrected_times(
    chains: Iterable[AheadChain], latest: HybridTime, now_milliseconds: int
) -> Mapping[int, HybridTime]:
    """Return the new time for each old one; batches of one transaction, which share a time, go on sharing it.

    Raises StorageError where what came from elsewhere is far ahead as well: nothing written now could exceed it.
    """
    if hybrid_milliseconds(latest) > now_milliseconds + CLOCK_AHEAD_MILLISECONDS_MAX:
        raise StorageError(
            "Changes of other devices bear times far ahead as well. Set this device's clock right, then theirs, and "
            "let each of them correct its own changes first."
        )
    clock = HybridClock(latest)
    return {old: clock.next(now_milliseconds) for old in sorted({time for chain in chains for time in chain.times})}

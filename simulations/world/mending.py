"""Mends damaged rows as `doctor --repair` and a session do it: taken out here, brought by a device that holds them.

The comparison is driven by the session's own state machine; only the wire between the two ends is left out.
"""

from node.store.damage import ScrubReport
from simulations.oracle.checks import check_tables
from simulations.violation import Violation
from simulations.world import exchange
from simulations.world.damage import DAMAGED_ROWS, DAMAGED_WORDS, damaged_rows, scrub
from simulations.world.device import Device
from simulations.world.local import note_digests, owe_repairs
from simulations.world.plan import TABLES
from simulations.world.world import World
from sync.effects import SplitRanges, SumRanges
from sync.messages import RangesAsk, RowsAsk
from sync.row_ranges import RowRange
from sync.session_repair import Repair
from sync.streams import Stream


def mend(world: World, device: Device, *, at_rest: bool = False) -> None:
    """Mend what is damaged, stream by stream, from the first device that is found to hold the same batches."""
    for stream in sorted({TABLES[name].stream for name, _ in device.damaged}):
        holders = [one for one in world.devices if can_mend(world, one, device, stream, at_rest=at_rest)]
        if holders and not at_rest and world.random.chance(0.3):
            # The connection is lost before the rows that were taken out arrive.
            _take_out(world, device, stream)
            world.trace.reached("rows taken out and awaited")
        elif holders:
            _mend(world, device, world.random.choice(holders), stream)


def can_mend(world: World, holder: Device, device: Device, stream: Stream, *, at_rest: bool) -> bool:
    """Tell whether a device provably holds the rows that another one ought to hold, whole.

    Rows of its own may be damaged, but not the same ones. Until all have come to rest, words of a forgotten row may be
    there and not here, and a clock may be so far behind that it lets no page in. Then no batch is awaited either of
    what a page brought that its sender has lost since.
    """
    settled = all(one.is_settled(stream) for one in (holder, device)) or (at_rest and world.pages_adrift)
    return (
        holder is not device
        and not holder.damaged & device.damaged
        and all(exchange.lets_in(one, device.model.newest_hlc()) for one in (holder, device))
        and settled
        and not any(one.astray.behind or one.astray.written for one in (holder, device))
        and holder.frontier(stream) == device.frontier(stream)
        and (at_rest or _lacking(holder, stream) == _lacking(device, stream))
    )


def _lacking(device: Device, stream: Stream) -> set[object]:
    return {entry for entry in device.model.lacking if TABLES[entry[1][0]].stream is stream}


def _mend(world: World, device: Device, holder: Device, stream: Stream) -> None:
    shows = device.store.recompute_digest(stream) != holder.store.view().stream(stream).digest
    if not shows or world.random.chance(0.5):
        _take_out(world, device, stream)
    compare(world, device, holder, stream)
    mine, theirs = (one.store.view().stream(stream) for one in (device, holder))
    if mine.digest != theirs.digest and not any(TABLES[table].stream is stream for table, _ in holder.damaged):
        raise Violation("repair", f"{device.name} compared its rows of {stream.title} with {holder.name} in vain")
    if any(TABLES[table].stream is stream for table, _ in damaged_rows(world, device)):
        # Sums do not tell of a row that was changed beside its hash; a scrub does.
        _take_out(world, device, stream)
        compare(world, device, holder, stream)
    device.damaged = {key for key in device.damaged if TABLES[key[0]].stream is not stream}
    # What of the holder's own was damaged may have been replaced by the way.
    holder.damaged &= damaged_rows(world, holder)
    whole = not any(TABLES[table].stream is stream for table, _ in holder.damaged)
    if whole and device.store.view().stream(stream) != holder.store.view().stream(stream):
        raise Violation("repair", f"{device.name}, mended by {holder.name}, holds other rows of {stream.title}")
    for one in (device, holder):
        _index_again(one, scrub(world, one))
        tables = [name for name in one.clear_tables(tuple(TABLES)) if TABLES[name].stream is stream]
        check_tables(one.store.query, one.model, tables, one.name, "repair")
        owe_repairs(world, one)
        note_digests(world, one)
    if left := damaged_rows(world, device) - device.damaged:
        raise Violation("repair", f"{device.name} still has {len(left)} damaged rows of {stream.title}")
    world.trace.reached("damage repaired")
    world.trace.record(f"{device.name} has its rows of {stream.title} mended by {holder.name}")


def _take_out(world: World, device: Device, stream: Stream) -> None:
    report = scrub(world, device)
    row_ids_by_table: dict[str, list[bytes]] = {}
    for found in report.damage:
        if found.kind in DAMAGED_ROWS and TABLES[found.where].stream is stream:
            row_ids_by_table.setdefault(found.where, []).append(found.key)
    device.store.take_out(row_ids_by_table)
    world.trace.reached("damaged rows taken out", len(row_ids_by_table))
    _index_again(device, report)


def _index_again(device: Device, report: ScrubReport) -> None:
    tables = sorted({found.where for found in report.damage if found.kind in DAMAGED_WORDS})
    for _ in device.store.health().rebuild_text(tables, device.clock.monotonic_seconds):
        pass


def words_adrift(world: World) -> bool:
    """Tell whether a device holds a batch without words of a row that stands.

    They were taken out for a delete, and the delete was lost with a store that was set back before it went out.
    """
    for device in world.devices if world.plan.restore else ():
        rows = device.model.rows()
        for version, key in device.model.lacking:
            written = world.chronicle.written_by_name[TABLES[key[0]].stream, version.origin, version.seq]
            generation = max(change.generation for change in written.changes if change.key == key)
            if key not in rows or rows[key].generation <= generation:
                world.trace.reached("words taken out for a delete that was lost")
                return True
    return False


def level(world: World, device: Device, other: Device) -> None:
    """Compare two devices that hold the same batches in all streams of which they show different rows."""
    for stream in Stream:
        mine, theirs = (one.store.view().stream(stream) for one in (device, other))
        if mine.frontier == theirs.frontier and mine.digest != theirs.digest:
            compare(world, device, other, stream)
            # Which versions met in these rows, a page does not tell.
            device.joined_snapshot = other.joined_snapshot = True
            world.trace.reached("rows that no batch brings levelled out")


def compare(world: World, device: Device, other: Device, stream: Stream) -> None:
    """Find the rows in which two devices differ, by ranges of row hashes, and have them exchanged."""
    asker, answerer = sorted((device, other), key=lambda one: one.device_id)
    ranges = _differing(asker, answerer, stream)
    for source, destination in ((asker, answerer), (answerer, asker)):
        rest = tuple(ranges)
        while rest:
            bytes_max = world.random.choice((1, 300, 10_000))
            manifest, raw, rest = source.store.pages().read_repair(stream, rest, bytes_max)
            exchange.learn_page(source, destination, exchange.opened(world, source, raw))
            destination.store.apply_page(raw, manifest, source.device_id, world.realm.roster)
            world.trace.reached("repair page joined")


def _differing(asker: Device, answerer: Device, stream: Stream) -> list[RowRange]:
    asking, answering = Repair(), Repair()
    differing: list[RowRange] = []
    steps = asking.begin(stream)
    while steps:
        match steps.pop(0):
            case SplitRanges(ranges=ranges, fresh=fresh):
                _add_up(asker, stream, fresh=fresh)
                steps += asking.split(asker.store.pages().ranges.split(stream, ranges))
            case RangesAsk() as ask:
                wanted = answering.asked(ask)
                _add_up(answerer, stream, fresh=wanted.fresh)
                sums = answerer.store.pages().ranges.sums(stream, wanted.ranges)
                more, leaves = asking.answered(answering.summed(sums))
                steps += more
                differing += leaves
            case RowsAsk() as ask:
                if not set(answering.wanted(ask)) <= set(differing):
                    raise Violation("repair", f"{asker.name} asks for rows that do not differ")
            case SumRanges():
                raise Violation("repair", "the asking end was told to sum up")
            case step:
                raise Violation("repair", f"a comparison took a step that it has not: {step}")
    return sorted(differing)


def _add_up(device: Device, stream: Stream, *, fresh: bool) -> None:
    if fresh and device.store.recompute_digest(stream) != device.store.view().stream(stream).digest:
        device.store.add_up([stream])

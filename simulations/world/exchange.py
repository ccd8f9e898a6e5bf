"""What passes between devices: offers, deliveries in any order, repetitions, forgeries, snapshots."""

from msgspec.msgpack import decode

from crdt.hybrid_clock import hybrid_milliseconds
from crdt.identifiers import HybridTime, Origin, Stamp, stamp_hlc
from simulations.oracle.checks import check_tables
from simulations.oracle.history import Written
from simulations.violation import Violation
from simulations.world.courier import Parcel
from simulations.world.device import ALL_BYTES, Device, plain_frontier
from simulations.world.forks import meet
from simulations.world.local import note_digests, owe_repairs
from simulations.world.transfer import Transfer
from simulations.world.world import World
from sync.errors import RemoteProtocolError
from sync.frontier import EMPTY_FRONTIER, Frontier
from sync.limits import CLOCK_AHEAD_MILLISECONDS_MAX
from sync.snapshot import START, Page, open_page
from sync.streams import Stream


def offer(world: World, source: Device, destination: Device, *, entire: bool = False) -> bool:
    """Send what the destination lacks, in one parcel; return False where only a snapshot would help."""
    raws: list[bytes] = []
    if source.astray.written:
        return True
    view = destination.store.view()
    for stream in Stream:
        after = view.stream(stream).frontier
        if not after.covers_all(source.store.log_base(stream)):
            return False
        if not entire and world.random.chance(0.1):
            # The sender's picture of its peer is old: it sends again what was acknowledged.
            after = EMPTY_FRONTIER if source.store.log_base(stream) == EMPTY_FRONTIER else after
        limit = ALL_BYTES if entire or world.random.chance(0.7) else 2_000
        raws += [stored.raw for stored in source.store.read_batches(stream, after, limit)]
    for raw in raws:
        world.chronicle.name_of(raw)
    if raws and entire:
        deliver(world, destination, raws, source)
    elif raws:
        fate = world.courier.send(Parcel(source=source.index, destination=destination.index, raws=tuple(raws)))
        world.trace.reached(f"parcel {fate}")
        world.trace.record(f"{source.name} sends {len(raws)} batches to {destination.name}: {fate}")
    return True


def deliver(world: World, device: Device, raws: list[bytes], source: Device) -> None:
    """Apply batches and check that exactly what may be applied was: no more, no less."""
    raws = device.held + raws
    now = device.clock.now_milliseconds()
    joining = _joining(world, device)
    admitted, waiting = world.chronicle.admitted(
        device.model, raws, now, CLOCK_AHEAD_MILLISECONDS_MAX, joining, device.astray.forked
    )
    already = [raw for raw in raws if _covered(world, device, raw)]
    report = device.store.apply_batches(raws, world.realm.roster, now, joining)
    forked = {(fork.stream, bytes(fork.origin)) for fork in report.forked}
    if report.refused and not (forked and forked <= device.astray.written.keys()):
        raise Violation("refusal", f"{device.name} refused an honest batch: {report.refused[0].reason}")
    accept(world, device, admitted)
    if {held.raw for held in report.held} != waiting:
        raise Violation("holding", f"{device.name} held {len(report.held)} batches, not {len(waiting)}")
    world.trace.reached("duplicate delivered", bool(already))
    world.trace.reached("batch held", bool(waiting))
    world.trace.reached("late batch released", bool(admitted and device.held))
    if forked:
        world.trace.reached("fork met in a parcel")
        meet(world, device, source)
    device.held = sorted(waiting) if world.random.chance(0.8) else []
    world.trace.record(f"{device.name} applies {len(admitted)} of {len(raws)} batches, holds {len(waiting)}")


def accept(world: World, device: Device, admitted: list[Written]) -> None:
    """Let the oracle apply what the store ought to have applied, and compare."""
    origin = next((chain[1] for chain in device.astray.behind), None)
    for written in admitted:
        device.model.learn(written)
        # A snapshot that no one sends any more is given up where a batch comes that it would have claimed.
        claimed = device.snapshot_claims.get(written.stream, {}).get(written.version.origin, 0)
        if written.version.seq <= claimed and written.stream not in _joining(world, device):
            del device.snapshot_claims[written.stream]
            world.trace.reached("unfinished snapshot given up")
    lost = any(written.version.origin == origin for written in admitted)
    if lost and device.origin == origin:
        raise Violation(
            "incarnation", f"{device.name} received what it had lost and goes on under the same incarnation"
        )
    if lost and not device.astray.written:
        device.astray.behind.clear()
    world.trace.reached("own lost batches received", lost)
    owe_repairs(world, device)
    check_tables(device.store.query, device.model, device.clear_tables(world.plan.tables), device.name, "merge")


def deliver_and_die(world: World, device: Device, raws: list[bytes]) -> None:
    """Apply batches and be killed on the way; what the reopened store says it holds, it must hold entirely."""
    now = device.clock.now_milliseconds()
    joining = _joining(world, device)
    admitted, _ = world.chronicle.admitted(
        device.model, raws, now, CLOCK_AHEAD_MILLISECONDS_MAX, joining, device.astray.forked
    )
    killed = device.mortally(lambda: _apply(world, device, raws, now), 100)
    if killed:
        device.restart()
    view = device.store.view()
    survived = [
        written
        for written in admitted
        if view.stream(written.stream).frontier.covers(Origin(written.version.origin), written.version.seq)
    ]
    if len(survived) not in (0, len(admitted)):
        raise Violation("atomicity", f"{device.name} kept {len(survived)} of {len(admitted)} batches of one call")
    world.trace.reached("killed while applying", killed)
    world.trace.record(f"{device.name} is killed while applying: {len(survived)} of {len(admitted)} survive")
    accept(world, device, survived)


def repeat(world: World, device: Device) -> None:
    """Apply what is held already, once more: nothing may change."""
    before = device.store.view()
    raws = [
        stored.raw
        for stream in Stream
        for stored in device.store.read_batches(stream, device.store.log_base(stream), ALL_BYTES)
    ]
    again = world.random.sample(raws, 12)
    if again:
        device.store.apply_batches(again, world.realm.roster, device.clock.now_milliseconds())
        if device.store.view() != before:
            raise Violation("idempotence", f"{device.name} changed when it was given what it held")
        tables = device.clear_tables(world.plan.tables)
        check_tables(device.store.query, device.model, tables, device.name, "idempotence")
        world.trace.reached("applied again")


def forge(world: World, device: Device, raws: list[bytes]) -> None:
    """Deliver a batch in which one byte was changed on the way: refused, and nothing changes."""
    before = device.store.view()
    raw = bytearray(world.random.choice(raws))
    raw[world.random.below(len(raw))] ^= 1 << world.random.below(8)
    try:
        report = device.store.apply_batches([bytes(raw)], world.realm.roster, device.clock.now_milliseconds())
    except RemoteProtocolError:
        world.trace.reached("forgery refused")
    else:
        if not report.held:
            raise Violation("forgery", f"{device.name} took a batch that was changed on the way")
        world.trace.reached("forgery of an unknown author held")
    if device.store.view() != before:
        raise Violation("forgery", f"{device.name} was changed by a batch that was changed on the way")


def begin_transfer(world: World, source: Device, destination: Device, stream: Stream) -> None:
    """Start a snapshot; the frontier it is of is read now."""
    manifest = source.store.snapshot_manifest(stream)
    cursor = destination.store.place_snapshot(manifest)
    if cursor == START:
        destination.snapshot_claims.pop(stream, None)
    world.trace.reached("snapshot resumed", cursor != START)
    transfer = Transfer(
        source=source.index,
        destination=destination.index,
        stream=stream,
        manifest=manifest,
        cursor=cursor,
        quiet=world.random.chance(0.5),
        source_life=source.life,
        destination_life=destination.life,
    )
    world.transfers.append(transfer)
    world.trace.reached("snapshot into an empty store" if not destination.model.frontier else "snapshot joined")
    world.trace.record(f"{source.name} begins a snapshot of {stream.title} for {destination.name}")


def continue_transfer(world: World, transfer: Transfer) -> None:
    """Carry one page over; after the last the destination adopts the frontier."""
    source, destination = world.devices[transfer.source], world.devices[transfer.destination]
    if transfer.source_life != source.life or transfer.destination_life != destination.life:
        world.transfers.remove(transfer)
        return
    bytes_max = world.random.choice((1, 1, 300, 3_000, 100_000))
    page = source.store.read_page(transfer.manifest, transfer.pages, transfer.cursor, bytes_max)
    before, told = destination.store.view(), opened(world, source, page.raw)
    try:
        destination.store.apply_page(page.raw, transfer.manifest, source.device_id, world.realm.roster)
    except RemoteProtocolError as error:
        if not _too_far_ahead(told, destination.clock.now_milliseconds()):
            raise Violation("refusal", f"{destination.name} refused an honest page: {error}") from error
        if destination.store.view() != before:
            raise Violation("atomicity", f"{destination.name} kept something of a refused page") from error
        world.transfers.remove(transfer)
        world.trace.reached("page from far ahead refused")
        return
    destination.claim(transfer.stream, plain_frontier(transfer.manifest.frontier))
    learn_page(source, destination, told)
    destination.unsettle(transfer.stream, source, quiet=transfer.quiet)
    destination.joined_snapshot = True
    owe_repairs(world, destination)
    transfer.pages += 1
    if page.next_cursor is None:
        destination.store.adopt_snapshot(transfer.manifest)
        destination.model.adopt(transfer.stream, destination.snapshot_claims.pop(transfer.stream))
        world.transfers.remove(transfer)
        world.trace.reached("snapshot adopted")
        world.trace.reached("snapshot of several pages", transfer.pages > 1)
        world.trace.record(f"{destination.name} adopts {transfer.stream.title} after {transfer.pages} pages")
    else:
        transfer.cursor = page.next_cursor
    destination.remember_forgotten()
    note_digests(world, destination)
    tables = destination.clear_tables(world.plan.tables)
    check_tables(destination.store.query, destination.model, tables, destination.name, "snapshot")


def opened(world: World, source: Device, raw: bytes) -> Page:
    """Return a page as its receiver reads it."""
    public = world.realm.roster.sign_public(source.device_id)
    assert public is not None
    return open_page(raw, world.realm.realm_id, source.device_id, public)


def _too_far_ahead(page: Page, now_milliseconds: int) -> bool:
    stamps = set[bytes]().union(*(section.all_stamps() for section in page.sections))
    newest = max((stamp_hlc(Stamp(stamp)) for stamp in stamps), default=0)
    return hybrid_milliseconds(newest) > now_milliseconds + CLOCK_AHEAD_MILLISECONDS_MAX


def lets_in(device: Device, hlc: int) -> bool:
    """Tell whether a device's clock takes a hybrid time for one that can be."""
    return hybrid_milliseconds(HybridTime(hlc)) <= device.clock.now_milliseconds() + CLOCK_AHEAD_MILLISECONDS_MAX


def learn_page(source: Device, destination: Device, page: Page) -> None:
    """Let the oracle give the destination what the source holds of a page's rows."""
    for (table, _), section in zip(page.header.layouts, page.sections, strict=True):
        for row in decode(section.as_array()):
            destination.model.learn_changes(source.model.changes_by_row[table, bytes(row[0])].values())


def _apply(world: World, device: Device, raws: list[bytes], now: int) -> None:
    device.store.apply_batches(raws, world.realm.roster, now, _joining(world, device))


def stable_frontiers(world: World) -> dict[Stream, Frontier]:
    """Return what every device holds of each stream, and held when it was backed up: a device that comes back is heard.

    Nobody could prove to it that it went back, once all have dropped what it lost.
    """
    views = [device.store.view() for device in world.devices]
    stable: dict[Stream, Frontier] = {}
    for stream in Stream:
        frontier = views[0].stream(stream).frontier
        for view in views[1:]:
            frontier = frontier.meet(view.stream(stream).frontier)
        backups = [backup.model.frontier.get(stream, {}) for backup in world.backup_by_device.values()]
        stable[stream] = Frontier(
            {
                origin: entry
                for origin, entry in frontier.entries.items()
                if all(known.get(origin, 0) >= entry.seq for known in backups)
            }
        )
    return stable


def _joining(world: World, device: Device) -> dict[Stream, dict[bytes, int]]:
    """Return the streams of which a snapshot is under way to the device, with what it will claim at most."""
    return {
        transfer.stream: device.snapshot_claims[transfer.stream]
        for transfer in world.transfers
        if transfer.destination == device.index and transfer.stream in device.snapshot_claims
    }


def _covered(world: World, device: Device, raw: bytes) -> bool:
    return device.model.covers(*world.chronicle.name_of(raw))

"""One seed from beginning to end: faults and work, then healing, then the proof that all agree and nothing is lost."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil, log2
from pathlib import Path

from simulations.oracle.checks import check_tables, read_table, same_rows
from simulations.oracle.final import check_conflicts, check_digests, check_full_text
from simulations.violation import Violation
from simulations.world import exchange
from simulations.world.damage import strike
from simulations.world.device import ALL_BYTES, Device
from simulations.world.fence import fenced
from simulations.world.forks import come_to_rest, meet
from simulations.world.local import forbidden, transact
from simulations.world.mending import level, mend, words_adrift
from simulations.world.plan import Plan, as_drawn, draw_plan
from simulations.world.restore import back_up, restore
from simulations.world.updating import update
from simulations.world.world import World
from sync.streams import Stream

_DAY_MILLISECONDS = 24 * 3600 * 1000
_SEARCHED_WORDS_MAX = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one seed came to."""

    seed: int
    plan: Plan
    trace_digest: str
    violation: Violation | None
    recent: tuple[str, ...]
    sometimes: dict[str, int]

    def broken(self, violation: Violation) -> "Outcome":
        """Return the same outcome with a violation found afterwards."""
        return replace(self, violation=violation)


def run_seed(seed: int, home: Path, change_plan: Callable[[Plan], Plan] = as_drawn) -> Outcome:
    """Run one seed in the empty directory `home` and return its outcome; a violation is returned, not raised."""
    plan = change_plan(draw_plan(seed))
    violation: Violation | None = None
    with fenced():
        world = World(seed, plan, home)
        try:
            for _ in range(plan.steps):
                step(world)
            heal(world)
            verify(world)
            if updating := [device for device in world.devices if device.is_earlier]:
                for device in updating:
                    update(world, device)
                come_together(world)
                verify(world)
            for device in world.devices:
                device.reopen()
            verify(world)
        except Violation as broken:
            violation = broken
        except Exception as error:  # noqa: BLE001
            # Whatever an honest run raises is a defect too; the traceback stays on the violation.
            violation = Violation("crash", f"{type(error).__name__}: {error}")
            violation.__cause__ = error
        finally:
            world.close()
    return Outcome(
        seed=seed,
        plan=plan,
        trace_digest=world.trace.digest,
        violation=violation,
        recent=tuple(world.trace.recent),
        sometimes=dict(world.trace.sometimes),
    )


def step(world: World) -> None:
    """Do one random thing."""
    plan, random = world.plan, world.random
    if not plan.frozen_time:
        world.true_time.advance(random.below(2_000))
    if random.chance(plan.jump):
        _jump(world, random.choice(world.devices))
    if not world.is_complete and random.chance(0.1):
        world.add_device()
    if random.chance(plan.kill / 4):
        _kill(world, random.choice(world.devices))
    if random.chance(plan.snapshot):
        _snapshot(world)
    if random.chance(plan.restore):
        _restore(world, random.choice(world.devices))
    if random.chance(plan.clone) and len(world.devices) <= plan.devices:
        _clone(world, random.choice(world.devices))
    if plan.damage and random.chance(plan.damage):
        strike(world, random.choice(world.devices), plan.tables)
    if plan.damage and random.chance(0.2):
        _mend(world, random.choice(world.devices))
    if plan.earlier and random.chance(0.05):
        _update(world, random.choice(world.devices))
    action: Callable[[World], None] = random.weighted(
        ((_write, 10), (_offer, 7), (_deliver, 9), (_page, 4), (_repeat, 1), (_forbid, 1), (_upkeep, 2))
    )
    action(world)


def heal(world: World) -> None:
    """Set the clocks, mend the network and let everybody exchange until all hold the same; bounded in rounds."""
    world.transfers.clear()
    world.courier.under_way.clear()
    while not world.is_complete:
        world.add_device()
    for device in world.devices:
        device.clock.offset_milliseconds = 0
        device.held.clear()
    world.true_time.advance(60 * _DAY_MILLISECONDS)
    come_to_rest(world)
    come_together(world)
    _mend_at_rest(world)


def come_together(world: World) -> None:
    """Let everybody exchange until all hold the same; bounded in rounds."""
    rounds_max = 2 * ceil(log2(len(world.devices))) + 6
    for number in range(rounds_max):
        if _agree(world):
            world.trace.record(f"healed after {number} rounds")
            return
        for destination in world.random.shuffled(world.devices):
            for source in world.random.shuffled(world.devices):
                if source is not destination:
                    _catch_up(world, source, destination)
    raise Violation("convergence", f"the devices still hold different batches after {rounds_max} rounds")


def verify(world: World) -> None:
    """Compare every store with the oracle and with every other store, whole."""
    first = world.devices[0]
    for device in world.devices:
        _check_nothing_lost(world, device)
        names = tuple(device.model.declared)
        check_tables(device.store.query, device.model, names, device.name, "tables")
        if device.store.view() != first.store.view():
            raise Violation("digest", f"{device.name} and {first.name} hold the same batches and disagree")
        for name in names if device.is_earlier is first.is_earlier else ():
            mine, other = (read_table(one.store.query, device.model.declared[name]) for one in (device, first))
            if not same_rows(mine, other):
                raise Violation("tables", f"{device.name} and {first.name} show different rows of {name}")
        check_digests(device.store.view(), device.model, device.name)
        for stream in Stream:
            if device.store.recompute_digest(stream) != device.store.view().stream(stream).digest:
                raise Violation("digest", f"{device.name}: the stored row hashes of {stream.title} give another digest")
        words = [word for other in world.devices for word in other.values.words]
        query = device.store.query
        check_full_text(query, device.model, world.random.sample(words, _SEARCHED_WORDS_MAX), device.name)
        _check_forgotten(world, device)
        if (forks := device.store.chains.open_forks()) and not world.chronicle.adrift:
            raise Violation("fork", f"{device.name} calls {len(forks)} forks open that are settled")
        if not device.joined_snapshot and not world.forked:
            check_conflicts(query, device.model, device.name)
        world.trace.record(f"{device.name} verified", b"".join(device.store.view().stream(s).digest for s in Stream))


def _check_nothing_lost(world: World, device: Device) -> None:
    for written in world.chronicle.written_by_name.values():
        if written.name in world.chronicle.adrift and not world.devices[0].model.covers(*written.name):
            continue
        if not device.model.covers(*written.name):
            raise Violation("durability", f"an acknowledged transaction never reached {device.name}")


def _check_forgotten(world: World, device: Device) -> None:
    """After its upkeep a store holds nothing of what a deleted row said: not in its log, nor beside its tables."""
    while device.store.maintain():
        pass
    generations = {key: row.generation for key, row in device.model.rows().items()}
    for stream in Stream:
        base = device.store.log_base(stream)
        for stored in device.store.read_batches(stream, base, ALL_BYTES):
            if told := world.chronicle.words_of_the_forgotten(stored.raw, generations):
                raise Violation(
                    "forgetting", f"{device.name} keeps words of a deleted row of {told[0].key[0]} in its log"
                )
    for table, row_id, generation in device.store.query("SELECT table_name, row_id, generation FROM _history"):
        key = (str(table), bytes(row_id))
        if generation % 2 == 1 and generation < generations[key]:
            raise Violation("forgetting", f"{device.name} keeps history of a deleted row of {table}")


def _agree(world: World) -> bool:
    first = world.devices[0]
    return all(
        device.store.view().stream(stream).frontier == first.store.view().stream(stream).frontier
        for device in world.devices
        for stream in Stream
    )


def _catch_up(world: World, source: Device, destination: Device) -> None:
    meet(world, destination, source)
    if exchange.offer(world, source, destination, entire=True) or source.damaged:
        return
    for stream in Stream:
        if not destination.store.view().stream(stream).frontier.covers_all(source.store.log_base(stream)):
            exchange.begin_transfer(world, source, destination, stream)
            while world.transfers:
                exchange.continue_transfer(world, world.transfers[0])
    if not exchange.offer(world, source, destination, entire=True):
        raise Violation("convergence", f"a snapshot did not bring {destination.name} up to its log's base")


def _mend(world: World, device: Device) -> None:
    """Let a damaged device come to hold what another one holds, and be mended by it, if it can be now."""
    if device.damaged:
        other = world.random.choice([one for one in world.devices if one is not device])
        for source, destination in ((device, other), (other, device)):
            exchange.offer(world, source, destination, entire=True)
        mend(world, device)


def _mend_at_rest(world: World) -> None:
    """Mend what is damaged still, then damage whatever there is on one device and on another, and mend it."""
    for device in world.devices:
        mend(world, device, at_rest=True)
    for _ in range(2) if world.pages_adrift or words_adrift(world) else ():
        for device in world.devices[1:]:
            level(world, device, world.devices[0])
    for device in world.random.sample(world.devices, 2) if world.plan.damage else ():
        for _ in range(world.random.between(1, 2)):
            strike(world, device, world.plan.tables, sudden=False)
        mend(world, device, at_rest=True)
    if any(device.damaged for device in world.devices):
        raise Violation("repair", "a row stays damaged although other devices hold it")


def _write(world: World) -> None:
    device = world.random.choice(world.devices)
    quiet = any(transfer.quiet and transfer.source == device.index for transfer in world.transfers)
    if not quiet and device.is_clear() and not device.damaged:
        transact(world, device)


def _forbid(world: World) -> None:
    if world.random.chance(world.plan.forbidden * 10):
        device = world.random.choice(world.devices)
        if device.is_clear() and not device.damaged and not device.is_earlier:
            forbidden(world, device)


def _offer(world: World) -> None:
    source, destination = world.random.sample(world.devices, 2)
    if world.random.chance(0.5):
        # A session begins by comparing chains of which the ends hold different versions.
        meet(world, destination, source)
    if not exchange.offer(world, source, destination):
        stream = next(
            stream
            for stream in Stream
            if not destination.store.view().stream(stream).frontier.covers_all(source.store.log_base(stream))
        )
        _transfer(world, source, destination, stream)


def _deliver(world: World) -> None:
    parcel = world.courier.arriving()
    if parcel is None:
        return
    device = world.devices[parcel.destination]
    if any(transfer.quiet and transfer.source == device.index for transfer in world.transfers):
        return
    if world.random.chance(world.plan.tamper):
        exchange.forge(world, device, list(parcel.raws))
    if world.random.chance(world.plan.kill):
        exchange.deliver_and_die(world, device, list(parcel.raws))
    else:
        exchange.deliver(world, device, list(parcel.raws), world.devices[parcel.source])


def _page(world: World) -> None:
    if world.transfers:
        exchange.continue_transfer(world, world.random.choice(world.transfers))


def _repeat(world: World) -> None:
    exchange.repeat(world, world.random.choice(world.devices))


def _upkeep(world: World) -> None:
    """Let a device do what it does when nothing else is to be done, and kill it now and then while it does."""
    device = world.random.choice(world.devices)

    compacting = world.random.chance(0.3)

    def maintain() -> None:
        device.store.maintain()
        if compacting:
            device.store.compact(exchange.stable_frontiers(world), world.random.choice((1, 3, 100)))

    killed = False
    if world.random.chance(world.plan.kill):
        killed = device.mortally(maintain, 20)
    else:
        maintain()
    if killed:
        device.restart()
        world.trace.reached("killed while forgetting")
    world.trace.reached("upkeep done", not killed)
    world.trace.reached("log compacted", compacting and not killed)
    tables = device.clear_tables(world.plan.tables)
    check_tables(device.store.query, device.model, tables, device.name, "durability")


def _snapshot(world: World) -> None:
    source, destination = world.random.sample(world.devices, 2)
    streams = sorted(stream for stream, known in source.model.frontier.items() if known)
    if streams:
        _transfer(world, source, destination, world.random.choice(streams))


def _transfer(world: World, source: Device, destination: Device, stream: Stream) -> None:
    busy = {(transfer.destination, transfer.stream) for transfer in world.transfers}
    astray = source.astray.behind or destination.astray.behind
    if (destination.index, stream) not in busy and source.is_settled(stream) and not astray and not source.damaged:
        exchange.begin_transfer(world, source, destination, stream)


def _kill(world: World, device: Device) -> None:
    device.kill()
    device.restart()
    world.trace.reached("killed between calls")
    world.trace.record(f"{device.name} is killed")
    tables = device.clear_tables(world.plan.tables)
    check_tables(device.store.query, device.model, tables, device.name, "durability")


def _update(world: World, device: Device) -> None:
    if device.is_earlier:
        update(world, device)


def _restore(world: World, device: Device) -> None:
    if device.damaged:
        return
    # Who alone could prove to another device that it went back stays where it is.
    if device.astray.written or any(other.astray.behind for other in world.devices if other is not device):
        return
    if device.index in world.backup_by_device and world.random.chance(0.5):
        # A page can hold what its sender wrote after it began; set back, the sender will never send that as a batch.
        adrift = any(other.unsettled for other in world.devices if other is not device)
        if adrift and any(other.damaged for other in world.devices):
            # It might be the only one left to hold that, and send no page of it.
            return
        world.pages_adrift |= adrift
        restore(world, device)
        world.transfers = [one for one in world.transfers if device.index not in (one.source, one.destination)]
    else:
        back_up(world, device)


def _clone(world: World, original: Device) -> None:
    if original.astray.behind:
        return
    copy = world.clone(original)
    if any(original.origin in known for known in original.model.frontier.values()) and copy.origin == original.origin:
        raise Violation("incarnation", f"{copy.name} writes under the incarnation of the device it was copied from")


def _jump(world: World, device: Device) -> None:
    reach = max(world.plan.skew_milliseconds_max, 1_000)
    device.clock.offset_milliseconds = world.random.choice(
        (0, world.random.between(-reach, reach), -30 * _DAY_MILLISECONDS, 30 * 3_600_000)
    )
    world.trace.reached("clock jumped")
    world.trace.record(f"{device.name}'s clock jumps to {device.clock.offset_milliseconds} ms")

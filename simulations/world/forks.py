"""A device set back without a trace, as a machine's snapshot does: what it writes under numbers that are taken.

Nobody notices until a peer shows batches of the device that it does not hold. Then its own end of the chain is written
again under another name, as a session has it done, and both pasts go on. Until then the device sends nothing here.
"""

from dataclasses import replace

from crdt.identifiers import Origin, origin_device
from simulations.oracle.chronicle import BatchName
from simulations.oracle.history import Version, Written
from simulations.violation import Violation
from simulations.world.device import ALL_BYTES, Device
from simulations.world.local import owe_repairs
from simulations.world.world import World
from sync.batch import open_batch
from sync.chain_search import ChainSearch
from sync.effects import ForkFound
from sync.frontier import EMPTY_FRONTIER, PREFIX_BYTES
from sync.identifiers import BatchHash
from sync.streams import Stream


def stray(world: World, device: Device) -> None:
    """Note behind which numbers a device that was just set back without a trace writes what was written before."""
    origin = bytes(device.origin)
    taken: dict[Stream, int] = {}
    for stream, author, seq in world.chronicle.written_by_name:
        if author == origin:
            taken[stream] = max(seq, taken.get(stream, 0))
    device.astray.behind = {
        (stream, origin): held for stream, seq in taken.items() if seq > (held := device.held_seq(stream, origin))
    }


def can_be_found(world: World, device: Device, frontier: dict[Stream, dict[bytes, int]], origin: bytes) -> bool:
    """Tell whether others hold, as batches, what a device would have lost: only they prove that it went back."""
    return not any(
        other.store.log_base(stream).entry(Origin(origin)).seq > frontier.get(stream, {}).get(origin, 0)
        for other in world.devices
        if other is not device
        for stream in Stream
    ) and not any(other is not device and other.device_id == device.device_id for other in world.devices)


def meet(world: World, device: Device, witness: Device) -> None:
    """Compare the chains that `device` may have written twice with those of `witness`, and settle what differs."""
    for stream, origin in sorted(device.astray.written):
        behind = device.astray.behind[stream, origin]
        first = _first_differing(device, witness, stream, Origin(origin))
        if first is None:
            continue
        if first != behind + 1:
            raise Violation("fork", f"{device.name} went back to {behind}, and {first} is the first found to differ")
        _settle(world, device, witness, (stream, origin, first))


def come_to_rest(world: World) -> None:
    """Let who went astray meet all others; what nobody has another version of stands as it was written."""
    for device in world.devices:
        for witness in world.random.shuffled(world.devices):
            if witness is not device:
                meet(world, device, witness)
        others = [other for other in world.devices if other is not device]
        for chain, held in sorted(device.astray.behind.items()):
            if any(other.held_seq(*chain) > held for other in others):
                continue
            world.chronicle.lose(*chain, held)
            for written, raw in device.astray.written.pop(chain, []):
                world.chronicle.register(written, raw)
                world.trace.reached("nobody had another version")
            del device.astray.behind[chain]


def _first_differing(device: Device, witness: Device, stream: Stream, origin: Origin) -> int | None:
    ends = [one.store.view().stream(stream).frontier.entry(origin).seq for one in (device, witness)]
    if not min(ends):
        return None
    search = ChainSearch(stream, origin, min(ends))
    while not search.ended:
        probes = search.probes()
        search.learned(*(one.store.chains.hashes(stream, origin, probes) for one in (device, witness)))
    return search.differs_at


def _settle(world: World, device: Device, witness: Device, name: BatchName) -> None:
    stream, origin, first = name
    evidence, own = (one.store.chains.batch(stream, Origin(origin), first) for one in (witness, device))
    if evidence is None or own is None:
        raise Violation("fork", f"a batch of {device.name} differs and is in no log")
    if world.random.chance(0.5):
        mine, theirs = (_hash(world, raw) for raw in (own, evidence))
        found = ForkFound(stream=stream, origin=Origin(origin), seq=first, ours=theirs, theirs=mine, evidence=own)
        witness.store.chains.note_fork(found, world.realm.roster)
    killed = world.random.chance(world.plan.kill) and device.mortally(
        lambda: _write_again(world, device, evidence), 200
    )
    if killed:
        device.restart()
        world.trace.reached("killed while settling a fork")
        if device.store.view().stream(stream).frontier.entry(Origin(origin)).seq > first - 1:
            return
    elif device.store.view().stream(stream).frontier.entry(Origin(origin)).seq != first - 1:
        _write_again(world, device, evidence)
    _learn_again(world, device, stream, origin)
    world.trace.reached("fork settled")
    world.trace.record(f"{device.name} meets its lost past on {witness.name} and writes its own again", device.origin)


def _write_again(world: World, device: Device, evidence: bytes) -> None:
    if not device.store.chains.settle_fork(evidence, world.realm.roster):
        raise Violation("fork", f"{device.name} does not see from a peer's batch that it went back")


def _learn_again(world: World, device: Device, stream: Stream, origin: bytes) -> None:
    """Let the oracle rename what was written again: the same changes under the names that the store gave them."""
    strays = device.astray.written.pop((stream, origin))
    if device.origin == origin:
        raise Violation("incarnation", f"{device.name} met its lost past and goes on under the same incarnation")
    into, behind = bytes(device.origin), device.astray.behind[stream, origin]
    held = device.held_seq(stream, into)
    again = [
        stored.raw
        for stored in device.store.read_batches(stream, EMPTY_FRONTIER, ALL_BYTES)
        if stored.origin == into and stored.seq > held
    ]
    if len(again) != len(strays):
        raise Violation("fork", f"{device.name} wrote {len(again)} batches again, not {len(strays)}")
    version_by_old: dict[Version, Version] = {}
    fresh: list[tuple[Written, bytes]] = []
    for (old, _), raw in zip(strays, again, strict=True):
        batch = open_batch(raw, world.realm.realm_id, world.realm.roster.sign_public)
        header = batch.header
        if header.stands_for[-1][:2] != (origin, old.version.seq):
            raise Violation("fork", f"{device.name} wrote its batches again in another order")
        version = Version(header.hlc, into, header.seq)
        if version.hlc != old.version.hlc:
            raise Violation("stamp", f"{device.name} wrote a batch again with another time")
        version_by_old[old.version] = version
        deps = {bytes(author): seq for author, seq, _ in header.deps}
        prefixes = {bytes(author): prefix for author, _, prefix in header.deps}
        for_these = tuple((bytes(author), seq, of[:PREFIX_BYTES]) for author, seq, of in header.stands_for)
        own = batch.hash[:PREFIX_BYTES]
        fresh.append(
            (
                replace(old, version=version, deps=deps, prefix=own, prefixes=prefixes, stands_for=for_these),
                raw,
            )
        )
    # Only it has read what it wrote astray; both pasts may have given two batches one time, and so one version.
    later = [
        name
        for name in world.chronicle.written_by_name
        if name[0] == stream
        and name[1] != origin
        and origin_device(Origin(name[1])) == device.device_id
        and device.model.covers(*name)
    ]
    world.chronicle.rename(later, version_by_old)
    device.model.rename(stream, version_by_old)
    known = device.model.frontier[stream]
    del known[origin]
    if behind:
        known[origin] = behind
    for written, raw in fresh:
        known[into] = written.version.seq
        device.model.note_again(written)
        world.chronicle.register_again(written.renamed(version_by_old), raw)
    world.forked = True
    if not device.astray.written:
        device.astray.behind.clear()
    owe_repairs(world, device)


def _hash(world: World, raw: bytes) -> BatchHash:
    return open_batch(raw, world.realm.realm_id, world.realm.roster.sign_public).hash

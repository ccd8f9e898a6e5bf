"""Local transactions: committed, abandoned, refused or cut off by a kill; each acknowledged one is taken down."""

from crdt.identifiers import Origin
from node.errors import ConstraintError
from simulations.oracle.checks import check_tables
from simulations.oracle.chronicle import BatchName
from simulations.oracle.derived import owed_deletes, owed_updates, standing
from simulations.oracle.history import Cell, RowKey, Version, Written
from simulations.oracle.transaction import ModelTransaction
from simulations.violation import Violation
from simulations.workloads.writer import Writer
from simulations.world.device import ALL_BYTES, Device, plain_frontier
from simulations.world.world import World
from sync.batch import open_batch
from sync.frontier import PREFIX_BYTES, Frontier, FrontierEntry, ReplicaView
from sync.streams import Stream


class _Abandoned(Exception):
    """The program that wrote changed its mind."""


def transact(world: World, device: Device) -> None:
    """Run one random transaction and check that what it did is exactly what it ought to have done."""
    plan, random = world.plan, device.random
    names = [name for name in plan.tables if name in device.model.declared]
    if not names:
        return
    model, before = ModelTransaction(device.model), device.store.view()
    abandon, mortal = random.chance(plan.abort), random.chance(plan.kill)
    statements = random.between(1, plan.statements_max)
    kinds: list[str] = []

    def run() -> None:
        with device.store.transaction() as transaction:
            writer = Writer(
                random=random,
                values=device.values,
                tables=device.model.declared,
                model=model,
                transaction=transaction,
                new_row_id=device.store.new_row_id,
                forgotten={name: sorted(ids) for name, ids in device.forgotten.items()},
            )
            writer.kinds = kinds
            for _ in range(statements):
                writer.write(names)
            if abandon:
                raise _Abandoned

    try:
        killed = False
        if mortal:
            killed = device.mortally(run, 60)
        else:
            run()
    except _Abandoned:
        world.trace.reached("transaction abandoned")
        expect_nothing(device, before, "an abandoned transaction")
        return
    except ConstraintError as error:
        # An element that a snapshot page brought ahead of its batch cannot be removed before the batch is there.
        if not device.unsettled or "still arriving" not in str(error):
            raise
        world.trace.reached("refused while still arriving")
        expect_nothing(device, before, "a refused transaction")
        return
    for kind in kinds:
        world.trace.reached(kind)
    model.settle()
    if killed:
        device.restart()
        world.trace.reached("killed in a transaction")
        durable = device.store.view() != before
        world.trace.reached("killed after the commit", durable)
        world.trace.record(f"{device.name} is killed in a transaction, durable: {durable}")
        if not durable:
            return
    acknowledge(world, device, model)
    tables = device.clear_tables(plan.tables)
    check_tables(device.store.query, device.model, tables, device.name, "read-your-writes")


def forbidden(world: World, device: Device) -> None:
    """Try what the schema forbids, in the midst of a transaction; nothing of it may stay."""
    before = device.store.view()
    statement = device.random.choice(
        (
            "UPDATE drill_items SET id = randomblob(16)",
            "UPDATE drill_items SET kind = 'another ' || kind",
            "INSERT INTO drill_comments (id, item_id, text) VALUES (x'00', x'01', 'too short an id')",
            "INSERT INTO drill_comments (id, item_id, text) VALUES (zeroblob(16), randomblob(16), 'an orphan')",
            "UPDATE drill_items SET pinned_id = zeroblob(16)",
            "UPDATE drill_items SET tags = 'not a set'",
        )
    )
    items = device.model.visible()["drill_items"]
    if not items and statement.startswith("UPDATE"):
        return
    try:
        with device.store.transaction() as transaction:
            transaction.execute("INSERT INTO drill_settings (id, key) VALUES (?, 'lost')", (device.store.new_row_id(),))
            transaction.execute(statement)
    except ConstraintError:
        world.trace.reached("forbidden statement refused")
    else:
        raise Violation("schema", f"{device.name} accepted: {statement}")
    expect_nothing(device, before, "a refused transaction")


def expect_nothing(device: Device, before: ReplicaView, what: str) -> None:
    """Raise Violation if the store changed."""
    if device.store.view() != before:
        raise Violation("atomicity", f"{what} on {device.name} left something behind")
    tables = device.clear_tables(tuple(device.model.declared))
    check_tables(device.store.query, device.model, tables, device.name, "atomicity")


def acknowledge(world: World, device: Device, model: ModelTransaction) -> None:
    """Take down what the transaction wrote, and the repairs that the device owes because of it."""
    _take_down(world, device, model)
    owe_repairs(world, device)


def owe_repairs(world: World, device: Device) -> None:
    """Take down the repairs that follow from this device's own deletes, and nothing else beyond what it held."""
    while (repairs := _repairs(world, device)).streams():
        _take_down(world, device, repairs)
    view = device.store.view()
    for stream in Stream:
        if view.stream(stream).frontier.entry(device.origin).seq > device.held_seq(stream, device.origin):
            raise Violation("capture", f"{device.name} logged more in {stream.title} than it ought to have")
    device.remember_forgotten()
    note_digests(world, device)


def _repairs(world: World, device: Device) -> ModelTransaction:
    model = device.model
    tables, rows, changes = model.declared, model.declared_rows(), model.changes_by_row
    stand = standing(tables, rows)
    deletes = owed_deletes(tables, rows, changes, device.device_id)
    unveiled = {key: dict(rows[key].cells) for key in deletes}
    updates: dict[RowKey, dict[str, Cell]] = {}
    for key, column in owed_updates(tables, rows, changes, stand, device.device_id):
        shown = model.visible()[key[0]][key[1]]
        unveiled.setdefault(key, dict(shown))[column] = rows[key].cells[column]
        updates.setdefault(key, {})[column] = shown[column]
    repairs = ModelTransaction(model, unveiled)
    for table, row_id in sorted(deletes):
        repairs.delete(table, row_id)
    for (table, row_id), cells in sorted(updates.items()):
        repairs.update(table, row_id, cells)
    repairs.settle()
    world.trace.reached("orphan deleted", bool(deletes))
    world.trace.reached("reference repaired", bool(updates))
    world.trace.reached("orphan out of sight", any(row.alive and key not in stand for key, row in rows.items()))
    return repairs


def _take_down(world: World, device: Device, model: ModelTransaction) -> None:
    """Learn one transaction: stamps from the batches' headers, content from the oracle alone."""
    expected = model.streams()
    after = device.store.view()
    grown = {
        stream
        for stream in Stream
        if after.stream(stream).frontier.entry(device.origin).seq > device.held_seq(stream, device.origin)
    }
    if not grown >= expected:
        raise Violation("capture", f"{device.name} changed {sorted(expected)} and its log grew in {sorted(grown)}")
    newest = device.model.newest_shown_hlc() if device.joined_snapshot else device.model.newest_hlc()
    fresh = [_written(world, device, model, stream) for stream in sorted(expected)]
    if len({written.version.hlc for written, _ in fresh}) > 1:
        raise Violation("stamp", f"one transaction of {device.name} has several times")
    for written, raw in fresh:
        if written.version.hlc <= newest:
            raise Violation("stamp", f"{device.name} stamped a change below one that it had seen")
        chain = (written.stream, written.version.origin)
        held_before = device.held_seq(*chain)
        device.model.learn(written)
        if chain in device.astray.written or device.astray.behind.get(chain) == held_before:
            device.astray.written.setdefault(chain, []).append((written, raw))
            world.trace.reached("written under a number that was taken")
        else:
            world.chronicle.register(written, raw)
        world.trace.record(f"{device.name} writes {stream_name(written)}: {len(written.changes)} rows", raw)


def stream_name(written: Written) -> str:
    """Return how a batch is spoken of in the trace."""
    return f"{written.stream.title} {written.version.seq}"


def note_digests(world: World, device: Device) -> None:
    """Check the store's frontier against the oracle's, and its digests against every equal frontier ever seen."""
    view = device.store.view()
    for stream in Stream:
        state = view.stream(stream)
        frontier = plain_frontier(state.frontier)
        if frontier != {origin: seq for origin, seq in device.model.frontier.get(stream, {}).items() if seq}:
            raise Violation("frontier", f"{device.name} holds other batches of {stream.title} than it was given")
        tables = device.model.tables
        damaged = any(tables[name].stream is stream for name, _ in device.damaged)
        sure = not (damaged or device.astray.written or world.pages_adrift)
        if frontier and device.is_settled(stream) and sure:
            lacking = [entry for entry in device.model.lacking if tables[entry[1][0]].stream == stream]
            world.chronicle.check_digest(stream, frontier, lacking, state.digest, device.name)


def _written(world: World, device: Device, model: ModelTransaction, stream: Stream) -> tuple[Written, bytes]:
    held = device.model.frontier.get(stream, {})
    entries = {Origin(origin): FrontierEntry(seq, bytes(PREFIX_BYTES)) for origin, seq in held.items()}
    stored = device.store.read_batches(stream, Frontier(entries), ALL_BYTES)
    if not stored:
        raise Violation("capture", f"a transaction of {device.name} is not in the log of {stream.title}")
    raw = stored[0].raw
    batch = open_batch(raw, world.realm.realm_id, world.realm.roster.sign_public)
    header = batch.header
    deps = {bytes(origin): seq for origin, seq, _ in header.deps}
    prefixes = {bytes(origin): prefix for origin, _, prefix in header.deps}
    if header.origin != device.origin or header.seq != held.get(header.origin, 0) + 1:
        raise Violation("sequence", f"{device.name} wrote number {header.seq} after {held.get(header.origin, 0)}")
    if deps != held:
        raise Violation("deps", f"a batch of {device.name} does not name all that its author held")
    if any(prefixes[origin] != _prefix_held(world, device, (stream, origin, seq)) for origin, seq in deps.items()):
        raise Violation("deps", f"a batch of {device.name} names another batch than its author held")
    version = Version(header.hlc, bytes(header.origin), header.seq)
    written = Written(
        stream=stream,
        version=version,
        deps=deps,
        changes=model.changes(stream, version, deps),
        prefix=batch.hash[:PREFIX_BYTES],
        prefixes=prefixes,
    )
    return written, raw


def _prefix_held(world: World, device: Device, name: BatchName) -> bytes:
    """Return how the hash of a batch begins that a device holds: of two under one number, the one it wrote astray."""
    stream, origin, seq = name
    behind = device.astray.behind.get((stream, origin), seq)
    strays = device.astray.written.get((stream, origin), [])
    if 0 < seq - behind <= len(strays):
        return strays[seq - behind - 1][0].prefix
    return world.chronicle.written_by_name[name].prefix

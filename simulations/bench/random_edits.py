"""Edits of old rows in random order: how fast they are captured where they are made, and merged where they arrive.

Both stores hold the same messages. One changes two columns of rows drawn at random from all of them, a thousand in a
transaction, by one UPDATE of all of them; the other applies the batches as they come, half a mebibyte at a
time. Every edit leaves an entry in both histories. Full-text search is on: the edited columns are not searched.
"""

import json
import random
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from node.clock import SystemClock
from node.entropy import SystemEntropy
from node.schemas import CORE_COMPONENTS
from node.store.opening import create_store
from node.store.store import Store
from simulations.bench.messages import begin_conversation, insert_messages, transactions
from simulations.bench.realm import found_realm
from simulations.bench.samples import Figure, figure
from sync.roster import RosterState, evaluate
from sync.streams import Stream

GOAL = 10_000
EDITS_PER_TRANSACTION = 1_000
_BUNDLE_BYTES = 2**19
_ROUNDS = 10


def measure(*, records: int, edits: int) -> list[Figure]:
    """Edit `edits` rows out of `records`; the rates of ten equal parts, captured and applied."""
    captured: list[float] = []
    applied: list[float] = []
    with TemporaryDirectory(prefix="nuthatch-bench-") as directory:
        clock = SystemClock()
        realm = found_realm(clock.now_milliseconds())
        roster = evaluate(realm.realm_id, realm.statements)
        writer, reader = (
            create_store(
                Path(directory) / f"{device}.db",
                key=SystemEntropy().take(32),
                author=realm.author(device),
                components=CORE_COMPONENTS,
                clock=clock,
                entropy=SystemEntropy(),
            )
            for device in range(2)
        )
        row_ids = _fill(writer, records)
        carry(writer, reader, roster)
        draw = random.Random(records)
        for _ in range(_ROUNDS):
            chosen = draw.sample(row_ids, edits // _ROUNDS)
            captured.append(len(chosen) / timed(partial(_edit, writer, chosen, draw)))
            applied.append(len(chosen) / carry(writer, reader, roster))
        _require_equal(writer, reader, edits)
        writer.close()
        reader.close()
    return [
        figure(f"random edits captured, {records:,} rows", "rows/s", captured, goal=GOAL),
        figure(f"random edits applied, {records:,} rows", "rows/s", applied, goal=GOAL),
    ]


def _fill(store: Store, records: int) -> list[bytes]:
    conversation_id = begin_conversation(store)
    row_ids: list[bytes] = []
    for batch in transactions(conversation_id, records):
        with store.transaction() as transaction:
            insert_messages(transaction, batch)
        row_ids += [bytes(row[0]) for row in batch if isinstance(row[0], bytes)]
    return row_ids


def timed(action: Callable[[], None]) -> float:
    """Return the seconds that an action took."""
    started_at = time.perf_counter()
    action()
    return time.perf_counter() - started_at


def _edit(store: Store, row_ids: list[bytes], draw: random.Random) -> None:
    """Edit rows, a thousand a transaction."""
    for start in range(0, len(row_ids), EDITS_PER_TRANSACTION):
        part = row_ids[start : start + EDITS_PER_TRANSACTION]
        with store.transaction() as transaction:
            edits = [(row_id.hex(), draw.randrange(1, 10_000), draw.randrange(-100, 100) / 100) for row_id in part]
            transaction.execute(
                "UPDATE messages SET tokens = j.value ->> '$[1]', sentiment = j.value ->> '$[2]'"
                " FROM json_each(?) j WHERE messages.id = unhex(j.value ->> '$[0]')",
                [json.dumps(edits)],
            )


def carry(source: Store, destination: Store, roster: RosterState) -> float:
    """Hand over what the destination lacks, bundle by bundle; return the seconds that applying took."""
    seconds = 0.0
    while True:
        frontier = destination.view().stream(Stream.CONVERSATIONS).frontier
        raws = [stored.raw for stored in source.read_batches(Stream.CONVERSATIONS, frontier, _BUNDLE_BYTES)]
        if not raws:
            return seconds
        started_at = time.perf_counter()
        report = destination.apply_batches(raws, roster, SystemClock().now_milliseconds())
        seconds += time.perf_counter() - started_at
        if report.applied != len(raws):
            raise RuntimeError(f"{report.applied} of {len(raws)} batches were applied.")


def _require_equal(writer: Store, reader: Store, edits: int) -> None:
    if writer.view() != reader.view():
        raise RuntimeError("The two stores hold different rows.")
    for store in (writer, reader):
        ((entries,),) = store.query("SELECT count(*) FROM _history WHERE differences IS NOT NULL")
        # Some edit draws the very value that stands there, which is no edit.
        if not edits * 0.99 <= entries <= edits:
            raise RuntimeError(f"{edits:,} edits left {entries:,} entries in the history.")

"""Texts edited on two devices apart: how fast the edits are captured, and merged where they arrive.

Both stores hold the same texts of 500 characters. In each round each of them replaces one word of each text, not
knowing of the other's edit, a thousand in a transaction; then the batches of one are applied on the other, half a
mebibyte at a time. In the first round the texts are plain and are promoted; in the others they were edited before, so
what promotion costs is the difference, less what is saved by keeping fewer changes.
"""

import json
import random
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from node.clock import SystemClock
from node.collector import settle_collector
from node.entropy import SystemEntropy
from node.schemas import CORE_COMPONENTS
from node.store.opening import StoreOptions, create_store
from node.store.store import Store
from simulations.bench.corpus import WORDS
from simulations.bench.messages import COLUMNS, begin_conversation, transactions
from simulations.bench.random_edits import carry, timed
from simulations.bench.realm import found_realm
from simulations.bench.samples import Figure, figure
from sync.roster import RosterState, evaluate

GOAL = 10_000
_CHARACTERS = 500
_EDITS_PER_TRANSACTION = 1_000


def measure(*, texts: int, rounds: int) -> list[Figure]:
    """Edit `texts` texts on both sides, `rounds` times after the round that promotes them; with FTS and without."""
    # As in a node's process.
    settle_collector()
    figures: list[Figure] = []
    for full_text in (False, True):
        with TemporaryDirectory(prefix="nuthatch-bench-") as directory:
            rates = _rounds(Path(directory), texts=texts, rounds=rounds, full_text=full_text)
        where = "with FTS" if full_text else "without FTS"
        (plain_captured, plain_merged), *promoted = rates
        captured, merged = (list(samples) for samples in zip(*promoted, strict=True))
        figures += [
            figure(f"text merges, already promoted, {where}", "rows/s", merged, goal=GOAL),
            figure(f"text merges, plain until then, {where}", "rows/s", [plain_merged]),
            figure(f"text edits captured, already promoted, {where}", "rows/s", captured),
            figure(f"text edits captured, plain until then, {where}", "rows/s", [plain_captured]),
        ]
    return figures


def _rounds(directory: Path, *, texts: int, rounds: int, full_text: bool) -> list[tuple[float, float]]:
    """Return the rates of each round, captured and merged."""
    clock, entropy = SystemClock(), SystemEntropy()
    realm = found_realm(clock.now_milliseconds())
    roster = evaluate(realm.realm_id, realm.statements)
    one, other = (
        create_store(
            directory / f"{device}.db",
            key=entropy.take(32),
            author=realm.author(device),
            components=CORE_COMPONENTS,
            clock=clock,
            entropy=entropy,
            options=StoreOptions(full_text=full_text),
        )
        for device in range(2)
    )
    draw = random.Random(texts)
    row_ids = _fill(one, texts, draw)
    carry(one, other, roster)
    rates = [_round(one, other, row_ids, roster, draw) for _ in range(rounds + 1)]
    one.close()
    other.close()
    return rates


def _fill(store: Store, texts: int, draw: random.Random) -> list[bytes]:
    row_ids: list[bytes] = []
    for batch in transactions(begin_conversation(store), texts):
        rows = [dict(zip(COLUMNS, row, strict=True)) | {"content": _text(draw)} for row in batch]
        with store.transaction() as transaction:
            transaction.insert_rows("messages", COLUMNS, [tuple(row.values()) for row in rows])
        row_ids += [bytes(row[0]) for row in batch if isinstance(row[0], bytes)]
    return row_ids


def _text(draw: random.Random) -> str:
    return " ".join(draw.choices(WORDS, k=_CHARACTERS // 2))[:_CHARACTERS]


def _round(
    one: Store, other: Store, row_ids: list[bytes], roster: RosterState, draw: random.Random
) -> tuple[float, float]:
    # Each in its own half: two words put in the place of one would stand side by side as a word that nobody wrote.
    captured = timed(partial(_edit, one, row_ids, draw, half=0))
    _edit(other, row_ids, draw, half=1)
    edited = {row_id: _words(one, row_id) | _words(other, row_id) for row_id in row_ids[::100]}
    merged = carry(one, other, roster)
    carry(other, one, roster)
    if one.view() != other.view():
        raise RuntimeError("The two stores hold different texts.")
    for row_id, words in edited.items():
        if not words >= _words(one, row_id) or _words(one, row_id) != _words(other, row_id):
            raise RuntimeError("A merged text holds a word that nobody wrote.")
    return len(row_ids) / captured, len(row_ids) / merged


def _words(store: Store, row_id: bytes) -> set[str]:
    ((content,),) = store.query("SELECT content FROM messages WHERE id = ?", (row_id,))
    return set(str(content).split())


def _edit(store: Store, row_ids: list[bytes], draw: random.Random, *, half: int) -> None:
    """Replace one word in a half of each text, a thousand texts a transaction."""
    for start in range(0, len(row_ids), _EDITS_PER_TRANSACTION):
        part = row_ids[start : start + _EDITS_PER_TRANSACTION]
        with store.transaction() as transaction:
            edits: list[tuple[str, str]] = []
            given = json.dumps([row_id.hex() for row_id in part])
            for row_id, content in transaction.execute(
                "SELECT id, content FROM messages WHERE id IN (SELECT unhex(value) FROM json_each(?))", [given]
            ).rows:
                words = str(content).split(" ")
                middle = len(words) // 2
                words[draw.randrange(middle - 1) + half * middle] = draw.choice(WORDS)
                edits.append((row_id.hex(), " ".join(words)))
            transaction.execute(
                "UPDATE messages SET content = j.value ->> '$[1]'"
                " FROM json_each(?) j WHERE messages.id = unhex(j.value ->> '$[0]')",
                [json.dumps(edits)],
            )

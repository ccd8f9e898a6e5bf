"""Random pasts of one device, forked at a random moment: every acknowledged change counts once, on every device."""

import json
import random
from pathlib import Path

import pytest

from sync.frontier import EMPTY_FRONTIER
from sync.streams import Stream
from tests.support.realm import ALL_BYTES, Replica, Statement, check_digests, insert_item, open_realm, row_id
from tests.support.set_back import set_back, take_image

FILES = Stream.FILES
ROWS = 4


class Past:
    """Writes at random and knows what has to come of it: sums of counters, tags ever added, rows deleted."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.uses: dict[int, int] = dict.fromkeys(range(ROWS), 0)
        self.tags: dict[int, set[str]] = {number: set() for number in range(ROWS)}
        self.gone: set[int] = set()
        self.count = 0

    def write(self, replica: Replica, transactions: int, here: set[int]) -> None:
        """Write some transactions; `here` are the rows that stand on this device in this past."""
        for _ in range(transactions):
            statements = [self._statement(here) for _ in range(self.random.randint(1, 3))]
            replica.write(*[statement for statement in statements if statement is not None])

    def _statement(self, here: set[int]) -> Statement | None:
        if not here:
            return None
        number = self.random.choice(sorted(here))
        self.count += 1
        match self.random.randrange(6):
            case 0 if len(here) > 1:
                here.discard(number)
                self.gone.add(number)
                return "DELETE FROM drill_items WHERE id = ?", [row_id(number)]
            case 1 | 2:
                step = self.random.randint(-5, 9)
                self.uses[number] += step
                return "UPDATE drill_items SET uses = uses + ? WHERE id = ?", [step, row_id(number)]
            case 3 | 4:
                tag = f"tag {self.count}"
                self.tags[number].add(tag)
                added = "json_insert(tags, '$[#]', ?)"
                return f"UPDATE drill_items SET tags = {added} WHERE id = ?", [tag, row_id(number)]
            case _:
                return "UPDATE drill_items SET title = ? WHERE id = ?", [f"title {self.count}", row_id(number)]


def settle_with(forked: Replica, witness: Replica) -> bool:
    """Settle whatever own chain differs from the witness's; return whether one did."""
    held = {
        (batch.origin, batch.seq): batch.hash
        for batch in forked.store.read_batches(FILES, EMPTY_FRONTIER, ALL_BYTES)
        if batch.origin[:32] == forked.device_id
    }
    for batch in witness.store.read_batches(FILES, EMPTY_FRONTIER, ALL_BYTES):
        if held.get((batch.origin, batch.seq), batch.hash) != batch.hash:
            return forked.store.chains.settle_fork(batch.raw, forked.roster)
    return False


@pytest.mark.parametrize("seed", range(12))
def test_every_change_of_both_pasts_counts_once_everywhere(tmp_path: Path, seed: int) -> None:
    realm = open_realm(tmp_path, devices=3, seed=seed + 1)
    device, witness, follower = realm.replicas
    past, choose = Past(seed), random.Random(seed * 7 + 1)
    device.write(*(insert_item(number) for number in range(ROWS)))
    past.write(device, choose.randint(0, 4), set(range(ROWS)) - past.gone)
    realm.exchange()
    common = set(range(ROWS)) - past.gone
    image = take_image(device)
    past.write(device, choose.randint(1, 6), set(common))
    witness.pull(device)
    set_back(device, image)
    seen_by_follower = choose.randint(0, 4)
    past.write(device, seen_by_follower, set(common))
    if choose.random() < 0.7:
        follower.pull(device)
        if choose.random() < 0.5:
            follower.write("UPDATE drill_items SET body = 'of the follower'")
    past.write(device, choose.randint(1, 4), {number for number in common if _stands(device, number)})
    assert settle_with(device, witness)
    follower.pull(device)
    realm.exchange()
    for replica in realm.replicas:
        check_digests(replica)
        shown = {row[0]: row[1:] for row in replica.query("SELECT id, uses, tags FROM drill_items")}
        assert set(shown) == {row_id(number) for number in set(range(ROWS)) - past.gone}
        for number in set(range(ROWS)) - past.gone:
            uses, tags = shown[row_id(number)]
            assert uses == past.uses[number]
            assert set(json.loads(str(tags))) == past.tags[number]
    realm.close()


def _stands(replica: Replica, number: int) -> bool:
    return bool(replica.query("SELECT 1 FROM drill_items WHERE id = ?", row_id(number)))

"""What other devices write upon either past of a device that was set back means the same on every device."""

import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from node.errors import StorageError
from node.store.dependencies import Dependencies
from node.store.rewriting import Rewriting
from sync.errors import RemoteProtocolError
from sync.frontier import EMPTY_FRONTIER, Dependency, Frontier
from sync.replica import Standing
from sync.streams import Stream
from tests.support.realm import ALL_BYTES, Realm, Replica, check_digests, insert_item, open_realm, row_id
from tests.support.set_back import set_back, take_image

FILES = Stream.FILES
ROWS = 3


class Diary:
    """Adds and removes tags and counts at random, and knows what must be left: tags bear one name once only."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.tags: dict[int, set[str]] = {number: set() for number in range(ROWS)}
        self.uses: Counter[int] = Counter()
        self.count = 0

    def write(self, replica: Replica, transactions: int) -> None:
        """Write transactions of one to three edits upon what `replica` shows."""
        for _ in range(transactions):
            shown = {row[0]: set(json.loads(str(row[1]))) for row in replica.query("SELECT id, tags FROM drill_items")}
            for number in self.random.sample(range(ROWS), self.random.randint(1, ROWS)):
                tags = shown[row_id(number)]
                gone = {tag for tag in sorted(tags) if self.random.random() < 0.4}
                new = {f"tag {self.count + extra}" for extra in range(self.random.randint(0, 2))}
                self.count += len(new)
                step = self.random.randint(1, 9)
                self.uses[number] += step
                self.tags[number] |= new
                self.tags[number] -= gone
                replica.write(
                    (
                        "UPDATE drill_items SET tags = ?, uses = uses + ? WHERE id = ?",
                        [json.dumps(sorted(tags - gone | new)), step, row_id(number)],
                    )
                )


def take(destination: Replica, source: Replica) -> None:
    """Let a device receive what it lacks, as sessions do: what is held is tried again, and comes again later."""
    report = destination.receive(source.batches(FILES, destination.store.view().stream(FILES).frontier))
    assert all(refused.reason.startswith(("its author wrote", "it does not follow")) for refused in report.refused)
    while report.applied and report.held:
        report = destination.receive([held.raw for held in report.held])


def settle(forked: Replica, witness: Replica) -> bool:
    """Settle an own chain that differs from the witness's; return whether one did."""
    held = {(b.origin, b.seq): b.hash for b in forked.store.read_batches(FILES, EMPTY_FRONTIER, ALL_BYTES)}
    for batch in witness.store.read_batches(FILES, EMPTY_FRONTIER, ALL_BYTES):
        if batch.origin[:32] == forked.device_id and held.get((batch.origin, batch.seq), batch.hash) != batch.hash:
            return forked.store.chains.settle_fork(batch.raw, forked.roster)
    return False


def live_through(realm: Realm, seed: int) -> Diary:
    """Set device 0 back once; the others take either past and write upon it, before and after it is settled."""
    device, witness, follower = realm.replicas
    diary, choose = Diary(seed), random.Random(seed * 11 + 5)
    device.write(*(insert_item(number) for number in range(ROWS)))
    diary.write(device, choose.randint(0, 2))
    realm.exchange()
    image = take_image(device)
    diary.write(device, choose.randint(1, 3))
    take(witness, device)
    diary.write(witness, choose.randint(0, 2))
    set_back(device, image)
    diary.write(device, choose.randint(1, 3))
    for _ in range(choose.randint(3, 8)):
        match choose.randrange(5):
            case 0:
                take(follower, device)
            case 1:
                take(*choose.sample([witness, follower], 2))
            case 2:
                diary.write(choose.choice([witness, follower]), 1)
            case 3:
                diary.write(device, 1)
            case _:
                take(device, choose.choice([witness, follower]))
    settled = settle(device, witness)
    assert settled
    for _ in range(6):
        for destination in choose.sample(realm.replicas, 3):
            for source in choose.sample(realm.replicas, 3):
                if source is not destination:
                    take(destination, source)
    return diary


def expect_one_memory(realm: Realm, diary: Diary) -> None:
    """Check that all hold the same, and exactly what was added and not removed, counted once."""
    first = realm.replicas[0].store.view()
    for replica in realm.replicas:
        shown = replica.query("SELECT id, tags, uses FROM drill_items ORDER BY id")
        assert shown == [
            (row_id(number), json.dumps(sorted(diary.tags[number]), separators=(",", ":")), diary.uses[number])
            for number in range(ROWS)
        ]
        assert replica.store.view() == first
        check_digests(replica)


@pytest.mark.parametrize("seed", range(16))
def test_what_was_written_upon_either_past_means_the_same_everywhere(tmp_path: Path, seed: int) -> None:
    realm = open_realm(tmp_path, devices=3, seed=seed + 1)
    try:
        expect_one_memory(realm, live_through(realm, seed))
    finally:
        realm.close()


@pytest.fixture
def realm(tmp_path: Path) -> Iterator[Realm]:
    opened = open_realm(tmp_path, devices=3)
    yield opened
    opened.close()


def build_upon_the_lost(realm: Realm) -> bytes:
    """Let device 1 write upon what device 0 lost, while devices 0 and 2 hold the other batch of that number."""
    device, witness, follower = realm.replicas
    device.write(insert_item(1))
    realm.exchange()
    image = take_image(device)
    device.write("UPDATE drill_items SET title = 'lost'")
    witness.pull(device)
    witness.write("UPDATE drill_items SET body = 'upon the lost'")
    set_back(device, image)
    device.write("UPDATE drill_items SET title = 'new'")
    follower.pull(device)
    return witness.batches(FILES)[-1]


def test_nobody_is_cut_off_by_two_versions_whose_author_was_revoked(realm: Realm) -> None:
    device, _, follower = realm.replicas
    upon_lost = build_upon_the_lost(realm)
    assert follower.receive([upon_lost]).applied == 0
    follower.roster = replace(follower.roster, active=follower.roster.active - {device.device_id})
    report = follower.receive([upon_lost])
    assert (report.applied, report.forked) == (1, set())
    assert follower.query("SELECT title, body FROM drill_items") == [("new", "upon the lost")]


def test_where_a_snapshot_brought_the_other_version_there_is_no_hash_to_compare(realm: Realm, tmp_path: Path) -> None:
    device, _, follower = realm.replicas
    upon_lost = build_upon_the_lost(realm)
    newcomer = replace(follower, path=tmp_path / "newcomer.db")
    realm.replicas.append(newcomer)
    newcomer.pull_snapshot(device, FILES)
    report = newcomer.receive([upon_lost])
    assert (report.applied, report.forked) == (1, set())


def _by_number(
    self: Dependencies, stream: Stream, frontier: Frontier, active: object, dependency: Dependency
) -> Standing:
    return Standing.HELD if frontier.covers(dependency.origin, dependency.seq) else Standing.MISSING


def _no_names(self: Dependencies, header: object) -> dict[object, object]:
    return {}


_follow = Rewriting.follow


def _follow_and_forget(self: Rewriting, *arguments: object) -> list[object]:
    _follow(self, *arguments)  # type: ignore[arg-type]
    return []


@pytest.mark.parametrize(
    ("owner", "name", "planted"),
    [
        (Dependencies, "standing", _by_number),
        (Dependencies, "names_since", _no_names),
        (Rewriting, "follow", _follow_and_forget),
    ],
    ids=["numbers compared alone", "names of abandoned batches kept", "what was held taken for new"],
)
def test_each_misreading_of_the_other_past_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: type, name: str, planted: object
) -> None:
    """Planted bugs, each of which some of the same stories must show."""
    monkeypatch.setattr(owner, name, planted)
    for seed in range(16):
        (tmp_path / str(seed)).mkdir()
        realm = open_realm(tmp_path / str(seed), devices=3, seed=seed + 1)
        try:
            expect_one_memory(realm, live_through(realm, seed))
        except (AssertionError, RemoteProtocolError, StorageError):
            return
        finally:
            realm.close()
    pytest.fail("no story showed it")

"""Opens several real, encrypted stores of one realm on one clock, and hands what they write from one to another."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from crdt.identifiers import DeviceId
from crdt.values import Scalar
from node.store.authoring import Author
from node.store.opening import StoreOptions, create_store, open_store
from node.store.receiving import ApplyReport
from node.store.schema import Component
from node.store.store import Store
from simulations.kernel.clock import SkewedClock, TrueTime
from simulations.kernel.streams import SeededStream
from simulations.workloads.component import DRILL
from simulations.world.realm import SimulatedRealm, found_realm
from sync.frontier import EMPTY_FRONTIER, Frontier
from sync.identifiers import RealmId
from sync.roster import RosterState
from sync.snapshot import Manifest, RowKey
from sync.streams import Stream

NOW_MILLISECONDS = 1_795_219_200_000
KEY = bytes(range(32))
ALL_BYTES = 2**27

Statement = tuple[str, Sequence[object]]


def row_id(number: int) -> bytes:
    """Return a row id that reads as its number."""
    return number.to_bytes(16, "big")


def insert_item(number: int, **values: Scalar) -> Statement:
    """Return the statement that inserts an item of the drill component."""
    columns = ["id", *values]
    marks = ", ".join("?" * len(columns))
    return f"INSERT INTO drill_items ({', '.join(columns)}) VALUES ({marks})", [row_id(number), *values.values()]


def delete_item(number: int) -> Statement:
    """Return the statement that deletes an item of the drill component."""
    return "DELETE FROM drill_items WHERE id = ?", [row_id(number)]


@dataclass(slots=True)
class Replica:
    """One device's store, closed and opened at will."""

    path: Path
    author: Author
    roster: RosterState
    time: TrueTime
    components: Sequence[Component]
    seed: int
    options: StoreOptions = field(default_factory=StoreOptions)
    offset_milliseconds: int = 0
    store: Store = field(init=False)
    times_opened: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.store = self.open(self.path)

    def open(self, path: Path, *, key: bytes = KEY) -> Store:
        """Open the store at `path`, or create it where there is none."""
        start = open_store if path.exists() else create_store
        self.times_opened += 1
        return start(
            path,
            key=key,
            author=self.author,
            components=self.components,
            clock=SkewedClock(self.time, self.offset_milliseconds),
            entropy=SeededStream(self.seed, f"{path} {self.times_opened}"),
            options=self.options,
        )

    @property
    def device_id(self) -> DeviceId:
        """The device's id."""
        return DeviceId(self.author.device_id)

    def write(self, *statements: Statement | str) -> None:
        """Run statements in one transaction, a millisecond after the last one of any replica."""
        self.time.advance(1)
        with self.store.transaction() as transaction:
            for statement in statements:
                sql, parameters = (statement, ()) if isinstance(statement, str) else statement
                transaction.execute(sql, parameters)

    def query(self, sql: str, *parameters: object) -> list[tuple[object, ...]]:
        """Return the rows of a reading statement."""
        return self.store.query(sql, parameters)

    def batches(self, stream: Stream, after: Frontier = EMPTY_FRONTIER) -> list[bytes]:
        """Return the batches of a stream that `after` does not cover."""
        return [stored.raw for stored in self.store.read_batches(stream, after, ALL_BYTES)]

    def receive(self, raws: Sequence[bytes]) -> ApplyReport:
        """Apply batches."""
        return self.store.apply_batches(raws, self.roster, self.time.milliseconds)

    def pull(self, source: "Replica") -> None:
        """Apply everything that `source` holds beyond this replica; nothing may be held or refused."""
        for stream in Stream:
            report = self.receive(source.batches(stream, self.store.view().stream(stream).frontier))
            assert (report.refused, report.held) == ([], [])

    def manifest_and_pages(self, stream: Stream, bytes_max: int = 4096) -> tuple[Manifest, list[bytes]]:
        """Return a whole snapshot of a stream."""
        manifest = self.store.snapshot_manifest(stream)
        pages: list[bytes] = []
        cursor: RowKey | None = None
        while not pages or cursor is not None:
            page = self.store.read_page(manifest, len(pages), cursor, bytes_max)
            pages.append(page.raw)
            cursor = page.next_cursor
        return manifest, pages

    def pull_snapshot(self, source: "Replica", stream: Stream, bytes_max: int = 4096) -> None:
        """Join a snapshot of `source`."""
        manifest, pages = source.manifest_and_pages(stream, bytes_max)
        for raw in pages:
            self.store.apply_page(raw, manifest, source.device_id, self.roster)
        self.store.adopt_snapshot(manifest)

    def reopen(self) -> None:
        """Close the store and open it again."""
        self.store.close()
        self.store = self.open(self.path)


@dataclass(slots=True)
class Realm:
    """A founded realm and one replica for each of its devices."""

    realm: SimulatedRealm
    time: TrueTime
    replicas: list[Replica]

    @property
    def realm_id(self) -> RealmId:
        """The realm's id."""
        return self.realm.realm_id

    def exchange(self) -> None:
        """Let everyone receive from everyone, until nobody lacks anything, and check that they agree."""
        for _ in range(len(self.replicas)):
            for destination in self.replicas:
                for source in self.replicas:
                    if source is not destination:
                        destination.pull(source)
        views = [replica.store.view() for replica in self.replicas]
        assert all(view == views[0] for view in views)
        for replica in self.replicas:
            check_digests(replica)

    def close(self) -> None:
        """Close all stores."""
        for replica in self.replicas:
            replica.store.close()


def check_digests(replica: Replica) -> None:
    """Check that the digests kept incrementally are the sums of the stored row hashes."""
    view = replica.store.view()
    for stream in Stream:
        assert replica.store.recompute_digest(stream) == view.stream(stream).digest


def open_realm(folder: Path, devices: int = 2, components: Sequence[Component] = (DRILL,), seed: int = 1) -> Realm:
    """Found a realm and create a store for each of its devices."""
    time = TrueTime(NOW_MILLISECONDS)
    realm = found_realm(seed, devices, NOW_MILLISECONDS)
    replicas = [
        Replica(
            path=folder / f"{index}.db",
            author=Author(device_id=keys.device_id, realm_id=realm.realm_id, sign_seed=keys.sign_seed),
            roster=realm.roster,
            time=time,
            components=components,
            seed=seed + index,
        )
        for index, keys in enumerate(realm.keys)
    ]
    return Realm(realm=realm, time=time, replicas=replicas)

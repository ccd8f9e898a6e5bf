"""One virtual device: a real store on real files, its skewed clock, its seeded entropy, and the oracle's copy of it."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from crdt.identifiers import DeviceId, Origin
from node.store.authoring import Author
from node.store.incarnation_mark import mark_path
from node.store.opening import StoreOptions, create_store, open_store
from node.store.schema import Component, Table
from node.store.store import Store
from node.store.whereabouts import Whereabouts
from simulations.kernel.clock import SkewedClock, TrueTime
from simulations.kernel.streams import SeededStream
from simulations.oracle.history import RowKey, Written
from simulations.oracle.replica import ModelReplica
from simulations.workloads.values import Values
from simulations.world import fence
from simulations.world.kill import Killed, KillSwitch
from simulations.world.plan import COMPONENTS, EARLIER_COMPONENTS, TABLES
from sync.frontier import Frontier
from sync.streams import Stream

#: More than any simulated store holds: everything that a reader lacks, at once.
ALL_BYTES = 2**26


@dataclass(slots=True)
class Astray:
    """A device set back without a trace: behind which numbers of its chains it writes numbers that are taken, and what.

    `written` holds only chains on which it has done so; it is over once a peer has shown the other version.
    """

    behind: dict[tuple[Stream, bytes], int] = field(default_factory=dict)
    written: dict[tuple[Stream, bytes], list[tuple[Written, bytes]]] = field(default_factory=dict)

    @property
    def forked(self) -> dict[tuple[Stream, bytes], int]:
        """Behind which numbers it holds what it wrote twice."""
        return {chain: self.behind[chain] for chain in self.written}


class Device:
    """Opens, loses and reopens its store; decides nothing about what is written."""

    def __init__(
        self,
        *,
        index: int,
        seed: int,
        home: Path,
        author: Author,
        true_time: TrueTime,
        skew_milliseconds: int,
        is_earlier: bool = False,
        original: "Device | None" = None,
    ) -> None:
        """Make an empty store, or one from a copy of the files of `original`, whose keys it then shares.

        `is_earlier` tells whether it runs the earlier version of the program.
        """
        self.index = index
        self.name = f"device {index}"
        self.author = author
        self.is_earlier: bool = original.is_earlier if original else is_earlier
        self.model = ModelReplica(TABLES, self._declared)
        self.random = SeededStream(seed, self.name)
        self.values = Values(self.random.child("values"), f"d{index}")
        self.clock = SkewedClock(true_time, skew_milliseconds)
        self.held: list[bytes] = []
        self.forgotten: dict[str, set[bytes]] = {name: set() for name in TABLES}
        self._entropy = self.random.child("entropy")
        self._key: bytes = original._key if original else self.random.child("key").take(32)
        self._home = home
        self.unsettled: dict[Stream, dict[bytes, int]] = {}
        self.vague: set[Stream] = set()
        # Rows that are not what they were when they were written.
        self.damaged: set[RowKey] = set()
        self.joined_snapshot = False
        self.astray = Astray()
        self.snapshot_claims: dict[Stream, dict[bytes, int]] = {}
        self.life = 0
        self._grave: list[Store] = []
        self._is_running = True
        self.directory = home / f"{index}-0"
        self.directory.mkdir()
        self.switch = self._new_switch()
        # Each life has files of its own; to the device they are the same one, until it is set back to a copy.
        self._copies = 0
        self._options = StoreOptions(locate=self._locate)
        if original is not None:
            self._start_as_copy(original)
            return
        self.store = create_store(
            self._path,
            key=self._key,
            author=author,
            components=self._components,
            clock=self.clock,
            entropy=self._entropy,
            options=self._options,
        )

    @property
    def device_id(self) -> DeviceId:
        """The device's id in its realm."""
        return DeviceId(self.author.device_id)

    @property
    def origin(self) -> Origin:
        """Device id and incarnation under which it writes now."""
        return self.store.origin

    @property
    def _components(self) -> Sequence[Component]:
        return EARLIER_COMPONENTS if self.is_earlier else COMPONENTS

    @property
    def _declared(self) -> dict[str, Table]:
        return {table.name: table for component in self._components for table in component.tables}

    @property
    def _path(self) -> Path:
        return self.directory / "store.db"

    def frontier(self, stream: Stream) -> dict[bytes, int]:
        """Return the store's own account of what it holds of a stream."""
        return plain_frontier(self.store.view().stream(stream).frontier)

    def held_seq(self, stream: Stream, origin: bytes) -> int:
        """Return how far the oracle says this device has come with one author."""
        return self.model.frontier.get(stream, {}).get(origin, 0)

    def is_settled(self, stream: Stream) -> bool:
        """Return whether no row came by a snapshot page from beyond the frontier."""
        target = self.unsettled.get(stream)
        if target is None or any(not self.model.covers(stream, origin, seq) for origin, seq in target.items()):
            return target is None
        del self.unsettled[stream]
        self.vague.discard(stream)
        return True

    def is_clear(self) -> bool:
        """Return whether the oracle knows exactly what every table must show."""
        return all(self.is_settled(stream) for stream in list(self.vague))

    def clear_tables(self, names: Sequence[str]) -> list[str]:
        """Return those tables of which the oracle knows exactly what the store must show.

        Where a snapshot's source changed between two pages, a set can for a while show an element that a batch under
        way removes: its page came without it, then the older batch that adds it. So such a stream is left alone
        until the frontier covers everything that the pages brought. And so is a table with a damaged row.
        """
        streams = {stream for stream in self.vague if not self.is_settled(stream)}
        damaged = {name for name, _ in self.damaged}
        declared = [name for name in names if name in self.model.declared]
        return [name for name in declared if self.model.tables[name].stream not in streams and name not in damaged]

    def unsettle(self, stream: Stream, source: "Device", *, quiet: bool) -> None:
        """Note that rows came from `source` that may lie beyond this device's frontier, up to all that it has seen."""
        reach = self.unsettled.setdefault(stream, {})
        if not quiet or stream in source.vague:
            self.vague.add(stream)
        for known in (source.model.frontier.get(stream, {}), source.unsettled.get(stream, {})):
            for origin, seq in known.items():
                reach[origin] = max(reach.get(origin, 0), seq)

    def claim(self, stream: Stream, manifest: dict[bytes, int]) -> None:
        """Note that a page was joined: the whole snapshot may claim what all of its pages' manifests cover."""
        before = self.snapshot_claims.get(stream, manifest)
        self.snapshot_claims[stream] = {
            origin: min(seq, manifest[origin]) for origin, seq in before.items() if origin in manifest
        }

    def remember_forgotten(self) -> None:
        """Note ids of rows that are gone, for later inserts under the same id."""
        visible = self.model.visible()
        for (table, row_id), row in self.model.rows().items():
            if table not in visible:
                continue
            if row.alive or row_id in visible[table]:
                self.forgotten[table].discard(row_id)
            else:
                self.forgotten[table].add(row_id)

    def mortally(self, action: Callable[[], None], moments_max: int) -> bool:
        """Run `action` and kill the process within or at its end; return whether it was killed."""
        if self.random.chance(0.25):
            self.switch.arm_at_commit()
        else:
            self.switch.arm(self.random.between(1, moments_max))
        try:
            action()
        except Killed:
            pass
        except Exception:
            # What a dying process still raises (its rollback was cut off too) nobody hears.
            if not self.switch.killed:
                raise
        finally:
            self.switch.disarm()
        return self.switch.killed

    def kill(self) -> None:
        """Kill the process between two calls."""
        self.switch.pull()

    def restart(self) -> None:
        """Start again from what the killed process left on disk."""
        if self._is_running:
            self._grave.append(self.store)
        fence.unwatch(self.directory)
        self.life += 1
        self.directory = self._home / f"{self.index}-{self.life}"
        self.switch = self._new_switch()
        self.held.clear()
        self.store = self._open()
        self._is_running = True

    @property
    def copies(self) -> int:
        """How often the device's file became another one; a snapshot of the whole machine sets this back, too."""
        return self._copies

    def set_back_unnoticed(self, backup: Path, copies: int) -> None:
        """Replace what a killed process left by the whole machine as it was, so that nothing beside the store tells."""
        self.set_back(backup, with_mark=True)
        self._copies = copies

    def set_back(self, backup: Path, *, with_mark: bool) -> None:
        """Replace what a killed process left by the files of a backup; without the mark, the newer mark stays."""
        remains = self._home / f"{self.index}-{self.life + 1}"
        mark = mark_path(self._path).name
        for path in sorted(remains.iterdir()):
            if with_mark or path.name != mark:
                path.unlink()
        for path in sorted(backup.iterdir()):
            if with_mark or path.name != mark:
                shutil.copyfile(path, remains / path.name)
        self._copies += int(with_mark)

    def _start_as_copy(self, original: "Device") -> None:
        for path in sorted(original.directory.iterdir()):
            if not path.name.endswith("-shm"):
                shutil.copyfile(path, self.directory / path.name)
        self.model = original.model.copy()
        self.unsettled = {stream: dict(reach) for stream, reach in original.unsettled.items()}
        self.vague = set(original.vague)
        self.damaged = set(original.damaged)
        self.joined_snapshot = original.joined_snapshot
        self.snapshot_claims = {stream: dict(claim) for stream, claim in original.snapshot_claims.items()}
        self.store = self._open()
        self.remember_forgotten()

    def reopen(self) -> None:
        """Close the store in good order and open it cold."""
        self.store.close()
        self.store = self._open()

    def update(self) -> None:
        """End the program in good order and start its later version."""
        self.store.close()
        self._is_running = False
        self.is_earlier = False
        self.store = self._open()
        self._is_running = True

    def declare(self) -> None:
        """Let the oracle show what this device's version of the program shows."""
        self.model.declare(self._declared)
        self.remember_forgotten()

    def close(self) -> None:
        """Close everything, the abandoned connections of earlier lives too."""
        fence.unwatch(self.directory)
        for store in (*self._grave, self.store):
            store.close()
        shutil.rmtree(self.directory)

    def _open(self) -> Store:
        return open_store(
            self._path,
            key=self._key,
            author=self.author,
            components=self._components,
            clock=self.clock,
            entropy=self._entropy,
            options=self._options,
        )

    def _locate(self, _: Path) -> Whereabouts:
        return Whereabouts(b"simulated machine", f"{self.name}, copy {self._copies}".encode())

    def _new_switch(self) -> KillSwitch:
        switch = KillSwitch(self.directory, self._home / f"{self.index}-{self.life + 1}")
        fence.watch(self.directory, switch)
        return switch


def plain_frontier(frontier: Frontier) -> dict[bytes, int]:
    """Return origin -> seq."""
    return {bytes(origin): entry.seq for origin, entry in frontier.entries.items()}

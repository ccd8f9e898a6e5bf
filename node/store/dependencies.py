"""Tells what is held here of the batches that an arriving one builds on: those very ones, others, or none.

A number alone does not say which batch is meant where a device wrote two under it (its store had gone back, or it was
cloned), so a batch names what it builds on with the start of its hash. What was abandoned and written again is looked
for under its new name.
"""

from collections.abc import Collection

from crdt.identifiers import DeviceId, origin_device
from node.store.change_log import ChangeLog
from node.store.database import Database
from node.store.origins import Origins
from sync.frontier import PREFIX_BYTES, Dependency, Frontier
from sync.replica import Standing
from sync.streams import Stream


class Dependencies:
    """The batches that others build on, as one store holds them.

    1. What came by snapshot or was compacted has no hash to compare, but for the last of it; its number has to do.
    2. A chain whose author is no member any more is never settled: there too the number has to do, or everybody who
       wrote upon one version would be cut off from everybody who holds the other.
    """

    __slots__ = ("_database", "_held", "_log", "_origins")

    def __init__(self, database: Database, origins: Origins, log: ChangeLog) -> None:
        """Look into `log`."""
        self._database = database
        self._origins = origins
        self._log = log
        self._held: set[tuple[Stream, Dependency]] = set()

    def reload(self) -> None:
        """Look everything up again: chains may have been shortened, or a transaction rolled back."""
        self._held.clear()

    def standing(
        self, stream: Stream, frontier: Frontier, active: Collection[DeviceId], dependency: Dependency
    ) -> Standing:
        """Return what a store that holds `frontier` of `stream` has of a batch; `active` are the realm's members.

        What is held is remembered until `reload`: the batches of one author name mostly the same.
        """
        if (stream, dependency) in self._held:
            return Standing.HELD
        standing = self._look_up(stream, frontier, dependency)
        if standing is Standing.OTHERWISE and origin_device(dependency.origin) not in active:
            standing = Standing.HELD
        if standing is Standing.HELD:
            self._held.add((stream, dependency))
        return standing

    def _look_up(self, stream: Stream, frontier: Frontier, dependency: Dependency) -> Standing:
        standing = self._as_named(stream, frontier, dependency)
        # It may have been written again more than once. A batch is hashed with what it stands for, so there is an end.
        into = None if standing is Standing.HELD else self._written_again_as(stream, dependency)
        while into is not None:
            if self._as_named(stream, frontier, into) is Standing.HELD:
                return Standing.HELD
            into = self._written_again_as(stream, into)
        return standing

    def _as_named(self, stream: Stream, frontier: Frontier, dependency: Dependency) -> Standing:
        origin, seq, prefix = dependency
        if frontier.entry(origin) == (seq, prefix):
            return Standing.HELD
        if not frontier.covers(origin, seq):
            return Standing.MISSING
        held = self._log.hash_of(stream, origin, seq)
        return Standing.HELD if held is None or held.startswith(prefix) else Standing.OTHERWISE

    def _written_again_as(self, stream: Stream, dependency: Dependency) -> Dependency | None:
        rows = self._database.query(
            "SELECT into_origin, into_seq, into_hash FROM _abandoned"
            f" WHERE stream = ? AND origin = ? AND seq = ? AND substr(hash, 1, {PREFIX_BYTES}) = ?",
            (int(stream), self._origins.number_if_known(dependency.origin), dependency.seq, dependency.prefix),
        )
        for number, seq, into_hash in rows:
            return Dependency(self._origins.origin(number), seq, into_hash[:PREFIX_BYTES])
        return None

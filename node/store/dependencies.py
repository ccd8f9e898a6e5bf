"""Tells what is held here of the batches that an arriving one builds on, and by what names they go here.

A number alone does not say which batch is meant where a device wrote two under it (its store had gone back, or it was
cloned), so a batch names what it builds on with the start of its hash. What was abandoned and written again is looked
for under its new name, and what the arriving batch says of it is said of that name here.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from crdt.identifiers import DeviceId, Origin, Sequence, origin_device
from crdt.version_vector import VersionVector
from node.store.change_log import ChangeLog
from node.store.database import Database
from node.store.origins import Origins
from sync.batch import BatchHeader
from sync.frontier import PREFIX_BYTES, Dependency, Frontier
from sync.replica import Standing
from sync.streams import Stream

#: A batch as stamps and dots name it.
BatchName = tuple[Origin, int]


class Abandoned(NamedTuple):
    """A batch that its author wrote again: its number and hash, as what, and whether the log still holds it."""

    seq: int
    hash: bytes
    into: Dependency
    in_log: bool

    def is_(self, dependency: Dependency) -> bool:
        """Tell whether it is the batch that is named, of all that bear its number."""
        return self.seq == dependency.seq and self.hash.startswith(dependency.prefix)


class Dependencies:
    """The batches that others build on, as one store holds them.

    1. What came by snapshot or was compacted has no hash to compare, but for the last of it; its number has to do.
    2. A chain whose author is no member any more is never settled: there too the number has to do, or everybody who
       wrote upon one version would be cut off from everybody who holds the other.
    """

    __slots__ = ("_abandoned_by_chain", "_database", "_held", "_log", "_none", "_origins")

    def __init__(self, database: Database, origins: Origins, log: ChangeLog) -> None:
        """Look into `log`."""
        self._database = database
        self._origins = origins
        self._log = log
        self._held: set[tuple[Stream, Dependency]] = set()
        self._abandoned_by_chain: dict[tuple[Stream, Origin], list[Abandoned]] = {}
        # Nearly every store has abandoned nothing.
        self._none: bool | None = None

    def reload(self) -> None:
        """Look everything up again: chains may have been shortened, or a transaction rolled back."""
        self._held.clear()
        self._abandoned_by_chain.clear()
        self._none = None

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

    def names_since(self, header: BatchHeader) -> dict[BatchName, BatchName]:
        """Return what batches are called here, by what they were called when the author of `header` saw them.

        Of two abandoned versions of a chain the one is meant that the log holds or that was written again along with
        the batch that `header` names.
        """
        names: dict[BatchName, BatchName] = {}
        if self._none is None:
            self._none = not self._database.query("SELECT EXISTS (SELECT 1 FROM _abandoned)")[0][0]
        if self._none:
            return names
        for dependency in header.deps:
            abandoned = self._abandoned(header.stream, dependency.origin)
            named = (one.into.origin for one in abandoned if one.is_(dependency))
            along_with = next(named, None)
            for one in abandoned:
                if one.seq <= dependency.seq and (one.in_log or one.into.origin == along_with):
                    into = self._last_name(header.stream, one.into)
                    names[dependency.origin, one.seq] = (into.origin, into.seq)
        return names

    def _abandoned(self, stream: Stream, origin: Origin) -> list[Abandoned]:
        chain = (stream, origin)
        if chain not in self._abandoned_by_chain:
            rows = self._database.query(
                "SELECT a.seq, a.hash, a.into_origin, a.into_seq, a.into_hash, EXISTS (SELECT 1 FROM _batch b WHERE"
                " b.stream = a.stream AND b.origin = a.origin AND b.seq = a.seq AND b.hash = a.hash)"
                " FROM _abandoned a WHERE a.stream = ? AND a.origin = ?",
                (int(stream), self._origins.number_if_known(origin)),
            )
            self._abandoned_by_chain[chain] = [
                Abandoned(
                    seq,
                    known,
                    Dependency(self._origins.origin(into), into_seq, into_hash[:PREFIX_BYTES]),
                    bool(in_log),
                )
                for seq, known, into, into_seq, into_hash, in_log in rows
            ]
        return self._abandoned_by_chain[chain]

    def _last_name(self, stream: Stream, dependency: Dependency) -> Dependency:
        while (into := self._written_again_as(stream, dependency)) is not None:
            dependency = into
        return dependency

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


def seen_under(names: Mapping[BatchName, BatchName], vector: VersionVector) -> VersionVector:
    """Return what an author had seen, by the names of here: of a chain that was abandoned only what was before."""
    if not names:
        return vector
    seqs = dict(vector.seq_by_origin)
    for (origin, seq), (into, into_seq) in names.items():
        seqs[origin] = Sequence(min(seqs[origin], seq - 1))
        seqs[into] = Sequence(max(seqs.get(into, 0), into_seq))
    return VersionVector({origin: seq for origin, seq in seqs.items() if seq})

"""What was written: transactions as the oracle knows them, with nothing taken from the store but their stamps."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from sync.streams import Stream

#: What a cell shows: a `set` its elements, a `text` its characters, a `document` its leaves as `key=JSON`.
Cell = str | int | float | bytes | frozenset[str] | None
RowKey = tuple[str, bytes]


class Version(NamedTuple):
    """The stamp of a batch; tuple order is the order of versions."""

    hlc: int
    origin: bytes
    seq: int


@dataclass(frozen=True, slots=True)
class Write:
    """A value given to an `lww`, `immutable` or `max` cell."""

    value: Cell


@dataclass(frozen=True, slots=True)
class Count:
    """An amount added to a `counter` cell (negative: subtracted)."""

    amount: int


@dataclass(frozen=True, slots=True)
class Members:
    """Elements added to a `set` cell, and the (version, element) pairs that its writer saw and removed.

    A `text` is, but for the order, the set of its characters: the workload writes no character twice.
    """

    added: frozenset[str]
    removed: frozenset[tuple[Version, str]]


@dataclass(frozen=True, slots=True)
class Leaves:
    """Keys of a `document` cell with the JSON text each was given, None where it was taken away."""

    text_by_key: Mapping[str, str | None]


CellChange = Write | Count | Members | Leaves


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One row's edit by one transaction; an even generation is a delete and carries the references it saw."""

    key: RowKey
    generation: int
    version: Version
    deps: Mapping[bytes, int]
    cells: Mapping[str, CellChange]

    def renamed(self, version_by_old: Mapping[Version, Version]) -> "Change":
        """Return the same change with versions under the names that they bear since they were written again."""
        return replace(
            self,
            version=version_by_old.get(self.version, self.version),
            cells={
                column: replace(
                    cell, removed=frozenset((version_by_old.get(seen, seen), element) for seen, element in cell.removed)
                )
                if isinstance(cell, Members)
                else cell
                for column, cell in self.cells.items()
            },
        )

    def saw(self, version: Version) -> bool:
        """Return whether the writer knew of `version` when it wrote this change."""
        if version.origin == self.version.origin:
            return version.seq <= self.version.seq
        return self.deps.get(version.origin, 0) >= version.seq


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What one acknowledged transaction did in one stream; `forgotten` are changes whose words were taken out since."""

    stream: Stream
    version: Version
    deps: Mapping[bytes, int]
    changes: tuple[Change, ...]
    forgotten: frozenset[RowKey] = frozenset()
    #: How the hashes of its batch, and of each that `deps` name, begin: a number may have been given twice.
    prefix: bytes
    prefixes: Mapping[bytes, bytes]
    #: Batches, as (origin, number, start of the hash), whose contents their author wrote again here.
    stands_for: tuple[tuple[bytes, int, bytes], ...] = ()

    def renamed(self, version_by_old: Mapping[Version, Version]) -> "Written":
        """Return the same transaction with versions under the names that they bear since they were written again."""
        return replace(
            self,
            version=version_by_old.get(self.version, self.version),
            changes=tuple(replace(change, deps=self.deps).renamed(version_by_old) for change in self.changes),
        )

    @property
    def name(self) -> tuple[Stream, bytes, int]:
        """Return what names this batch everywhere."""
        return (self.stream, self.version.origin, self.version.seq)

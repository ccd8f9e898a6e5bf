"""Everything that was acknowledged anywhere: each batch's bytes, and what its transaction meant."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from hashlib import blake2b
from types import MappingProxyType

from msgspec.msgpack import decode

from simulations.oracle.history import Change, RowKey, Version, Written
from simulations.oracle.replica import ModelReplica
from simulations.violation import Violation
from sync.batch import Batch
from sync.streams import Stream

BatchName = tuple[Stream, bytes, int]


class Chronicle:
    """The world's memory; no store can be asked whether it is right."""

    def __init__(self, read_batch: Callable[[bytes], Batch]) -> None:
        """`read_batch` verifies a batch by the realm's roster."""
        self._read = read_batch
        self._lacking_by_raw: dict[bytes, frozenset[RowKey]] = {}
        self._hash_by_name: dict[BatchName, bytes] = {}
        self._generation_by_row: dict[RowKey, int] = {}
        self.written_by_name: dict[BatchName, Written] = {}
        # Held by nobody when its author was set back to a backup: it may come back by a parcel under way, or never.
        self.adrift: set[BatchName] = set()
        self._name_by_raw: dict[bytes, BatchName] = {}
        self._digest_by_frontier: dict[tuple[Stream, bytes], bytes] = {}

    def register(self, written: Written, raw: bytes) -> None:
        """Take down an acknowledged transaction."""
        if written.name in self.written_by_name:
            raise Violation("fork", f"a second batch was written as {_spoken(written.name)}")
        self.written_by_name[written.name] = written
        self._name_by_raw[raw] = written.name
        self._hash_by_name[written.name] = self._read(raw).hash
        for change in written.changes:
            known = self._generation_by_row.get(change.key, 0)
            self._generation_by_row[change.key] = max(known, change.generation)

    def register_again(self, written: Written, raw: bytes) -> None:
        """Take down a transaction that its author wrote again under another name, perhaps without forgotten words."""
        self.register(written, raw)
        del self._name_by_raw[raw]

    def lose(self, stream: Stream, origin: bytes, held: int) -> None:
        """Forget what was written of a chain behind number `held`: nobody has it any more."""
        for name in [name for name in self.written_by_name if name[:2] == (stream, origin) and name[2] > held]:
            del self.written_by_name[name]
            self.adrift.discard(name)
        self._digest_by_frontier.clear()

    def rename(self, names: Iterable[BatchName], version_by_old: Mapping[Version, Version]) -> None:
        """Let transactions speak of versions by the names that they bear since they were written again."""
        for name in names:
            self.written_by_name[name] = self.written_by_name[name].renamed(version_by_old)

    def name_of(self, raw: bytes) -> BatchName:
        """Return which batch these bytes are.

        A store may only ever hand out what an author wrote, unchanged, or less of it: without what was forgotten since.
        """
        name = self._name_by_raw.get(raw)
        return self._name_of_less(raw) if name is None else name

    def _name_of_less(self, raw: bytes) -> BatchName:
        batch = self._read(raw)
        name = (batch.header.stream, bytes(batch.header.origin), batch.header.seq)
        if self._hash_by_name.get(name) != batch.hash:
            raise Violation("ghost", "a store handed out a batch that nobody wrote")
        written = self.written_by_name[name]
        kept = {_key_of(batch, change) for change in batch.changes if not isinstance(change, bytes)}
        lacking = {change.key: change for change in written.changes if change.key not in kept}
        for key, change in lacking.items():
            if change.generation % 2 == 0 or self._generation_by_row[key] <= change.generation:
                raise Violation("forgetting", f"a change of {_spoken(name)} lost its words, and nobody forgot its row")
        self._name_by_raw[raw] = name
        self._lacking_by_raw[raw] = frozenset(lacking)
        return name

    def read(self, raw: bytes) -> Written:
        """Return what a batch says: all that was written, or what is left of it."""
        written = self.written_by_name[self.name_of(raw)]
        lacking = self._lacking_by_raw.get(raw)
        if not lacking:
            return written
        return replace(
            written,
            changes=tuple(change for change in written.changes if change.key not in lacking),
            forgotten=lacking,
        )

    def words_of_the_forgotten(self, raw: bytes, generation_by_row: Mapping[RowKey, int]) -> list[Change]:
        """Return the changes in a batch that tell of rows which ended since, given the rows' generations."""
        return [
            change
            for change in self.read(raw).changes
            if change.generation % 2 == 1 and change.generation < generation_by_row.get(change.key, 0)
        ]

    def admitted(
        self,
        model: ModelReplica,
        raws: Iterable[bytes],
        now_milliseconds: int,
        hold_milliseconds: int,
        joining: Mapping[Stream, Mapping[bytes, int]],
        forked: Mapping[tuple[Stream, bytes], int] = MappingProxyType({}),
    ) -> tuple[list[Written], set[bytes]]:
        """Return what a replica must apply and what it must hold of `raws`, taken in order.

        No gap in an author's numbers, nothing before what it builds on, nothing from too far ahead, and nothing that
        a snapshot being received will claim (`joining`). Of chains of which the replica holds another version
        behind a number (`forked`) nothing follows what it holds, and nothing is taken that builds on the other version.
        """
        reached = {stream: dict(known) for stream, known in model.frontier.items()}
        applied: list[Written] = []
        held: set[bytes] = set()
        for raw in raws:
            written = self.read(raw)
            known = reached.setdefault(written.stream, {})
            chain = (written.stream, written.version.origin)
            if chain in forked and forked[chain] < written.version.seq <= known[written.version.origin] + 1:
                continue
            if written.version.seq <= known.get(written.version.origin, 0):
                continue
            if (
                written.version.seq == known.get(written.version.origin, 0) + 1
                and self._holds_all(model, written, known, forked)
                and written.version.seq > joining.get(written.stream, {}).get(written.version.origin, 0)
                and (written.version.hlc >> 16) <= now_milliseconds + hold_milliseconds
            ):
                known[written.version.origin] = written.version.seq
                applied.append(written)
            else:
                held.add(raw)
        return applied, held

    def _holds_all(
        self,
        model: ModelReplica,
        written: Written,
        known: Mapping[bytes, int],
        forked: Mapping[tuple[Stream, bytes], int],
    ) -> bool:
        """Return whether a replica holds what a batch builds on, and not only other batches of the same numbers."""
        stream = written.stream
        for origin, seq in written.deps.items():
            prefix = written.prefixes[origin]
            own = seq > forked.get((stream, origin), seq)
            same = not own and self.written_by_name[stream, origin, seq].prefix == prefix
            if not (known.get(origin, 0) >= seq and same) and not model.holds_anew(stream, known, origin, seq, prefix):
                return False
        return True

    def check_digest(
        self,
        stream: Stream,
        frontier: Mapping[bytes, int],
        lacking: Iterable[tuple[Version, RowKey]],
        digest: bytes,
        who: str,
    ) -> None:
        """Equal frontiers mean equal digests, at any time, not only at the end.

        A batch may have come without the words of a row whose end is still under way: devices that lack the same agree.
        """
        spelled = b"".join(origin + seq.to_bytes(8, "big") for origin, seq in sorted(frontier.items()))
        spelled += repr(sorted(lacking)).encode()
        key = (stream, blake2b(spelled, digest_size=16).digest())
        if self._digest_by_frontier.setdefault(key, digest) != digest:
            raise Violation("digest", f"{who} holds the same batches of {stream.title} as another and disagrees")


def _key_of(batch: Batch, change: tuple[int, bytes, bytes]) -> RowKey:
    return (batch.header.layouts[change[0]][0], bytes(decode(change[2])[0]))


def _spoken(name: BatchName) -> str:
    return f"{name[0].title}/{name[1].hex()[:8]}/{name[2]}"

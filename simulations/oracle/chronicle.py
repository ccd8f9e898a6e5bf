"""Everything that was acknowledged anywhere: each batch's bytes, and what its transaction meant."""

from collections.abc import Iterable, Mapping
from hashlib import blake2b

from simulations.oracle.history import Written
from simulations.oracle.replica import ModelReplica
from simulations.violation import Violation
from sync.streams import Stream

BatchName = tuple[Stream, bytes, int]


class Chronicle:
    """The world's memory; no store can be asked whether it is right."""

    def __init__(self) -> None:
        self.written_by_name: dict[BatchName, Written] = {}
        self._name_by_raw: dict[bytes, BatchName] = {}
        self._digest_by_frontier: dict[tuple[Stream, bytes], bytes] = {}

    def register(self, written: Written, raw: bytes) -> None:
        """Take down an acknowledged transaction."""
        if written.name in self.written_by_name:
            raise Violation("fork", f"a second batch was written as {_spoken(written.name)}")
        self.written_by_name[written.name] = written
        self._name_by_raw[raw] = written.name

    def name_of(self, raw: bytes) -> BatchName:
        """Return which batch these bytes are; a store may only ever hand out what an author wrote, unchanged."""
        name = self._name_by_raw.get(raw)
        if name is None:
            raise Violation("ghost", "a store handed out a batch that nobody wrote")
        return name

    def admitted(
        self, model: ModelReplica, raws: Iterable[bytes], now_milliseconds: int, hold_milliseconds: int
    ) -> tuple[list[Written], set[bytes]]:
        """Return what a replica must apply and what it must hold of `raws`, taken in order.

        No gap in an author's numbers, nothing before what it builds on, nothing from too far ahead.
        """
        reached = {stream: dict(known) for stream, known in model.frontier.items()}
        applied: list[Written] = []
        held: set[bytes] = set()
        for raw in raws:
            written = self.written_by_name[self.name_of(raw)]
            known = reached.setdefault(written.stream, {})
            if written.version.seq <= known.get(written.version.origin, 0):
                continue
            if (
                written.version.seq == known.get(written.version.origin, 0) + 1
                and all(known.get(origin, 0) >= seq for origin, seq in written.deps.items())
                and (written.version.hlc >> 16) <= now_milliseconds + hold_milliseconds
            ):
                known[written.version.origin] = written.version.seq
                applied.append(written)
            else:
                held.add(raw)
        return applied, held

    def check_digest(self, stream: Stream, frontier: Mapping[bytes, int], digest: bytes, who: str) -> None:
        """Equal frontiers mean equal digests, at any time, not only at the end."""
        spelled = b"".join(origin + seq.to_bytes(8, "big") for origin, seq in sorted(frontier.items()))
        key = (stream, blake2b(spelled, digest_size=16).digest())
        if self._digest_by_frontier.setdefault(key, digest) != digest:
            raise Violation("digest", f"{who} holds the same batches of {stream.title} as another and disagrees")


def _spoken(name: BatchName) -> str:
    return f"{name[0].title}/{name[1].hex()[:8]}/{name[2]}"

"""Keeps this device's chains sound: forks settled, times corrected, others' forks kept as evidence."""

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from crdt.identifiers import DeviceId, Origin
from node.clock import Clock
from node.store.authoring import Author
from node.store.clock_correction import chains_ahead, corrected_times, latest_elsewhere
from node.store.fork_log import KnownFork
from node.store.incarnations import Cause
from node.store.store_parts import Pending, StoreParts
from sync.batch import NO_PREVIOUS, BatchHeader, open_batch
from sync.effects import ForkFound
from sync.frontier import PREFIX_BYTES, FrontierEntry
from sync.identifiers import BatchHash
from sync.roster import RosterState
from sync.streams import Stream

logger = logging.getLogger(__name__)


class ChainUpkeep:
    """The chains of one store, each call one durable transaction."""

    __slots__ = ("_author", "_clock", "_committing", "_mint", "_parts")

    def __init__(
        self,
        parts: StoreParts,
        author: Author,
        clock: Clock,
        committing: Callable[[], AbstractContextManager[Pending]],
        mint: Callable[[Pending, Cause], None],
    ) -> None:
        """`committing` opens a transaction of the store, `mint` draws an incarnation within it."""
        self._parts = parts
        self._author = author
        self._clock = clock
        self._committing = committing
        self._mint = mint

    def settle_fork(self, evidence: bytes, roster: RosterState) -> bool:
        """Write the end of an own chain again where `evidence`, a batch of this device, proves that it forked.

        Returns whether it does: it must follow a batch held here and be another one than the next held here. Raises
        RemoteProtocolError for a malformed or wrongly signed batch, StorageError where the log has a gap.
        """
        parts = self._parts
        batch = open_batch(evidence, self._author.realm_id, roster.sign_public)
        header = batch.header
        held = parts.log.hash_of(header.stream, header.origin, header.seq)
        if batch.author != self._author.device_id or held in (None, batch.hash) or not self._follows(header):
            return False
        with self._committing() as pending:
            present = self._parts.authoring.origin
            # What it wrote since under another name builds on this end, so nobody could apply the end behind it.
            if header.origin == present or pending.progress.state(header.stream).frontier.entry(present).seq:
                self._mint(pending, Cause.FORKED)
            count = parts.rewriting.write_again(
                pending.progress, header.stream, header.origin, self._parts.authoring.origin,
                after=header.seq - 1, sign_public=roster.sign_public,
            )  # fmt: skip
        logger.warning("own changes were written again", extra={"stream": header.stream.title, "batches": count})
        return True

    def batches_ahead(self, now_milliseconds: int) -> int:
        """Return how many batches of this device are more than 24 hours ahead of the time given."""
        chains = chains_ahead(self._parts.log, DeviceId(self._author.device_id), now_milliseconds)
        return sum(len(chain.times) for chain in chains)

    def correct_times(self, roster: RosterState, now_milliseconds: int) -> int:
        """Write what this device wrote while its clock was far ahead again, with times of now; return how many batches.

        Raises StorageError where that cannot be done: other devices' changes are ahead, too, or the log has a gap.
        """
        parts = self._parts
        chains = chains_ahead(parts.log, DeviceId(self._author.device_id), now_milliseconds)
        if not chains:
            return 0
        latest = latest_elsewhere(parts.database, parts.origins, parts.catalogue, parts.log, chains)
        times = corrected_times(chains, latest, now_milliseconds)
        with self._committing() as pending:
            self._mint(pending, Cause.CLOCK_CORRECTED)
            for chain in chains:
                others = {other.origin: other.after for other in chains if other.stream == chain.stream}
                parts.rewriting.write_again(
                    pending.progress, chain.stream, chain.origin, self._parts.authoring.origin, after=chain.after,
                    sign_public=roster.sign_public, times=times, others=others,
                )  # fmt: skip
            pending.progress.clock = max(times.values())
        return sum(len(chain.times) for chain in chains)

    def hashes(self, stream: Stream, origin: Origin, seqs: Sequence[int]) -> dict[int, BatchHash]:
        """Return the hashes of those batches of one origin that the log holds."""
        return self._parts.log.hashes_of(stream, origin, seqs)

    def batch(self, stream: Stream, origin: Origin, seq: int) -> bytes | None:
        """Return one batch as its author signed it, None where the log does not hold it."""
        return self._parts.log.raw_of(stream, origin, seq)

    def _follows(self, header: BatchHeader) -> bool:
        """Tell whether a batch follows the one that is held before it; of one that was compacted the base tells."""
        if header.seq == 1:
            return header.prev == NO_PREVIOUS
        before = self._parts.log.hash_of(header.stream, header.origin, header.seq - 1)
        if before is not None:
            return header.prev == before
        base = self._parts.log.base(header.stream).entry(header.origin)
        return base == FrontierEntry(header.seq - 1, header.prev[:PREFIX_BYTES])

    def note_fork(self, found: ForkFound, roster: RosterState) -> None:
        """Keep what proves that another device forked; raises RemoteProtocolError for evidence that is none."""
        with self._committing():
            self._parts.forks.note(found, roster.sign_public, self._clock.now_milliseconds())

    def open_forks(self) -> list[KnownFork]:
        """Return the chains of other devices of which two versions exist, as far as sessions have found them."""
        return self._parts.forks.open_forks()

"""Refuses to let one incarnation be written on from two pasts: checked at every opening, before the first write.

A number under which two different changes exist makes replicas differ for ever, so a store that was restored, copied
or cloned must not go on counting where it stands. The mark beside it (incarnation_mark.py) says how far this device had
come. What the mark cannot show (a whole machine set back, mark and store together) a peer shows, later, in a session.
"""

import logging
from collections.abc import Collection, Mapping

from crdt.identifiers import Incarnation, make_origin
from node.clock import Clock
from node.entropy import Entropy
from node.errors import StorageError
from node.store.change_log import ChangeLog, Head
from node.store.database import Database
from node.store.incarnation_mark import Mark, MarkFile
from node.store.incarnations import Cause, earlier_incarnations, mint
from node.store.whereabouts import Whereabouts
from sync.streams import Stream

logger = logging.getLogger(__name__)


def own_heads(log: ChangeLog, device_id: bytes, incarnation: Incarnation) -> dict[Stream, Head]:
    """Return the last batch of each stream that was written under `incarnation`."""
    origin = make_origin(device_id, incarnation)
    return {
        stream: Head(seq, batch_hash)
        for stream, state in log.view().streams.items()
        if (seq := state.frontier.entry(origin).seq) and (batch_hash := log.hash_of(stream, origin, seq)) is not None
    }


class IncarnationGuard:
    """The mark of an open store."""

    __slots__ = ("_device_id", "_failed", "_file", "_heads", "_hidden", "_incarnation", "_log")

    def __init__(self, file: MarkFile, whereabouts: Whereabouts, log: ChangeLog, device_id: bytes) -> None:
        """Guard the store whose committed log is `log` and whose file lies at `whereabouts`."""
        self._file = file
        self._hidden = file.hide(whereabouts)
        self._log = log
        self._device_id = device_id
        self._incarnation = Incarnation(b"")
        self._heads: dict[Stream, Head] = {}
        self._failed = False

    def open(self, database: Database, present: Incarnation, clock: Clock, entropy: Entropy) -> Incarnation:
        """Return the incarnation to write under: `present`, or a fresh one where the mark shows that it must not be.

        Raises StorageError where the mark cannot be read or written.
        """
        cause = self._judge(present, earlier_incarnations(database))
        incarnation = present
        if cause is not None:
            database.begin()
            try:
                incarnation = mint(database, entropy, clock, cause)
                database.commit()
            except BaseException:
                database.rollback()
                raise
            logger.warning("a new incarnation was minted", extra={"cause": cause.value})
        self.adopt(incarnation)
        return incarnation

    def adopt(self, incarnation: Incarnation) -> None:
        """Write a new mark, durably, for what stands in the log under `incarnation`; raises StorageError."""
        self._incarnation = incarnation
        self._heads = own_heads(self._log, self._device_id, incarnation)
        self._file.create(self._mark())

    def minted(self, incarnation: Incarnation) -> None:
        """Note an incarnation that was minted while the store is open, and committed."""
        try:
            self.adopt(incarnation)
        except StorageError as error:
            # The mark then names an incarnation that was left behind, which the next opening takes for a lagging one.
            logger.warning("the mark beside the store cannot be written", extra={"reason": str(error)})

    def committed(self, heads: Mapping[Stream, Head]) -> None:
        """Note what this device's own commit has just added; that it is durable does not depend on the mark."""
        self._heads.update(heads)
        try:
            self._file.rewrite(self._mark())
        except OSError as error:
            # The mark then lags behind, which claims less than is true; sessions find what it no longer shows.
            if not self._failed:
                logger.warning("the mark beside the store cannot be written", extra={"reason": str(error)})
            self._failed = True

    def close(self) -> None:
        """Close the mark."""
        self._file.close()

    def _mark(self) -> Mark:
        machine, file = self._hidden
        return Mark(incarnation=self._incarnation, machine=machine, file=file, heads=self._heads)

    def _judge(self, present: Incarnation, earlier: Collection[Incarnation]) -> Cause | None:
        """Return why `present` must not be written on with, None if it may."""
        try:
            mark = self._file.read()
        except ValueError:
            return Cause.MARK_LOST
        if mark is None:
            return Cause.MARK_LOST if own_heads(self._log, self._device_id, present) else None
        # The mark of an incarnation that this very store has left behind only lags: the machine stopped after a new
        # one was committed and before its mark was written.
        if mark.incarnation not in earlier and (
            mark.incarnation != present
            or not all(self._stands(present, stream, head) for stream, head in mark.heads.items())
        ):
            return Cause.WENT_BACK
        machine, file = self._hidden
        if mark.machine != machine:
            return Cause.OTHER_MACHINE
        return Cause.COPIED if mark.file != file else None

    def _stands(self, incarnation: Incarnation, stream: Stream, head: Head) -> bool:
        """Tell whether the store still holds the batch that the mark names."""
        origin = make_origin(self._device_id, incarnation)
        if not self._log.view().stream(stream).frontier.covers(origin, head.seq):
            return False
        held = self._log.hash_of(stream, origin, head.seq)
        # A batch that a compaction dropped is covered and cannot be compared.
        return held is None or held == head.hash

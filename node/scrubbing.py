"""Scrubs the store of a running node once a month, a slice a second, and mends what it finds.

A disk says nothing of what it lost, so somebody has to look. A passage over a million rows takes some twenty minutes
in the background, begins only when the node has run for a while, and goes on only while nothing else is asked of the
store, unless rows were found damaged or it is long overdue.
"""

import logging
from collections.abc import Callable, Iterator

from crdt.identifiers import DeviceId
from node.clock import Clock
from node.mending import Mending
from node.rest import release_memory
from node.store.damage import ScrubReport
from node.store.store import Store

logger = logging.getLogger(__name__)

#: Some milliseconds of work.
VERIFIED_PER_LOOK = 200
#: Starting and first exchanges come first; a short run begins no passage.
SETTLED_SECONDS = 600.0
SCRUB_MILLISECONDS = 30 * 86_400_000
#: From then on a passage does not wait for quiet any more.
OVERDUE_MILLISECONDS = 60 * 86_400_000
#: After any passage, whatever it came to.
PAUSE_SECONDS = 86_400.0


class Scrubbing:
    """The passages through one store; `look` is called once a second."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        sign_public: Callable[[DeviceId], bytes | None],
        holder: Callable[[], str | None],
        tell: Callable[[str], None],
    ) -> None:
        """`sign_public` knows every member, `holder` names a connected device in sync, `tell` is for the person."""
        self._store = store
        self._clock = clock
        self._sign_public = sign_public
        self._holder = holder
        self._tell = tell
        self._passage: Iterator[None] | None = None
        self._seen = store.activity
        self._is_urgent = False
        self._not_before_seconds = clock.monotonic_seconds() + SETTLED_SECONDS

    def look(self) -> None:
        """Verify some of what was lately listed, and do a slice of a passage that is due; raises StorageError."""
        if self._store.verify_listed(VERIFIED_PER_LOOK):
            self._tell("A record on this device's disk is damaged; all of them are being examined.")
            self._is_urgent = True
        is_quiet, self._seen = self._store.activity == self._seen, self._store.activity
        if self._passage is None:
            due = self._due_since_milliseconds()
            if due is None:
                return
            self._is_urgent |= due >= OVERDUE_MILLISECONDS - SCRUB_MILLISECONDS
        if not is_quiet and not self._is_urgent:
            return
        self._passage = self._passage or self._pass()
        try:
            next(self._passage)
        except StopIteration:
            self._end()
        except BaseException:
            self._end()
            raise
        self._seen = self._store.activity

    def _due_since_milliseconds(self) -> int | None:
        """Return for how long a passage is due, None where none is."""
        if self._is_urgent:
            return 0
        if self._clock.monotonic_seconds() < self._not_before_seconds:
            return None
        last = self._store.health().last_scrub()
        if last is None:
            return 0
        since = self._clock.now_milliseconds() - last.at_milliseconds - SCRUB_MILLISECONDS
        return since if since >= 0 else None

    def _end(self) -> None:
        self._passage = None
        self._is_urgent = False
        self._not_before_seconds = self._clock.monotonic_seconds() + PAUSE_SECONDS
        self._store.rest()
        release_memory()

    def _pass(self) -> Iterator[None]:
        """Scrub, mend what is damaged, and scrub once more to see what came of it."""
        report = ScrubReport()
        yield from self._scrub(report)
        if report.sound:
            return
        logger.error("a scrub found damage", extra={"places": report.count_by_kind.total()})
        mending = Mending(self._store, report, self._sign_public, self._clock.monotonic_seconds)
        yield from mending.rows(self._holder())
        yield from mending.words()
        for sentence in mending.done:
            self._tell(sentence)
        left = ScrubReport()
        yield from self._scrub(left)
        if not left.sound:
            self._tell(f"This device's disk is damaged in {left.count_by_kind.total():,} places: run nuthatch doctor.")

    def _scrub(self, report: ScrubReport) -> Iterator[None]:
        scrub = self._store.health().scrub(self._sign_public, self._clock.monotonic_seconds, report)
        for _ in scrub.slices():
            yield
        if not report.not_compared:
            self._store.health().note_scrub(report, self._clock.now_milliseconds())

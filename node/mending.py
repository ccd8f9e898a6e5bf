"""Mends what a scrub found without losing anything: from the own log, from another device, by counting anew.

Each step yields now and then, so that whoever shares the thread goes on meanwhile.
"""

from collections.abc import Callable, Collection, Iterator

from crdt.identifiers import DeviceId
from node.store.damage import TAKEN_OUT, Kind, ScrubReport
from node.store.rebuilding import RowName
from node.store.store import Store
from sync.streams import Stream

_WORDS = frozenset({Kind.WORDS_MISSING, Kind.WORDS_SURPLUS, Kind.WORDS_WRONG, Kind.INDEX_UNREADABLE})
_SUMS = frozenset({Kind.DIGEST_WRONG, Kind.COUNT_WRONG})


class Mending:
    """The mending of one store after one scrub; `done` are sentences that say what was done."""

    def __init__(
        self,
        store: Store,
        report: ScrubReport,
        sign_public: Callable[[DeviceId], bytes | None],
        monotonic_seconds: Callable[[], float],
    ) -> None:
        """`sign_public` knows every member, past and present."""
        self._store = store
        self._report = report
        self._sign_public = sign_public
        self._monotonic_seconds = monotonic_seconds
        self.done: list[str] = []

    def rows(self, holder: str | None) -> Iterator[None]:
        """Mend rows and digests; `holder` is the name of a connected device that is in sync. Raises StorageError."""
        rebuilt: list[RowName] = []
        if any(found.kind in TAKEN_OUT for found in self._report.damage):
            yield from self._store.health().rebuild(self._report, self._sign_public, rebuilt)
        if rebuilt:
            self.done.append(f"{_counted_rows(len(rebuilt))} rebuilt from this device's own log.")
        whole = set(rebuilt)
        self._take_out(holder, whole)
        self._add_up(whole)

    def words(self) -> Iterator[None]:
        """Index the texts of tables anew whose index is damaged. Raises StorageError."""
        tables = sorted({found.where for found in self._report.damage if found.kind in _WORDS})
        yield from self._store.health().rebuild_text(tables, self._monotonic_seconds)
        if tables:
            self.done.append(f"The words of {', '.join(tables)} were indexed anew.")

    def _take_out(self, holder: str | None, whole: Collection[RowName]) -> None:
        """Take damaged rows out where a connected device provably holds them.

        It holds the same frontier and digest, so its rows are those that this device's digest was added up from. A row
        without a row state counts as one of these only if its hash is missing from the sum; else nobody else knows it.
        """
        unsummed = {found.where for found in self._report.damage if found.kind is Kind.DIGEST_WRONG}
        row_ids_by_table: dict[str, list[bytes]] = {}
        for found in self._report.damage:
            if found.kind not in TAKEN_OUT or (found.where, found.key) in whole:
                continue
            stream = self._store.catalogue.held_table(found.where).stream
            if found.kind is not Kind.ROW_STATE_LOST or stream.title in unsummed:
                row_ids_by_table.setdefault(found.where, []).append(found.key)
        if not row_ids_by_table or holder is None:
            return
        self._store.take_out(row_ids_by_table)
        count = sum(len(row_ids) for row_ids in row_ids_by_table.values())
        self.done.append(f"{_counted_rows(count)} taken out; {holder} holds them and sends them again.")

    def _add_up(self, whole: Collection[RowName]) -> None:
        """Add digests up anew of streams all of whose rows are whole."""
        broken = {
            self._store.catalogue.held_table(found.where).stream
            for found in self._report.damage
            if (found.kind in TAKEN_OUT and (found.where, found.key) not in whole)
            or found.kind is Kind.TABLE_UNREADABLE
        }
        named = {found.where for found in self._report.damage if found.kind in _SUMS}
        streams = [stream for stream in Stream if stream.title in named and stream not in broken]
        if streams:
            self._store.add_up(streams)
            self.done.append(f"The digest of {', '.join(stream.title for stream in streams)} was added up anew.")


def _counted_rows(count: int) -> str:
    return "1 damaged row" if count == 1 else f"{count:,} damaged rows"

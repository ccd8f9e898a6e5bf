"""Follows every chain of the change log: each batch as its author signed it, each naming the one before it."""

from collections.abc import Callable, Iterator

from crdt.identifiers import DeviceId, Origin
from node.errors import StorageError
from node.store.change_log import ChangeLog
from node.store.damage import Kind, ScrubReport
from node.store.database import Database, Row
from node.store.origins import Origins
from node.store.pace import Pace
from sync.batch import UnknownAuthor, open_batch
from sync.errors import RemoteProtocolError
from sync.frontier import PREFIX_BYTES, FrontierEntry
from sync.identifiers import RealmId
from sync.streams import Stream

_BYTES_PER_SLICE = 128 * 1024


class LogScrub:
    """Reads the log in the order of its batches' arrival."""

    __slots__ = ("_database", "_head_by_chain", "_log", "_origins", "_realm_id", "_sign_public", "_unreadable")

    def __init__(
        self,
        database: Database,
        log: ChangeLog,
        origins: Origins,
        realm_id: RealmId,
        sign_public: Callable[[DeviceId], bytes | None],
    ) -> None:
        """Verify signatures by the keys that `sign_public` gives, for members past and present."""
        self._database = database
        self._log = log
        self._origins = origins
        self._realm_id = realm_id
        self._sign_public = sign_public
        self._head_by_chain: dict[tuple[Stream, Origin], FrontierEntry] = {}
        self._unreadable = False

    def total(self) -> int:
        """Return about how many batches there are."""
        count: int = self._database.query("SELECT count(*) FROM _frontier")[0][0]
        try:
            count = self._database.query("SELECT coalesce(max(position), 0) FROM _batch")[0][0]
        except StorageError:
            # The slices will tell; here it is only about how long they take.
            self._unreadable = True
        return count

    def slices(self, report: ScrubReport, pace: Pace) -> Iterator[None]:
        """Verify all batches, and at last that the frontiers name the ends of the chains."""
        last = 0
        while not self._unreadable:
            try:
                positions = self._following(last)
            except StorageError:
                self._unreadable = True
                break
            if not positions:
                break
            for position in positions:
                self._batch(position, report)
            last = positions[-1]
            yield
        if self._unreadable:
            report.note(Kind.LOG_UNREADABLE, "change log")
        else:
            self._compare_frontiers(report)

    def _following(self, last: int) -> list[int]:
        sizes = self._database.query(
            "SELECT position, length(raw) FROM _batch WHERE position > ? ORDER BY position LIMIT 64", (last,)
        )
        chosen: list[int] = []
        total = 0
        for position, length in sizes:
            total += length
            if chosen and total > _BYTES_PER_SLICE:
                break
            chosen.append(position)
        return chosen

    def _batch(self, position: int, report: ScrubReport) -> None:
        report.batches += 1
        try:
            rows = self._database.query(
                "SELECT stream, origin, seq, hash, raw FROM _batch WHERE position = ?", (position,)
            )
        except StorageError:
            report.note(Kind.BATCH_UNREADABLE, "change log", position.to_bytes(8, "big"))
            return
        # A compaction may have dropped it since its position was read.
        if rows:
            self._verify(rows[0], position, report)

    def _verify(self, row: Row, position: int, report: ScrubReport) -> None:
        code, number, seq, batch_hash, raw = row
        where, key = f"change log, {_title(code)}", position.to_bytes(8, "big")
        try:
            batch = open_batch(raw, self._realm_id, self._sign_public)
        except (RemoteProtocolError, UnknownAuthor):
            report.note(Kind.BATCH_CHANGED, where, key)
            return
        header = batch.header
        chain = (header.stream, header.origin)
        stated = (code, self._origins.number_if_known(header.origin), header.seq, batch.hash)
        if stated != (code, number, seq, batch_hash) or header.stream != code:
            report.note(Kind.BATCH_CHANGED, where, key)
            return
        before = self._head_by_chain.get(chain) or self._log.base(header.stream).entry(header.origin)
        self._head_by_chain[chain] = FrontierEntry(seq, batch.hash[:PREFIX_BYTES])
        # Batches that a snapshot already covered may stand in the log as well, from before it.
        covered = self._log.base(header.stream).entry(header.origin).seq
        if seq > covered and (seq != before.seq + 1 or header.prev[:PREFIX_BYTES] != before.prefix):
            report.note(Kind.BATCH_MISSING, where, key)

    def _compare_frontiers(self, report: ScrubReport) -> None:
        """Compare ends of chains; no batch can have come since the last slice, for nothing was yielded in between."""
        for stream, state in self._log.view().streams.items():
            base = self._log.base(stream)
            for origin, entry in state.frontier.entries.items():
                held = max(self._head_by_chain.get((stream, origin), FrontierEntry(0, b"")), base.entry(origin))
                if held != entry:
                    report.note(Kind.FRONTIER_WRONG, f"change log, {stream.title}", origin)


def _title(code: int) -> str:
    return Stream(code).title if code in set(Stream) else f"stream {code}"

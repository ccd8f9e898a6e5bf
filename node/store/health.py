"""What a store can tell of its own condition: pages, layout, time of the last scrub, sizes, and what waits in it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import msgspec

from crdt.identifiers import DeviceId, HybridTime
from node.errors import StorageError
from node.store.damage import ScrubReport
from node.store.layout_check import layout_differences
from node.store.log_scrub import LogScrub
from node.store.pace import Pace
from node.store.rebuilding import Rebuilding, RowName
from node.store.repair import rebuild_text
from node.store.scrub import Scrub
from node.store.store_parts import Pending, StoreParts
from sync.identifiers import RealmId

#: How many broken places the engine names; one is enough to know.
_PAGE_ERRORS_MAX = 20
_SCRUBBED = "scrubbed"


class ScrubRecord(msgspec.Struct, frozen=True, array_like=True):
    """When the store was last compared with its hashes from end to end (ms since 1970), and how much was damaged."""

    at_milliseconds: int
    damaged: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Bytes of the store's file and of its write-ahead log."""

    store_bytes: int
    log_bytes: int


class StoreHealth:
    """The condition of an open store."""

    __slots__ = ("_committing", "_parts", "_realm_id")

    def __init__(
        self, parts: StoreParts, realm_id: RealmId, committing: Callable[[], AbstractContextManager[Pending]]
    ) -> None:
        """Look at the store made of `parts`; `committing` opens a transaction of it."""
        self._committing = committing
        self._parts = parts
        self._realm_id = realm_id

    def scrub(
        self,
        sign_public: Callable[[DeviceId], bytes | None],
        monotonic_seconds: Callable[[], float],
        report: ScrubReport,
    ) -> Scrub:
        """Return a scrub that will fill `report`; `sign_public` knows every member, past and present."""
        parts = self._parts
        return Scrub(
            database=parts.database,
            catalogue=parts.catalogue,
            states=parts.states,
            log=parts.log,
            log_scrub=LogScrub(parts.database, parts.log, parts.origins, self._realm_id, sign_public),
            monotonic_seconds=monotonic_seconds,
            full_text=parts.full_text,
            report=report,
        )

    def rebuild(
        self, report: ScrubReport, sign_public: Callable[[DeviceId], bytes | None], rebuilt: list[RowName]
    ) -> Iterator[None]:
        """Rebuild damaged rows from the log where they can be proven, yielding after each slice of reading.

        `rebuilt` grows by the rows that were. Raises StorageError.
        """
        rebuilding = Rebuilding(self._parts, self._realm_id, sign_public, report)
        yield from rebuilding.fold()
        with self._committing() as pending:
            rebuilding.put_back(pending)
        rebuilt += rebuilding.rebuilt

    def rebuild_text(self, tables: Iterable[str], monotonic_seconds: Callable[[], float]) -> Iterator[None]:
        """Index the texts of `tables` anew, yielding after each slice; raises StorageError."""
        for name in tables:
            table = self._parts.catalogue.table_by_name[name]
            yield from rebuild_text(self._parts.database, table, Pace(monotonic_seconds))

    def note_scrub(self, report: ScrubReport, now_milliseconds: int) -> None:
        """Keep the time and outcome of a scrub that went to its end; raises StorageError."""
        self._keep(ScrubRecord(at_milliseconds=now_milliseconds, damaged=report.count_by_kind.total()))

    def note_damage(self, count: int, now_milliseconds: int) -> None:
        """Keep that rows were found damaged between two scrubs; raises StorageError."""
        last = self.last_scrub()
        at_milliseconds = now_milliseconds if last is None else last.at_milliseconds
        # The same rows may be met again and again: what counts is that there are some.
        self._keep(ScrubRecord(at_milliseconds=at_milliseconds, damaged=max(count, last.damaged if last else 0)))

    def _keep(self, record: ScrubRecord) -> None:
        database = self._parts.database
        database.begin()
        try:
            database.change(
                "INSERT INTO _meta VALUES (?, ?) ON CONFLICT(key) DO UPDATE SET value = excluded.value",
                (_SCRUBBED, msgspec.msgpack.encode(record)),
            )
            database.commit()
        except BaseException:
            database.rollback()
            raise

    def last_scrub(self) -> ScrubRecord | None:
        """Return the record of the last scrub, None where there was none."""
        rows = self._parts.database.query("SELECT value FROM _meta WHERE key = ?", (_SCRUBBED,))
        return msgspec.msgpack.decode(rows[0][0], type=ScrubRecord) if rows else None

    def page_errors(self) -> list[str]:
        """Return what the engine finds wrong in its pages, nothing where all is well.

        Takes about a second for 400 MB and nothing can be done meanwhile.
        """
        try:
            rows = self._parts.database.query(f"PRAGMA integrity_check({_PAGE_ERRORS_MAX})")
        except StorageError as error:
            return [str(error)]
        return [str(row[0]) for row in rows if row[0] != "ok"]

    def layout_differences(self) -> list[str]:
        """Return how the tables on the disk differ from what this version declares; raises StorageError."""
        return layout_differences(self._parts.database, self._parts.catalogue)

    def damaged_statements(self) -> list[bytes]:
        """Return the keys of roster statements that are not what they were when they came."""
        rows = self._parts.database.query("SELECT hash, raw FROM _statement")
        return [key for key, raw in rows if blake2b(raw, digest_size=32).digest() != key]

    def drop_statements(self, keys: Sequence[bytes]) -> None:
        """Forget statements that prove nothing any more, so that other devices send them again; raises StorageError."""
        database = self._parts.database
        database.begin()
        try:
            database.change_many("DELETE FROM _statement WHERE hash = ?", [(key,) for key in keys])
            database.commit()
        except BaseException:
            database.rollback()
            raise

    def derived_rows(self) -> int:
        """Return how many rows are out of sight, or show another reference than their own, for what was deleted."""
        return self._parts.derived.count()

    def latest_stamp(self) -> HybridTime:
        """Return the greatest hybrid time made or applied."""
        return self._parts.log.clock

    def sizes(self) -> Sizes:
        """Return the sizes on the disk."""
        path = self._parts.database.path
        return Sizes(store_bytes=_size(path), log_bytes=_size(path.with_name(f"{path.name}-wal")))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0

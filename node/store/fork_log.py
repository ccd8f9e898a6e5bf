"""Keeps what proves that another device wrote two versions of one chain, for the person to see.

Both versions stay where they are held, and neither is thrown away. A fork is over when its author has met both and
wrote one of them again under another name, or when the store here holds the other version by now.
"""

from collections.abc import Callable
from dataclasses import dataclass

from crdt.identifiers import DeviceId, Origin
from node.store.change_log import ChangeLog
from node.store.database import Database
from node.store.origins import Origins
from sync.batch import open_batch
from sync.effects import ForkFound
from sync.identifiers import BatchHash, RealmId
from sync.streams import Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFork:
    """The first number at which two versions of a chain differ, the hash held here and the one held elsewhere."""

    stream: Stream
    origin: Origin
    seq: int
    ours: BatchHash
    theirs: BatchHash


class ForkLog:
    """The forks that sessions found."""

    __slots__ = ("_database", "_log", "_origins", "_realm_id")

    def __init__(self, database: Database, origins: Origins, log: ChangeLog, realm_id: RealmId) -> None:
        """Write into `database`."""
        self._database = database
        self._origins = origins
        self._log = log
        self._realm_id = realm_id

    def note(self, found: ForkFound, sign_public: Callable[[DeviceId], bytes | None], at_milliseconds: int) -> None:
        """Write a fork down, within the open transaction, if the evidence holds; once is enough.

        Raises RemoteProtocolError where the evidence is no batch that the author signed, or another than was said.
        """
        batch = open_batch(found.evidence, self._realm_id, sign_public)
        header = batch.header
        if (header.stream, header.origin, header.seq, batch.hash) != (
            found.stream,
            found.origin,
            found.seq,
            found.theirs,
        ):
            return
        held = self._log.hash_of(header.stream, header.origin, header.seq)
        if held is None or held == batch.hash:
            return
        self._database.change(
            "INSERT OR IGNORE INTO _fork VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                int(header.stream),
                self._origins.number(header.origin),
                header.seq,
                held,
                batch.hash,
                found.evidence,
                str(at_milliseconds),
            ),
        )

    def open_forks(self) -> list[KnownFork]:
        """Return the forks that are not over, in order of stream and number."""
        rows = self._database.query(
            "SELECT f.stream, f.origin, f.seq, f.ours, f.theirs FROM _fork f WHERE NOT EXISTS (SELECT 1 FROM _abandoned"
            " a WHERE a.stream = f.stream AND a.origin = f.origin AND a.seq = f.seq AND a.hash IN (f.ours, f.theirs))"
            " ORDER BY f.stream, f.origin, f.seq"
        )
        return [
            KnownFork(
                stream=Stream(stream),
                origin=self._origins.origin(number),
                seq=seq,
                ours=BatchHash(ours),
                theirs=BatchHash(theirs),
            )
            for stream, number, seq, ours, theirs in rows
        ]

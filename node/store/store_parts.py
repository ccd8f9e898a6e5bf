"""What an open store is made of, wired once, and what it tells its subscribers."""

from collections.abc import Callable
from dataclasses import dataclass, field

from crdt.identifiers import Incarnation
from node.store.authoring import Authoring
from node.store.capture import Capture
from node.store.catalogue import Catalogue
from node.store.change_log import ChangeLog, Progress
from node.store.database import Database
from node.store.derived import Derived
from node.store.disturbed import Disturbed
from node.store.foreign_tables import ForeignTables
from node.store.forgetting import Forgetting
from node.store.fork_log import ForkLog
from node.store.history import History
from node.store.incarnation_guard import IncarnationGuard
from node.store.merge import Merge
from node.store.origins import Origins
from node.store.receiving import Receiving
from node.store.rewriting import Rewriting
from node.store.row_spelling import RowSpelling
from node.store.row_state import RowStates
from node.store.snapshot import SnapshotReader
from node.store.snapshot_partials import SnapshotPartials
from node.store.verification import Verification
from sync.snapshot import RowKey
from sync.streams import Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeNotice:
    """What a committed transaction changed, for whoever subscribed.

    `went_back` says that a frontier covers less than before: what was told of it elsewhere is not so any more.
    """

    streams: frozenset[Stream]
    changes_by_table: dict[str, int]
    local: bool
    went_back: bool = False


@dataclass(slots=True, kw_only=True)
class StoreParts:
    """What a store is made of, wired once."""

    database: Database
    catalogue: Catalogue
    origins: Origins
    log: ChangeLog
    states: RowStates
    capture: Capture
    authoring: Authoring
    receiving: Receiving
    rewriting: Rewriting
    derived: Derived
    merge: Merge
    foreign: ForeignTables
    reader: SnapshotReader
    spelling: RowSpelling
    partials: SnapshotPartials
    history: History
    forgetting: Forgetting
    guard: IncarnationGuard
    verification: Verification
    forks: ForkLog
    full_text: bool = True
    subscribers: list[Callable[[ChangeNotice], None]] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Pending:
    """What an open transaction has come to so far."""

    progress: Progress
    changes_by_table: dict[str, int] = field(default_factory=dict)
    disturbed: Disturbed = field(default_factory=Disturbed)
    computed_text: bool = False
    minted: Incarnation | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotPage:
    """A signed page and its last row where more follow (None: it is the last page)."""

    raw: bytes
    next_cursor: RowKey | None

"""Wires the parts of a store, each to the few that it stands on."""

from collections.abc import Sequence
from dataclasses import dataclass

from crdt.identifiers import Origin
from node.clock import Clock
from node.entropy import Entropy
from node.store.authoring import Author, Authoring
from node.store.capture import Capture
from node.store.catalogue import Catalogue
from node.store.change_log import ChangeLog
from node.store.database import Database
from node.store.derived import Derived
from node.store.foreign_tables import ForeignTables
from node.store.forgetting import Forgetting
from node.store.fork_log import ForkLog
from node.store.history import History
from node.store.incarnation_guard import IncarnationGuard
from node.store.incoming import Incoming
from node.store.incoming_pages import IncomingPages
from node.store.merge import Merge
from node.store.origins import Origins
from node.store.plain_edits import PlainEdits
from node.store.receiving import Receiving
from node.store.rewriting import Rewriting
from node.store.row_spelling import RowSpelling
from node.store.row_state import RowStates
from node.store.schema import Component
from node.store.schema_registry import create_table
from node.store.snapshot import SnapshotReader
from node.store.snapshot_partials import SnapshotPartials
from node.store.store_parts import StoreParts
from node.store.verification import Verification


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What all other parts stand on: the database, what its tables mean, and what it keeps of the past."""

    database: Database
    catalogue: Catalogue
    origins: Origins
    log: ChangeLog
    states: RowStates
    history: History
    forgetting: Forgetting


def lay_ground(database: Database, components: Sequence[Component], clock: Clock) -> Ground:
    """Return the ground of a store whose tables are laid out for `components`."""
    origins = Origins(database)
    history = History(database, origins, clock)
    return Ground(
        database=database,
        catalogue=Catalogue(tuple(components)),
        origins=origins,
        log=ChangeLog(database, origins),
        states=RowStates(database, origins),
        history=history,
        forgetting=Forgetting(database, origins, history),
    )


def wire(
    ground: Ground, guard: IncarnationGuard, author: Author, origin: Origin, entropy: Entropy, full_text: bool
) -> StoreParts:
    """Return the parts of a store that writes as `author` under `origin`; `full_text` keeps a search index."""
    plain_edits = PlainEdits(ground.database, ground.origins, ground.history)
    capture = Capture(ground.database, ground.catalogue, ground.states)
    merge = Merge(ground.database, ground.states, ground.forgetting, plain_edits, index_text=full_text)
    foreign = ForeignTables(ground.database, ground.catalogue, create_table)
    partials = SnapshotPartials(ground.database)
    rewriting = _rewriting(ground, author, entropy)
    verification = Verification(ground.database, ground.catalogue, ground.states, ground.log)
    spelling = RowSpelling(ground.states, ground.origins)
    return StoreParts(
        database=ground.database,
        catalogue=ground.catalogue,
        origins=ground.origins,
        log=ground.log,
        states=ground.states,
        history=ground.history,
        forgetting=ground.forgetting,
        capture=capture,
        authoring=_authoring(ground, capture, plain_edits, author, origin, entropy, full_text),
        merge=merge,
        foreign=foreign,
        partials=partials,
        receiving=_receiving(ground, foreign, merge, partials, rewriting, verification, author, full_text),
        rewriting=rewriting,
        derived=_derived(ground, capture, merge, author, full_text),
        reader=SnapshotReader(ground.database, ground.catalogue, spelling),
        spelling=spelling,
        guard=guard,
        forks=ForkLog(ground.database, ground.origins, ground.log, author.realm_id),
        verification=verification,
        full_text=full_text,
    )


def _authoring(
    ground: Ground,
    capture: Capture,
    plain_edits: PlainEdits,
    author: Author,
    origin: Origin,
    entropy: Entropy,
    full_text: bool,
) -> Authoring:
    return Authoring(
        database=ground.database,
        catalogue=ground.catalogue,
        capture=capture,
        states=ground.states,
        forgetting=ground.forgetting,
        plain_edits=plain_edits,
        author=author,
        origin=origin,
        take_entropy=entropy.take,
        index_text=full_text,
    )


def _rewriting(ground: Ground, author: Author, entropy: Entropy) -> Rewriting:
    return Rewriting(
        database=ground.database,
        catalogue=ground.catalogue,
        states=ground.states,
        origins=ground.origins,
        log=ground.log,
        history=ground.history,
        forgetting=ground.forgetting,
        author=author,
        take_entropy=entropy.take,
    )


def _receiving(
    ground: Ground,
    foreign: ForeignTables,
    merge: Merge,
    partials: SnapshotPartials,
    rewriting: Rewriting,
    verification: Verification,
    author: Author,
    full_text: bool,
) -> Receiving:
    return Receiving(
        database=ground.database,
        catalogue=ground.catalogue,
        origins=ground.origins,
        incoming=Incoming(foreign, merge),
        incoming_pages=IncomingPages(foreign, merge),
        log=ground.log,
        partials=partials,
        rewriting=rewriting,
        verification=verification,
        author=author,
        index_text=full_text,
    )


def _derived(ground: Ground, capture: Capture, merge: Merge, author: Author, full_text: bool) -> Derived:
    return Derived(
        database=ground.database,
        catalogue=ground.catalogue,
        capture=capture,
        origins=ground.origins,
        states=ground.states,
        merge=merge,
        device_id=author.device_id,
        index_text=full_text,
    )

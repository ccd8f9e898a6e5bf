"""Bugs planted while a scenario is recorded; the images must show every one of them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from node.clock import Clock
from node.entropy import Entropy
from node.errors import StorageError
from node.home import Home
from node.store import database, incarnation_mark
from node.store.authoring import Author
from node.store.chain_upkeep import ChainUpkeep
from node.store.change_log import ChangeLog, Progress
from node.store.database import Database
from node.store.incarnation_guard import IncarnationGuard
from node.store.incarnations import Cause, mint
from node.store.opening import StoreOptions, open_store
from node.store.schema import Component
from node.store.schema_registry import FORMAT_VERSION, create_internal_tables
from node.store.store import Store
from simulations.crash_images import device
from simulations.mutants.registry import replaced
from sync.frontier import Frontier
from sync.streams import Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantedBug:
    """A mistake, the scenario that shows it and the checks that ought to notice."""

    name: str
    says: str
    scenario: str
    checks: tuple[str, ...]
    plant: Callable[[], AbstractContextManager[None]]
    #: What must happen for it to show.
    shows_by: Literal["power cut", "power cut in init", "failing disk", "lying disk"] = "power cut"


def _pragma(before: str, after: str) -> AbstractContextManager[None]:
    return replaced(database, "_PRAGMAS", tuple(pragma.replace(before, after) for pragma in database._PRAGMAS))


@contextmanager
def _commit_later() -> Iterator[None]:
    """Acknowledge a commit and do it when the next one is asked for."""
    commit, begin, checkpoint, close = Database.commit, Database.begin, Database.checkpoint, Database.close
    owed: set[int] = set()

    def settle(self: Database) -> None:
        if id(self) in owed:
            owed.discard(id(self))
            commit(self)

    def late_commit(self: Database) -> None:
        owed.add(id(self))

    def late_begin(self: Database) -> None:
        settle(self)
        begin(self)

    def late_checkpoint(self: Database) -> None:
        settle(self)
        checkpoint(self)

    def late_close(self: Database) -> None:
        settle(self)
        close(self)

    with (
        replaced(Database, "commit", late_commit),
        replaced(Database, "begin", late_begin),
        replaced(Database, "checkpoint", late_checkpoint),
        replaced(Database, "close", late_close),
    ):
        yield


@contextmanager
def _in_two_transactions() -> Iterator[None]:
    """Commit the rows, then frontier and digests."""
    persist = Progress.persist

    def late(self: Progress) -> None:
        self._database.change("COMMIT")
        self._database.change("BEGIN IMMEDIATE")
        persist(self)

    with replaced(Progress, "persist", late):
        yield


@contextmanager
def _base_after_batches() -> Iterator[None]:
    """Commit that batches are gone, then from where on the log is whole."""
    raise_base = ChangeLog.raise_base

    def late(self: ChangeLog, stream: Stream, frontier: Frontier) -> None:
        self._database.change("COMMIT")
        self._database.change("BEGIN IMMEDIATE")
        raise_base(self, stream, frontier)

    with replaced(ChangeLog, "raise_base", late):
        yield


@contextmanager
def _each_statement_commits() -> Iterator[None]:
    change = Database.change

    def committing(self: Database, sql: str, parameters: Sequence[object] = ()) -> int:
        changed = change(self, sql, parameters)
        if sql.startswith("ALTER TABLE"):
            change(self, "COMMIT")
            change(self, "BEGIN IMMEDIATE")
        return changed

    with replaced(Database, "change", committing):
        yield


@contextmanager
def _errors_of_commits_swallowed() -> Iterator[None]:
    commit = Database.commit

    def hopeful(self: Database) -> None:
        try:
            commit(self)
        except StorageError:
            self.rollback()

    with replaced(Database, "commit", hopeful):
        yield


@contextmanager
def _states_shared() -> Iterator[None]:
    """Let an open transaction write into what is held as committed."""
    make = Progress.__init__

    def sharing(self: Progress, *args: object) -> None:
        make(self, *args)  # type: ignore[arg-type]
        self.states = args[2]  # type: ignore[assignment]

    with replaced(Progress, "__init__", sharing):
        yield


@contextmanager
def _mark_before_store() -> Iterator[None]:
    """Write the mark from what the transaction is about to commit."""
    persist, committed = Progress.persist, IncarnationGuard.committed
    guards: list[IncarnationGuard] = []
    make = IncarnationGuard.__init__

    def noted(self: IncarnationGuard, *args: object) -> None:
        make(self, *args)  # type: ignore[arg-type]
        guards.append(self)

    def early(self: Progress) -> None:
        persist(self)
        for guard in guards[-1:]:
            for origin in {origin for _, origin in self.heads if origin.startswith(guard._device_id)}:
                if own := self.appended_of(origin):
                    committed(guard, own)

    with replaced(IncarnationGuard, "__init__", noted), replaced(Progress, "persist", early):
        yield


def _in_place(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _create_in_place(
    path: Path,
    *,
    key: bytes,
    author: Author,
    components: Sequence[Component],
    clock: Clock,
    entropy: Entropy,
    options: StoreOptions,
) -> Store:
    laid_out = Database(path, key)
    laid_out.begin()
    create_internal_tables(laid_out)
    laid_out.commit()
    laid_out.begin()
    meta = {"format": FORMAT_VERSION.to_bytes(4, "big"), "realm": author.realm_id, "device": author.device_id}
    laid_out.change_many("INSERT INTO _meta VALUES (?, ?)", list(meta.items()))
    mint(laid_out, entropy, clock, Cause.CREATED)
    laid_out.commit()
    laid_out.close()
    return open_store(
        path, key=key, author=author, components=components, clock=clock, entropy=entropy, options=options
    )


PLANTED_BUGS = (
    PlantedBug(
        name="synchronous-normal",
        says="a commit is acknowledged before the log is flushed",
        scenario="local",
        checks=("durability", "incarnation"),
        plant=lambda: _pragma("synchronous=FULL", "synchronous=NORMAL"),
    ),
    PlantedBug(
        name="synchronous-off",
        says="nothing is flushed at all",
        scenario="small-cache",
        checks=("durability", "incarnation", "opening", "integrity"),
        plant=lambda: _pragma("synchronous=FULL", "synchronous=OFF"),
    ),
    PlantedBug(
        name="journal-off",
        says="the engine writes over the file without a journal",
        scenario="received",
        checks=("opening", "integrity", "atomicity", "durability"),
        plant=lambda: _pragma("journal_mode=WAL", "journal_mode=OFF"),
    ),
    PlantedBug(
        name="journal-in-memory",
        says="the journal that would undo half a transaction is lost with the power",
        scenario="received",
        checks=("opening", "integrity", "atomicity"),
        plant=lambda: _pragma("journal_mode=WAL", "journal_mode=MEMORY"),
    ),
    PlantedBug(
        name="acknowledged-before-commit",
        says="a write is acknowledged when it was asked for, and committed with the next",
        scenario="local",
        checks=("durability",),
        plant=_commit_later,
    ),
    PlantedBug(
        name="frontier-after-rows",
        says="rows and batches are committed, then frontier and digest",
        scenario="received",
        checks=("integrity", "atomicity"),
        plant=_in_two_transactions,
    ),
    PlantedBug(
        name="base-after-batches",
        says="a compaction commits that batches are gone before it says so",
        scenario="compaction",
        checks=("atomicity",),
        plant=_base_after_batches,
    ),
    PlantedBug(
        name="migration-in-pieces",
        says="each statement of a migration is committed alone",
        scenario="migration",
        checks=("opening", "version"),
        plant=_each_statement_commits,
    ),
    PlantedBug(
        name="mark-before-store",
        says="the mark says that a batch was written before the store does",
        scenario="local",
        checks=("incarnation",),
        plant=_mark_before_store,
    ),
    PlantedBug(
        name="mark-not-whole",
        says="the mark is made in place and not flushed",
        scenario="local",
        checks=("incarnation",),
        plant=lambda: replaced(incarnation_mark, "write_private_file", _in_place),
    ),
    PlantedBug(
        name="created-in-place",
        says="a new store has its name before it is whole",
        scenario="creation",
        checks=("opening",),
        plant=lambda: replaced(device, "create_store", _create_in_place),
    ),
    PlantedBug(
        name="half-a-home-in-the-way",
        says="what a power cut left of a home is taken for one whose key file is lost",
        scenario="home",
        checks=("going on",),
        plant=lambda: replaced(Home, "_is_unfinished", lambda self: False),
        shows_by="power cut in init",
    ),
    PlantedBug(
        name="failed-commit-not-taken-back",
        says="a commit whose flush failed is left in the log, where the next start finds it",
        scenario="local",
        checks=("clean error",),
        plant=lambda: replaced(Database, "_take_back", lambda self: None),
        shows_by="failing disk",
    ),
    PlantedBug(
        name="failed-commit-acknowledged",
        says="an error of a commit is not passed on",
        scenario="received",
        checks=("truth", "durability"),
        plant=_errors_of_commits_swallowed,
        shows_by="failing disk",
    ),
    PlantedBug(
        name="memory-ahead-of-disk",
        says="frontiers in memory advance although the commit failed",
        scenario="received",
        checks=("integrity", "recovery"),
        plant=_states_shared,
        shows_by="failing disk",
    ),
    PlantedBug(
        name="engine-error-shown",
        says="a person reads the engine's own words",
        scenario="migration",
        checks=("clean error",),
        plant=lambda: replaced(database, "_translated", lambda message: StorageError(message)),
        shows_by="failing disk",
    ),
    PlantedBug(
        name="mark-not-judged",
        says="whatever the mark says, the store goes on under its incarnation",
        scenario="local",
        checks=("incarnation",),
        plant=lambda: replaced(IncarnationGuard, "_judge", lambda self, present, earlier: None),
        shows_by="lying disk",
    ),
    PlantedBug(
        name="fork-not-settled",
        says="a device that meets batches of its own that it does not know leaves its chain as it is",
        scenario="local",
        checks=("convergence",),
        plant=lambda: replaced(ChainUpkeep, "settle_fork", lambda self, evidence, roster: False),
        shows_by="lying disk",
    ),
)


@contextmanager
def planted(name: str) -> Iterator[None]:
    """Plant the bug of this name, none for an empty one; raises StopIteration for an unknown name."""
    if not name:
        yield
        return
    with next(bug for bug in PLANTED_BUGS if bug.name == name).plant():
        yield

"""Makes a store's file, and opens it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from crdt.identifiers import Incarnation, make_origin
from node.clock import Clock
from node.entropy import Entropy
from node.errors import NewerStoreError, StorageError
from node.store.authoring import Author
from node.store.database import Database
from node.store.incarnation_guard import IncarnationGuard
from node.store.incarnation_mark import MarkFile, mark_path
from node.store.incarnations import Cause, mint
from node.store.schema import Component
from node.store.schema_registry import FORMAT_VERSION, create_internal_tables, register_schema
from node.store.store import Store
from node.store.whereabouts import Locate, Whereabouts, locate
from node.store.wiring import lay_ground, wire

# What comes of records that a damaged page made of numbers, names and bytes: the page cipher is not authenticated.
_UNINTELLIGIBLE = (LookupError, ValueError, TypeError, ArithmeticError, msgspec.MsgspecError)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreOptions:
    """What may differ between two stores of one realm without their rows differing."""

    full_text: bool = True
    locate: Locate = locate


def create_store(
    path: Path,
    *,
    key: bytes,
    author: Author,
    components: Sequence[Component],
    clock: Clock,
    entropy: Entropy,
    options: StoreOptions = StoreOptions(),
) -> Store:
    """Create the store file at `path` under a fresh incarnation; raises StorageError where one stands already."""
    if path.exists():
        raise StorageError(f"There is a store at {path.name} already; it was left as it is.")
    try:
        _lay_out(path, key, author, clock, entropy)
    except OSError as error:
        raise StorageError(f"The store {path.name} cannot be made: {error.strerror}.") from error
    return open_store(
        path, key=key, author=author, components=components, clock=clock, entropy=entropy, options=options
    )


def _lay_out(path: Path, key: bytes, author: Author, clock: Clock, entropy: Entropy) -> None:
    unfinished = path.with_name(path.name + ".new")
    for leftover in (unfinished, *(Path(f"{unfinished}{suffix}") for suffix in ("-wal", "-shm"))):
        leftover.unlink(missing_ok=True)
    database = Database(unfinished, key)
    try:
        database.begin()
        create_internal_tables(database)
        meta = {"format": FORMAT_VERSION.to_bytes(4, "big"), "realm": author.realm_id, "device": author.device_id}
        database.change_many("INSERT INTO _meta VALUES (?, ?)", list(meta.items()))
        mint(database, entropy, clock, Cause.CREATED)
        database.commit()
        database.checkpoint()
    finally:
        database.close()
    # A store comes into being whole or not at all: a kill before this line leaves nothing under its name.
    mark_path(path).unlink(missing_ok=True)
    unfinished.rename(path)


def open_store(
    path: Path,
    *,
    key: bytes,
    author: Author,
    components: Sequence[Component],
    clock: Clock,
    entropy: Entropy,
    options: StoreOptions = StoreOptions(),
) -> Store:
    """Open the store file at `path`.

    Raises WrongKeyError for another key, NewerStoreError for a newer version's store, StorageError else.
    """
    if not path.exists():
        raise StorageError(
            f"The store {path.name} is missing. Restore a backup of it, or move the home away and join anew."
        )
    # Before the engine opens it: closing any other descriptor of the file would take the engine's locks away.
    whereabouts = _locate(path, options.locate)
    database = Database(path, key)
    try:
        if not database.query("SELECT 1 FROM sqlite_master WHERE name = '_meta'"):
            raise StorageError(
                f"The store {path.name} is empty or damaged. Restore a backup, or move it away and join anew."
            )
        meta: dict[str, bytes] = dict(database.query("SELECT key, value FROM _meta"))
        written = int.from_bytes(meta["format"], "big")
        if written > FORMAT_VERSION:
            raise NewerStoreError("This store was written by a newer version of Nuthatch; update it on this device.")
        if written < FORMAT_VERSION:
            raise StorageError(
                "This store was written before the first release and has an older form. Export it with the version "
                "that wrote it, and import that into a new one; nothing was changed."
            )
        if meta["realm"] != author.realm_id or meta["device"] != author.device_id:
            raise StorageError("This store belongs to another device or realm; its keys were moved or mixed up.")
        present = Incarnation(meta["incarnation"])
        register_schema(database, components)
        ground = lay_ground(database, components, clock)
        guard = IncarnationGuard(MarkFile(path, key), whereabouts, ground.log, author.device_id)
        origin = make_origin(author.device_id, guard.open(database, present, clock, entropy))
        parts = wire(ground, guard, author, origin, entropy, options.full_text)
        database.guard()
        store = Store(parts, author, clock, entropy)
        store.adopt()
        return store
    except _UNINTELLIGIBLE as error:
        database.close()
        raise StorageError(
            f"What the store {path.name} keeps of itself is damaged. Restore a backup, or move it away and join anew."
        ) from error
    except BaseException:
        database.close()
        raise


def _locate(path: Path, tell: Locate) -> Whereabouts:
    try:
        return tell(path)
    except OSError as error:
        raise StorageError(f"The store {path.name} cannot be read: {error.strerror}.") from error

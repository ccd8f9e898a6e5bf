"""The adapter to libSQL: one encrypted file, one connection, one kind of error.

The binding raises ValueError for every SQL error and a Rust panic (a BaseException) on corrupted text; both become
StorageError here. It binds integers beyond 32 bits as REAL, cuts text at a NUL and silently writes plaintext under an
empty key; all three are refused before they reach it.
"""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import libsql_experimental

from node.errors import ConstraintError, StorageError, UnreadableTextError, WrongKeyError

# A panic inside the binding is translated below; its hundred lines of stack would only frighten a person.
os.environ["RUST_BACKTRACE"] = "0"

Row = tuple[Any, ...]

KEY_BYTES = 32
# Below 2^53 a REAL holds an integer exactly and an INTEGER column turns it back; above it digits would be lost.
_EXACT_INTEGER_MAX = 2**53
_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    # With WAL only FULL keeps every acknowledged commit through a power cut.
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=OFF",
    # Without it INSERT OR REPLACE deletes rows behind the back of the capture triggers.
    "PRAGMA recursive_triggers=ON",
    "PRAGMA temp_store=MEMORY",
    "PRAGMA secure_delete=ON",
    "PRAGMA cache_size=-65536",
    # 128 MiB: the more pages wait in the log, the more of them were written again meanwhile and are moved but once. Of
    # random edits among a million rows a sixth less time is spent than at 40 MiB. A quiet node empties the log.
    "PRAGMA wal_autocheckpoint=32768",
    "PRAGMA busy_timeout=0",
)


@dataclass(frozen=True, slots=True)
class Result:
    """What one statement gave: column names and rows of a query, the number of rows changed otherwise."""

    columns: tuple[str, ...]
    rows: list[Row]
    changes: int


class Database:
    """An open, keyed database with its one connection."""

    __slots__ = ("_connection", "_guarded", "_in_transaction", "_last_owner", "path")

    def __init__(self, path: Path, key: bytes) -> None:
        """Open or create the file at `path`; `key` is 32 random bytes.

        Raises WrongKeyError where the file exists under another key, StorageError for anything else.
        """
        if len(key) != KEY_BYTES:
            raise StorageError("A store's key is 32 random bytes; an empty key would leave it unencrypted.")
        self.path = path
        self._in_transaction = False
        self._guarded = False
        with _translating():
            self._connection = libsql_experimental.connect(str(path), encryption_key=key.hex(), isolation_level=None)
            # The binding frees a connection twice when it is its own last owner (libsql issue 2251), and the process
            # may die of that. Where a statement outlives it, it is freed once: this one, which reads nothing.
            self._last_owner = self._connection.execute("SELECT 1")
            self._last_owner.fetchall()
        try:
            self._set_up()
        except BaseException:
            self.close()
            raise

    def _set_up(self) -> None:
        with _translating():
            try:
                self._connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
            except ValueError as error:
                if "not a database" not in str(error):
                    raise
                raise WrongKeyError(
                    f"The store {self.path.name} cannot be opened with this key: it belongs to other keys, "
                    "or it was damaged."
                ) from error
            for pragma in _PRAGMAS:
                self._connection.execute(pragma).fetchall()
            if self._connection.execute("PRAGMA recursive_triggers").fetchall() != [(1,)]:
                raise StorageError("The database cannot fire triggers for replaced rows; edits would be missed.")

    def query(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Return all rows of one trusted statement; raises StorageError."""
        with _translating():
            rows: list[Row] = self._connection.execute(sql, tuple(parameters)).fetchall()
            return rows

    def change(self, sql: str, parameters: Sequence[object] = ()) -> int:
        """Run one trusted statement and return the number of rows it changed; raises StorageError."""
        with _translating():
            changed: int = self._connection.execute(sql, tuple(parameters)).rowcount
            return changed

    def change_many(self, sql: str, parameter_rows: Sequence[Sequence[object]]) -> None:
        """Run one trusted statement for each row of parameters; raises StorageError."""
        if parameter_rows:
            with _translating():
                self._connection.executemany(sql, [tuple(row) for row in parameter_rows])

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> Result:
        """Run one statement of a caller whose values are checked first; raises StorageError."""
        with _translating():
            cursor = self._connection.execute(sql, _checked_all(parameters))
            description = cursor.description or ()
            rows = cursor.fetchall() if description else []
            changes = len(rows) if _RETURNING.search(sql) else 0 if description else max(cursor.rowcount, 0)
            return Result(tuple(column[0] for column in description), rows, changes)

    def execute_many(self, sql: str, parameter_rows: Sequence[Sequence[object]]) -> None:
        """Run one statement for each row of a caller's parameters, whose values are checked first."""
        self.change_many(sql, [_checked_all(row) for row in parameter_rows])

    def begin(self) -> None:
        """Open a write transaction; raises StorageError where one is open already."""
        if self._in_transaction:
            raise StorageError("A transaction is open already; end it before you begin another.")
        self._let_write(True)
        try:
            self.change("BEGIN IMMEDIATE")
        except StorageError:
            self._let_write(False)
            raise
        self._in_transaction = True

    def guard(self) -> None:
        """From now on refuse writes outside of transactions: what is not captured must not be written."""
        self._guarded = True
        self._let_write(False)

    def _let_write(self, yes: bool) -> None:
        if self._guarded:
            self.change(f"PRAGMA query_only={0 if yes else 1}")

    def commit(self) -> None:
        """Make the open transaction durable; raises StorageError, and then it must be rolled back."""
        try:
            self.change("COMMIT")
        except StorageError:
            self._take_back()
            raise
        self._in_transaction = False
        self._let_write(False)

    def _take_back(self) -> None:
        """Write over what a failed commit may have left in the write-ahead log.

        Where only the flush failed, the whole transaction stands there, and the next start would take it for committed:
        a write that was reported as failed would be there all the same, or twice where it was tried again.
        """
        try:
            if self._is_within_transaction():
                self.change("ROLLBACK")
            # Writes one page, always, and changes nothing: the number is not used.
            self.change("PRAGMA user_version=0")
        except StorageError as error:
            raise StorageError(
                "The disk failed while a change was being written. Whether the change was kept shows when the store is "
                "opened again: check the disk, restart, and look before you repeat it."
            ) from error

    def _is_within_transaction(self) -> bool:
        return bool(self._connection.in_transaction)

    def rollback(self) -> None:
        """Undo the open transaction; one that the engine has already undone by itself is no error."""
        self._in_transaction = False
        try:
            self.change("ROLLBACK")
        except StorageError as error:
            # A full disk makes the engine roll back on its own.
            if "no transaction is active" not in str(error.__cause__):
                raise
        finally:
            self._let_write(False)

    def checkpoint(self) -> None:
        """Move the write-ahead log into the file."""
        self.query("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close the connection; nothing may be called afterwards."""
        with _translating():
            self._connection.close()
            # Only now, as the last owner.
            self._last_owner = None


# Each row that such a statement changes, it returns.
_RETURNING = re.compile(r"\breturning\b", re.IGNORECASE)
_HARMLESS = frozenset({type(None), bytes, float, str})


def _checked_all(parameters: Sequence[object]) -> tuple[object, ...]:
    # A bulk write has thousands of parameters and nearly all are harmless: those are told by sets and joined texts.
    if _HARMLESS.issuperset(map(type, parameters)) and "\0" not in "".join(
        [value for value in parameters if type(value) is str]
    ):
        return tuple(parameters)
    return tuple(_checked(value) for value in parameters)


def _checked(value: object) -> object:
    match value:
        case bool():
            return int(value)
        case int() if abs(value) > _EXACT_INTEGER_MAX:
            raise ConstraintError(f"The integer {value} is beyond ±2^53 and would lose digits; write it as text.")
        case str() if "\0" in value:
            raise ConstraintError("A text cannot hold a NUL character; remove it first.")
        case bytearray() | memoryview():
            return bytes(value)
        case None | int() | float() | str() | bytes():
            return value
        case _:
            raise ConstraintError(f"A cell cannot hold a {type(value).__name__}.")


@contextmanager
def _translating() -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise _translated(str(error)) from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        if "Utf8Error" in str(error):
            raise UnreadableTextError(
                "A text came back that is no valid UTF-8, and the operation was stopped; nothing was changed. If the "
                "statement did not make that text itself, a record on this device's disk is damaged: run "
                "`nuthatch doctor --repair`, best while another device of yours is connected."
            ) from error
        raise StorageError(
            "The store returned damaged data and the operation was stopped. Nothing was changed. "
            "Restore a backup or pair this device anew."
        ) from error


def _translated(message: str) -> StorageError:
    lower = message.lower()
    if any(mark in lower for mark in ("constraint", "nuthatch:", "datatype mismatch", "cannot store")):
        return ConstraintError(message.removeprefix("nuthatch: "))
    if "disk is full" in lower:
        return StorageError("The disk is full; nothing was changed. Make room and try again.")
    if "disk i/o error" in lower:
        return StorageError("The disk reports an error; nothing was changed. Check the disk and try again.")
    if "readonly database" in lower:
        return StorageError(
            "The store may not be written; nothing was changed. See with `nuthatch doctor` whose files they are."
        )
    if "vtable constructor failed" in lower:
        # The engine gives this one name to whatever keeps it from opening a full-text table.
        return StorageError(
            "The full-text index could not be opened; nothing was changed. Make room on the disk and try again; "
            "if that does not help, run `nuthatch doctor`."
        )
    if "not a database" in lower or "malformed" in lower:
        return StorageError("The store is damaged; nothing was changed. Restore a backup or pair this device anew.")
    return StorageError(f"The store refused the operation: {message.rstrip('.')}.")

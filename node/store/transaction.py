"""An open write transaction, as repositories, plugins and interfaces see it."""

from collections.abc import Sequence

from node.errors import ConstraintError
from node.store.bulk_insert import as_stored, insert_in_bulk
from node.store.capture import Capture
from node.store.catalogue import Catalogue
from node.store.database import Database, Result
from node.store.statements import check_parameters, examine
from node.store.verification import Verification

# One JSON text a statement: large enough to be worth it, small enough to stay in memory.
_ROWS_PER_STATEMENT = 2_000


class Transaction:
    """An open write transaction: plain SQL on the person's tables."""

    __slots__ = ("_capture", "_catalogue", "_database", "_verification", "computed_text")

    def __init__(self, database: Database, catalogue: Catalogue, capture: Capture, verification: Verification) -> None:
        """Write to `database`, whose transaction is open and captured."""
        self._database = database
        self._catalogue = catalogue
        self._capture = capture
        self._verification = verification
        self.computed_text = False

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> Result:
        """Run one statement; raises ConstraintError or StorageError."""
        facts = examine(sql)
        check_parameters(facts, len(parameters))
        self.computed_text |= facts.computes_text
        return self._database.execute(sql, parameters)

    def execute_many(self, sql: str, parameter_rows: Sequence[Sequence[object]]) -> None:
        """Run one statement for each row of parameters; raises as `execute` does."""
        facts = examine(sql)
        for parameters in parameter_rows:
            check_parameters(facts, len(parameters))
        self.computed_text |= facts.computes_text
        self._database.execute_many(sql, parameter_rows)

    def require_whole(self, table: str, row_id: bytes) -> None:
        """Raise DamagedRowError where a row is not what its hash says; one that this transaction wrote is."""
        if not self._capture.has_touched(table, row_id):
            self._verification.require_whole(table, [row_id])

    def insert_rows(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Insert many rows of the same columns, None for a column's default; raises ConstraintError or StorageError.

        Where every value is exactly of its column's type this is twice as fast as plain SQL, and what was written
        need not be read back before it is signed.
        """
        declared = self._catalogue.table_by_name.get(table)
        if declared is None:
            raise ConstraintError(f"There is no table {table}.")
        # Names go into the statement as they are: only declared ones may.
        if unknown := sorted({*columns} - {"id", *declared.column_names}):
            raise ConstraintError(f"The table {table} has no column {unknown[0]!r}.")
        for start in range(0, len(rows), _ROWS_PER_STATEMENT):
            part = rows[start : start + _ROWS_PER_STATEMENT]
            stored = as_stored(declared, columns, part)
            if stored is None:
                self._insert_plainly(table, columns, part)
                continue
            row_ids, _, *by_column = zip(*stored, strict=True)
            insert_in_bulk(self._database, declared, row_ids, by_column)
            self._capture.announce(declared, stored)

    def _insert_plainly(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        for row in rows:
            given = [(name, value) for name, value in zip(columns, row, strict=True) if value is not None]
            names, values = ", ".join(name for name, _ in given), [value for _, value in given]
            self.execute(f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(values))})", values)

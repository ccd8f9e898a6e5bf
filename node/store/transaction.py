"""An open write transaction, as repositories, plugins and interfaces see it."""

from collections.abc import Sequence

from node.store.database import Database, Result
from node.store.statements import check_parameters, examine


class Transaction:
    """An open write transaction: plain SQL on the person's tables."""

    __slots__ = ("_database", "computed_text")

    def __init__(self, database: Database) -> None:
        """Write to `database`, whose transaction is open."""
        self._database = database
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

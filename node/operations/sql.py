"""One SQL statement of the person, checked first, with bytes as base64 in both directions."""

from node.operations.json_values import from_json_value, to_json_value
from node.operations.upkeep import finish_forgetting
from node.requests import SqlRequest, SqlResult
from node.schemas import CORE_COMPONENTS
from node.service import Service
from node.sql_guard import guard_statement, tables_of

_TABLES = tables_of(CORE_COMPONENTS)


async def sql(service: Service, request: SqlRequest) -> SqlResult:
    """Run a statement; what it writes replicates. Raises `UsageError`, `RefusedError` or `StorageError`."""
    parameters = [from_json_value(value) for value in request.parameters]
    guarded = guard_statement(request.statement, _TABLES, parameter_count=len(parameters))
    with service.store.transaction() as transaction:
        result = transaction.execute(guarded.sql, parameters)
    await finish_forgetting(service)
    return SqlResult(
        columns=list(result.columns),
        rows=[[to_json_value(value) for value in row] for row in result.rows],
        changes=result.changes,
    )

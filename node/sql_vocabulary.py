"""The words, functions and kinds of syntax that a person's SQL statement may use.

Left out on purpose, beside whatever touches files, pages or extensions: functions that make a text or blob of any
length from a number (`zeroblob`, `randomblob`, `printf`, `format`, `replicate` …), which would fill the memory of
the node, and those that tell about the connection (`changes`, `last_insert_rowid`).
"""

#: Words that only other statements have, or that would end the store's transaction, or that step around a check.
FORBIDDEN_WORDS: tuple[str, ...] = (
    "ABORT",
    "ALTER",
    "ANALYZE",
    "ATTACH",
    "BEGIN",
    "COMMIT",
    "CREATE",
    "DATABASE",
    "DETACH",
    "DROP",
    "EXPLAIN",
    "FAIL",
    "INDEXED",
    "MATCH",
    "PRAGMA",
    "RAISE",
    "RECURSIVE",
    "REGEXP",
    "REINDEX",
    "RELEASE",
    "ROLLBACK",
    "SAVEPOINT",
    "TEMP",
    "TEMPORARY",
    "TRIGGER",
    "VACUUM",
    "VIRTUAL",
)

ROW_NUMBER_NAMES = frozenset({"rowid", "oid"})

TABLE_FUNCTIONS = frozenset({"json_each", "json_tree"})

#: Words of the grammar after which a parenthesis opens a list, an expression or a SELECT.
WORDS_BEFORE_PARENTHESIS = frozenset(
    {
        "ALL", "AND", "AS", "BETWEEN", "BY", "CASE", "CAST", "CONFLICT", "DISTINCT", "ELSE", "ESCAPE", "EXCEPT",
        "EXISTS", "FILTER", "FROM", "IN", "INTERSECT", "IS", "JOIN", "LIKE", "GLOB", "LIMIT", "MATERIALIZED",
        "NOT", "OFFSET", "ON", "OR", "OVER", "RETURNING", "SELECT", "SET", "THEN", "UNION", "USING", "VALUES",
        "WHEN", "WHERE",
    }
)  # fmt: skip

FUNCTIONS = frozenset(
    {
        # text and values
        "abs", "char", "coalesce", "concat", "concat_ws", "glob", "hex", "ifnull", "iif", "instr", "length", "like",
        "lower", "ltrim", "max", "min", "nullif", "octet_length", "quote", "replace", "round", "rtrim", "sign",
        "substr", "substring", "trim", "typeof", "unhex", "unicode", "upper",
        # numbers
        "ceil", "ceiling", "exp", "floor", "ln", "log10", "power", "random", "sqrt",
        # time
        "date", "datetime", "julianday", "strftime", "time", "timediff", "unixepoch",
        # JSON
        "json", "json_array", "json_array_length", "json_extract", "json_group_array", "json_group_object",
        "json_insert", "json_object", "json_patch", "json_quote", "json_remove", "json_replace", "json_set",
        "json_type", "json_valid",
        # aggregates and windows
        "avg", "count", "cume_dist", "dense_rank", "first_value", "group_concat", "lag", "last_value", "lead",
        "median", "nth_value", "ntile", "percent_rank", "rank", "row_number", "string_agg", "sum", "total",
    }
)  # fmt: skip

#: Kinds of sqlglot's syntax tree that are understood here; functions are judged by name instead.
KNOWN_NODES = frozenset(
    {
        "Add", "Alias", "All", "And", "Anonymous", "Between", "BitwiseAnd", "BitwiseLeftShift", "BitwiseNot",
        "BitwiseOr", "BitwiseRightShift", "Boolean", "CTE", "Case", "Collate", "Column", "DPipe",
        "DataType", "Delete", "Distinct", "Div", "EQ", "Escape", "Except", "Exists", "Filter", "From", "GT", "GTE",
        "Glob", "Group", "Having", "HexString", "Identifier", "If", "In", "Insert", "Intersect", "Is",
        "JSONPath", "JSONPathKey", "JSONPathRoot", "JSONPathSubscript", "Join", "LT", "LTE", "Like", "Limit",
        "Literal", "Mod", "Mul", "NEQ", "Neg", "Not", "Null", "NullSafeEQ", "NullSafeNEQ", "Offset", "OnConflict",
        "Or", "Order", "Ordered", "Paren", "Placeholder", "Returning", "Schema", "Select", "Star", "Sub", "Subquery",
        "Table", "TableAlias", "Tuple", "Union", "Update", "Values", "Var", "Where", "Window", "WindowSpec", "With",
    }
)  # fmt: skip

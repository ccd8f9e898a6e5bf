"""The guard of plain SQL: what a person may say runs on the real store, and every way around it is refused."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.errors import HostError, RefusedError, UsageError
from node.schemas import CORE_COMPONENTS
from node.sql_guard import guard_statement, tables_of
from tests.support.scratch_store import Scratch, scratch_store

TABLES = tables_of(CORE_COMPONENTS)

ALLOWED = [
    "SELECT 1",
    "select count(*) from memories;",
    "SELECT m.content, c.title FROM messages AS m LEFT JOIN conversations c ON c.id = m.conversation_id",
    "SELECT t.value FROM memories, json_each(memories.tags) AS t WHERE t.value LIKE '%a%' ESCAPE '!'",
    "SELECT json_extract(metadata, '$.a'), metadata ->> 'x', metadata -> '$.y[0]' FROM memories",
    "SELECT role, count(*) FILTER (WHERE speaker IS NOT NULL) FROM messages GROUP BY role HAVING count(*) > 1",
    (
        "SELECT row_number() OVER (PARTITION BY role ORDER BY created_at ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)"
        " FROM messages"
    ),
    "WITH old AS (SELECT id FROM memories), few (n) AS (SELECT count(*) FROM old) SELECT n FROM few",
    "WITH old AS (SELECT id FROM memories WHERE importance < 2) DELETE FROM memories WHERE id IN (SELECT id FROM old)",
    "INSERT INTO memories (content, tags) VALUES ('x', '[\"a\"]') RETURNING id",
    "INSERT INTO memories (content) SELECT content FROM messages WHERE role = 'user'",
    "INSERT OR IGNORE INTO memories (id, content) VALUES (x'00112233445566778899aabbccddeeff', 'y')",
    "INSERT OR REPLACE INTO memories (id, content) VALUES (x'00112233445566778899aabbccddeeff', 'z')",
    (
        "INSERT INTO preferences (id, key) VALUES (x'00112233445566778899aabbccddeefe', 'k')"
        " ON CONFLICT (id) DO UPDATE SET value = excluded.value"
    ),
    "INSERT INTO projects DEFAULT VALUES",
    "UPDATE memories SET content = upper(content), importance = importance + 1 WHERE created_at < datetime('now')",
    "UPDATE messages SET sentiment = 0.5 FROM conversations c WHERE c.id = messages.conversation_id",
    "DELETE FROM memories WHERE content = 'it''s -- not a comment; DROP TABLE x'",
    'SELECT content AS "My Words" FROM [memories] -- a comment',
    'SELECT /* inner */ `content` FROM "memories" /* end */',
    "SELECT CASE WHEN importance IN (1, 2) THEN 'low' ELSE CAST(importance AS TEXT) END FROM memories",
    "SELECT content FROM memories UNION ALL SELECT content FROM messages ORDER BY 1 COLLATE NOCASE LIMIT 3 OFFSET 1",
    "SELECT 1 WHERE EXISTS (SELECT 1 FROM messages) AND NOT 0x10 = 1e3",
    "SELECT avg(sentiment), group_concat(DISTINCT speaker) FROM messages WHERE created_at BETWEEN '2025' AND '2026'",
]

REFUSED = [
    "",
    ";",
    "-- nothing",
    "SELECT 1; SELECT 2",
    "SELECT 1;; DELETE FROM memories",
    "SELECT readfile('/etc/passwd')",
    "SELECT ReadFile('/etc/passwd')",
    "SELECT \"readfile\"('/etc/passwd')",
    "SELECT [readfile] ('/etc/passwd')",
    "SELECT `readfile`/**/('/etc/passwd')",
    "SELECT readfile -- x\n('/etc/passwd')",
    "SELECT writefile('/tmp/x', content) FROM memories",
    "SELECT load_extension('x')",
    "SELECT content FROM memories ORDER BY writefile('x', 'y')",
    "SELECT 1, writefile(a, b) AS (SELECT 1)",
    "INSERT INTO memories (content) VALUES (readfile('x'))",
    "UPDATE memories SET content = readfile('x')",
    "DELETE FROM memories WHERE load_extension('x')",
    "SELECT zeroblob(1000000000)",
    "SELECT printf('%1000000000d', 1)",
    "SELECT sqlite3mc_codec_data('x')",
    "SELECT changes()",
    "SELECT fts3_tokenizer('simple')",
    "ATTACH 'x.db' AS y",
    "ATTACH DATABASE 'x.db' AS y KEY ''",
    "DETACH y",
    "PRAGMA key",
    "/* */ PRAGMA table_info(memories)",
    "VACUUM INTO 'plain.db'",
    "VACUUM",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT a",
    "RELEASE a",
    "CREATE TABLE x (a)",
    "CREATE TEMP TRIGGER t AFTER INSERT ON memories BEGIN SELECT 1; END",
    "DROP TABLE memories",
    "ALTER TABLE memories ADD COLUMN x",
    "REINDEX",
    "ANALYZE",
    "EXPLAIN SELECT 1",
    "REPLACE INTO memories (content) VALUES ('x')",
    "VALUES (1)",
    "SELECT * FROM sqlite_master",
    "SELECT * FROM SQLITE_SCHEMA",
    'SELECT * FROM "sqlite_master"',
    "SELECT * FROM [sqlite_master]",
    "SELECT * FROM `sqlite_temp_master`",
    "SELECT * FROM sqlite_dbpage",
    "SELECT * FROM dbstat",
    "SELECT * FROM 'dbstat'",
    "SELECT * FROM _meta",
    "SELECT * FROM _row_memories",
    'SELECT * FROM "_row_memories"',
    "SELECT * FROM main._meta",
    "SELECT * FROM main.memories",
    "SELECT * FROM temp.x",
    "SELECT * FROM temp._silent",
    'SELECT * FROM "temp"."_silent"',
    "SELECT * FROM unknown_table",
    "SELECT * FROM pragma_table_info('memories')",
    "SELECT * FROM pragma_database_list",
    "SELECT * FROM fsdir('/')",
    "SELECT * FROM generate_series(1, 1000000000000)",
    "SELECT * FROM fts5vocab('main', 'x', 'row')",
    "SELECT * FROM json_each",
    "SELECT * FROM memories WHERE id IN sqlite_master",
    "SELECT 1 WHERE 1 IN dbstat",
    "SELECT 1 WHERE 1 IN (SELECT name FROM dbstat)",
    "SELECT (SELECT sql FROM sqlite_master LIMIT 1)",
    "SELECT 1 UNION SELECT sql FROM sqlite_master",
    "SELECT * FROM memories JOIN dbstat",
    "SELECT * FROM memories, dbstat",
    "SELECT * FROM memories NATURAL JOIN _meta",
    "SELECT * FROM (SELECT * FROM dbstat)",
    "SELECT count(*) FILTER (WHERE 1 IN (SELECT pgno FROM sqlite_dbpage)) FROM memories",
    "WITH dbstat AS (SELECT * FROM dbstat) SELECT * FROM dbstat",
    "WITH dbstat AS (SELECT 1) DELETE FROM dbstat",
    "WITH x AS (SELECT 1) INSERT INTO x VALUES (1)",
    "WITH memories AS (SELECT 1) SELECT * FROM memories",
    "WITH sqlite_master AS (SELECT 1) SELECT * FROM sqlite_master",
    "WITH json_each AS (SELECT 1) SELECT * FROM json_each",
    "SELECT * FROM dbstat, (WITH dbstat AS (SELECT 1) SELECT * FROM dbstat)",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n",
    "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n",
    "WITH a AS (SELECT * FROM b), b AS (SELECT 1) SELECT * FROM a",
    "WITH readfile(a) AS (SELECT 1) SELECT readfile('x')",
    "INSERT INTO _meta VALUES ('x', x'00')",
    "INSERT INTO main.memories (content) VALUES ('x')",
    "INSERT INTO sqlite_sequence VALUES (1, 2)",
    "INSERT OR ROLLBACK INTO memories (content) VALUES ('x')",
    "INSERT OR FAIL INTO memories (content) VALUES ('x')",
    "UPDATE OR ABORT memories SET content = 'x'",
    "INSERT INTO memories (rowid, content) VALUES (1, 'x')",
    "INSERT INTO memories (\"rowid\", content) VALUES (1, 'x')",
    "UPDATE memories SET rowid = 5",
    "UPDATE memories SET OID = 5",
    "UPDATE memories SET _rowid_ = 5",
    "SELECT memories.rowid FROM memories",
    "UPDATE _meta SET value = x''",
    "UPDATE memories SET content = (SELECT hex(value) FROM _meta LIMIT 1)",
    "UPDATE memories SET content = m.value FROM _meta m",
    "DELETE FROM _batch",
    "DELETE FROM memories RETURNING (SELECT key FROM _meta)",
    "SELECT * FROM memories INDEXED BY memories_by_project",
    "SELECT content MATCH 'x' FROM memories",
    "SELECT 'unclosed",
    'SELECT "unclosed',
    "SELECT [unclosed",
    "SELECT /* unclosed",
    'SELECT "a""b" FROM memories',
    "SELECT 1x FROM memories",
    "SELECT $a, :b, @c",
    "SELECT ?1",
    "SELECT 'a\0b'",
    "SELECT content FROM memories WHERE \u017fum(1)",
    "SELECT # FROM memories",
    "SELECT * INTO x FROM memories",
    "SELECT FROM WHERE",
    "not sql at all",
    "SELECT " + "(" * 3_000 + "1" + ")" * 3_000,
    "SELECT '" + "x" * 200_000 + "'",
]


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    return scratch_store(tmp_path)


@pytest.mark.parametrize("sql", ALLOWED)
def test_an_ordinary_statement_passes_and_runs_as_it_was_rewritten(sql: str, scratch: Scratch) -> None:
    guarded = guard_statement(sql, TABLES, parameter_count=0)
    with scratch.store.transaction() as transaction:
        transaction.execute(guarded.sql)
    assert guarded.writes == (" INTO " in sql or "UPDATE " in sql or "DELETE " in sql)


@pytest.mark.parametrize("sql", REFUSED)
def test_what_reaches_further_or_is_not_understood_is_refused(sql: str) -> None:
    with pytest.raises((RefusedError, UsageError)):
        guard_statement(sql, TABLES, parameter_count=0)


def test_a_refusal_names_what_was_refused() -> None:
    with pytest.raises(RefusedError, match="readfile"):
        guard_statement("SELECT readfile('x')", TABLES, parameter_count=0)
    with pytest.raises(RefusedError, match="begins with 'ATTACH'"):
        guard_statement("ATTACH 'x' AS y", TABLES, parameter_count=0)


def test_the_number_of_values_must_be_the_number_of_parameters() -> None:
    sql = "SELECT * FROM memories WHERE content = ? OR title = ? -- ?"
    assert guard_statement(sql, TABLES, parameter_count=2).parameter_count == 2
    for count in (0, 1, 3):
        with pytest.raises(UsageError, match="2 parameters"):
            guard_statement(sql, TABLES, parameter_count=count)


def test_the_rewritten_statement_keeps_texts_and_loses_comments() -> None:
    guarded = guard_statement(
        "SELECT 'it''s /* here */ -- kept', [content] FROM memories /* gone */ -- gone", TABLES, parameter_count=0
    )
    assert guarded.sql == "SELECT 'it''s /* here */ -- kept' , \"content\" FROM memories"


def test_a_guarded_write_replicates_like_any_other(scratch: Scratch) -> None:
    before = scratch.store.view()
    guarded = guard_statement("INSERT INTO memories (content) VALUES (?)", TABLES, parameter_count=1)
    with scratch.store.transaction() as transaction:
        assert transaction.execute(guarded.sql, ("kept",)).changes == 1
    assert scratch.store.view() != before
    assert scratch.store.query("SELECT content FROM memories") == [("kept",)]


def test_no_statement_built_from_known_pieces_gets_past_the_guard_to_an_internal_name() -> None:
    # Every place where a name can stand, filled with every way to write an internal name.
    names = [
        "_meta",
        '"_meta"',
        "[_meta]",
        "`_meta`",
        "sqlite_master",
        '"SQLITE_master"',
        "Pragma_table_list",
        "main._meta",
    ]
    places = [
        "SELECT * FROM {}",
        "SELECT {}.* FROM {}",
        "SELECT 1 FROM memories JOIN {} ON 1",
        "SELECT 1 WHERE 1 IN {}",
        "SELECT 1 WHERE 1 IN (SELECT 1 FROM {})",
        "WITH a AS (SELECT * FROM {}) SELECT * FROM a",
        "INSERT INTO {} SELECT 1",
        "UPDATE {} SET key = 1",
        "DELETE FROM {}",
        "INSERT INTO memories (content) SELECT 1 FROM {} WHERE 1 ON CONFLICT DO NOTHING",
        "SELECT {}(1)",
        "SELECT 1 AS {}",
    ]
    for place in places:
        for name in names:
            with pytest.raises(HostError):
                guard_statement(place.replace("{}", name), TABLES, parameter_count=0)


WORDS = st.sampled_from(
    [
        *("SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "INTO", "FROM", "WHERE", "SET", "VALUES", "AS", "IN", "AND"),
        *("OR", "NOT", "NULL", "UNION", "JOIN", "ON", "GROUP", "BY", "ORDER", "LIMIT", "CASE", "WHEN", "THEN", "END"),
        *("CAST", "EXISTS", "OVER", "PARTITION", "RETURNING", "CONFLICT", "DO", "NOTHING", "DISTINCT", "ALL", "a", "b"),
        *(
            "(",
            ")",
            ",",
            ".",
            "*",
            "?",
            "=",
            "<",
            "||",
            "-",
            "1",
            "2.5",
            "'x'",
            '"y"',
            "x'00'",
            "[z]",
            "`q`",
            "--",
            ";",
        ),
        *(
            "/*",
            "*/",
            "memories",
            "messages",
            "content",
            "id",
            "json_each",
            "count",
            "max",
            "readfile",
            "dbstat",
            "_meta",
        ),
    ]
)
BEGINNINGS = ["SELECT", "INSERT INTO memories", "UPDATE memories SET", "DELETE FROM memories", "WITH a AS (SELECT"]


@settings(derandomize=True, max_examples=400, deadline=None)
@given(beginning=st.sampled_from(BEGINNINGS), words=st.lists(WORDS, max_size=14))
def test_any_sequence_of_words_is_refused_in_our_own_terms_or_reads_only_the_persons_tables(
    beginning: str, words: list[str]
) -> None:
    try:
        guarded = guard_statement(" ".join([beginning, *words]), TABLES, parameter_count=words.count("?"))
    except (RefusedError, UsageError):
        return
    assert "_meta" not in guarded.sql
    assert "readfile (" not in guarded.sql
    assert not re.search(r"\b(FROM|JOIN|INTO|IN)\s+\(*\s*(dbstat|readfile)", guarded.sql)

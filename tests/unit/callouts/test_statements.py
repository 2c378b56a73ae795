"""Which statements count as work."""

import pytest

from callouts.uncommitted_work import is_write


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1", "  select * from a", "/* hint */ SELECT 1", "-- note\nSELECT 1", "(SELECT 1) UNION (SELECT 2)",
        "SAVEPOINT s", "RELEASE SAVEPOINT s", "ROLLBACK TO SAVEPOINT s", "BEGIN IMMEDIATE", "COMMIT",
        "EXPLAIN SELECT 1", "PRAGMA foreign_keys", "SET TIME ZONE 'UTC'", "SHOW server_version", "VALUES (1)",
        "FETCH 5 FROM c",
        "WITH a AS (SELECT 1) SELECT * FROM a", "SELECT * FROM a FOR UPDATE", "DECLARE c CURSOR FOR SELECT 1",
    ],
)  # fmt: skip
def test_reads(sql):
    assert not is_write(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO a VALUES (1)", "update a set b = 1", "DELETE FROM a", "REPLACE INTO a VALUES (1)", "MERGE INTO a",
        "CREATE TABLE a (b int)", "ALTER TABLE a ADD b int", "DROP TABLE a", "TRUNCATE a", "COPY a FROM stdin",
        "CALL p()", "DO $$ BEGIN END $$", "WITH a AS (DELETE FROM b RETURNING *) SELECT * FROM a", "something unknown",
        "WITH a AS (SELECT 1) INSERT INTO b", "/* c */ -- d\n INSERT INTO a VALUES (1)", "",
    ],
)  # fmt: skip
def test_writes_and_what_is_not_known_as_a_read(sql):
    assert is_write(sql)

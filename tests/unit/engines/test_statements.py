"""Texts of SQL that would end the transaction that they are sent in."""

import pytest

from backup_tasks.engines.postgresql.statements import (
    first_word,
    transaction_control,
    without_concurrently,
)


@pytest.mark.parametrize(
    "text",
    [
        "COMMIT",
        "commit work",
        "UPDATE t SET a = 1; COMMIT; UPDATE t SET a = 2; BEGIN",
        "-- not yet\n/* still not */ Rollback;",
        "ROLLBACK AND CHAIN",
        "END",
        "ABORT",
        "START TRANSACTION",
        "BEGIN; UPDATE t SET a = 1",
        "PREPARE TRANSACTION 'x'",
        "SELECT ';'; COMMIT",
        "SELECT $x$ $y$; $x$; COMMIT",
        "SELECT 'it''s'; COMMIT",
        r"SELECT E'it\'s'; COMMIT",
        r"SELECT 'a\'; COMMIT",
        'SELECT ";"; COMMIT',
        "SELECT 1 -- '\n; COMMIT",
        "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE 1 WHEN 1 THEN 2 END; END; COMMIT",
    ],
)
def test_what_ends_a_transaction_is_seen(text: str) -> None:
    assert transaction_control(text)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1",
        "SELECT 'x; COMMIT'",
        'SELECT 1 AS "commit"; SELECT 2',
        "SAVEPOINT a; ROLLBACK TO a; ROLLBACK TRANSACTION TO SAVEPOINT a; RELEASE a",
        "-- ; COMMIT",
        "/* ; COMMIT; */ SELECT 1",
        "SELECT CASE WHEN a THEN 1 END; SELECT 2",
        "DO $$ BEGIN PERFORM 1; END $$",
        "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $f$ BEGIN RETURN 1; END; $f$",
        "CREATE OR REPLACE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END; SELECT 1",
        "PREPARE x AS SELECT 1",
        "SELECT a.commit FROM a",
    ],
)
def test_what_does_not_is_left_alone(text: str) -> None:
    assert transaction_control(text) is None


def test_indexes_of_staging_are_made_like_any_other() -> None:
    assert without_concurrently('CREATE INDEX CONCURRENTLY "a" ON "t" ("x")') == (
        'CREATE INDEX "a" ON "t" ("x")'
    )
    assert without_concurrently("create unique index concurrently if not exists a") == (
        "create unique index if not exists a"
    )
    assert without_concurrently("DROP INDEX CONCURRENTLY IF EXISTS a") == "DROP INDEX IF EXISTS a"
    assert without_concurrently("SELECT 'CREATE INDEX CONCURRENTLY'") == (
        "SELECT 'CREATE INDEX CONCURRENTLY'"
    )


def test_the_first_word_comes_after_comments() -> None:
    assert first_word("/* x */ -- y\n lock TABLE t") == "LOCK"
    assert first_word("") == ""
